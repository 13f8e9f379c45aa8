package httpcache_test

import (
	"fmt"
	"math"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

const whole, unsatisfiable = "whole", "416"

// answer is a decision as the tables have it: whole, unsatisfiable, or the parts.
func answer(d httpcache.RangeDecision) string {
	switch {
	case d.Answer == httpcache.RangeIgnored && d.Parts == nil:
		return whole
	case d.Answer == httpcache.RangeUnsatisfiable && d.Parts == nil:
		return unsatisfiable
	case d.Answer == httpcache.RangePartial && len(d.Parts) > 0:
		var parts []string
		for _, p := range d.Parts {
			parts = append(parts, fmt.Sprintf("%d-%d", p.First, p.Last))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprintf("no decision: %+v", d)
}

// stored is a 200 with these field lines that came now.
func stored(lines ...string) httpcache.Stored {
	return httpcache.Stored{Status: http.StatusOK, Fields: fields(lines...), ResponseTime: now}
}

func TestByteRanges(t *testing.T) { // RFC 9110 §14.1.1, §14.1.2
	for _, tt := range []struct {
		rule  string
		value string
		size  int64
		want  string
	}{
		// The examples of §14.1.2.
		{"the first 500 bytes", "bytes=0-499", 10000, "0-499"},
		{"the second 500 bytes", "bytes=500-999", 10000, "500-999"},
		{"the final 500 bytes", "bytes=-500", 10000, "9500-9999"},
		{"the same", "bytes=9500-", 10000, "9500-9999"},
		{"the first and the last byte", "bytes=0-0,-1", 10000, "0-0 9999-9999"},
		{"the first, middle and last 1000 bytes", "bytes= 0-999, 4500-5499, -1000", 10000,
			"0-999 4500-5499 9000-9999"},
		{"the second 500 bytes, not canonical", "bytes=500-600,601-999", 10000, "500-600 601-999"},
		{"with an overlap", "bytes=500-700,601-999", 10000, "500-700 601-999"},

		// first-pos "-" [ last-pos ]
		{"one byte", "bytes=9-9", 10, "9-9"},
		{"all of them", "bytes=0-", 10, "0-9"},
		{"a last-pos beyond the end is the end", "bytes=5-10", 10, "5-9"},
		{"far beyond", "bytes=5-99999999999999999999999", 10, "5-9"},
		{"just beyond 2^63", "bytes=5-9223372036854775808", 10, "5-9"},
		{"leading zeros", "bytes=0000000000000000000000005-006", 10, "5-6"},
		{"a first-pos beyond the end is not satisfiable", "bytes=10-", 10, unsatisfiable},
		{"nor with a last-pos", "bytes=10-20", 10, unsatisfiable},
		{"nor far beyond", "bytes=99999999999999999999999-", 10, unsatisfiable},
		{"nor beyond 2^63, whatever the size", "bytes=9223372036854775808-9223372036854775809",
			math.MaxInt64, unsatisfiable},
		{"the greatest size there is", "bytes=9223372036854775806-", math.MaxInt64,
			"9223372036854775806-9223372036854775806"},
		{"a last-pos before the first-pos is invalid", "bytes=5-4", 10, whole},
		{"beyond the end too", "bytes=20-19", 10, whole},

		// "-" suffix-length
		{"a suffix of all", "bytes=-10", 10, "0-9"},
		{"a suffix longer than all", "bytes=-11", 10, "0-9"},
		{"far longer", "bytes=-99999999999999999999999", 10, "0-9"},
		{"an empty suffix is not satisfiable", "bytes=-0", 10, unsatisfiable},
		{"however it is written", "bytes=-000", 10, unsatisfiable},

		// Sets.
		{"what is not satisfiable is left out", "bytes=20-30,2-3,-0,10-", 10, "2-3"},
		{"if nothing is, all is not", "bytes=20-30,-0,10-", 10, unsatisfiable},
		{"in the order requested", "bytes=8-9,0-1,-4", 10, "8-9 0-1 6-9"},
		{"next to each other is no overlap", "bytes=0-1,2-3,4-5", 10, "0-1 2-3 4-5"},
		{"§5.6.1 white space around commas", "bytes=0-1 \t,\t 3-4", 10, "0-1 3-4"},
		{"§5.6.1 empty members", "bytes=,0-1,, ,3-4,", 10, "0-1 3-4"},
		{"§5.6.1 none but those is no list", "bytes=, ,", 10, whole},
		{"nor is nothing", "bytes=", 10, whole},
		{"nor white space", "bytes= ", 10, whole},
		{"one bad member and the set is invalid", "bytes=0-1,x", 10, whole},
		{"one with its ends swapped too", "bytes=0-1,5-4", 10, whole},
		{"a bad one after what is not satisfiable too", "bytes=20-,x", 10, whole},

		// An empty body.
		{"nothing of an empty body is satisfiable", "bytes=0-", 0, unsatisfiable},
		{"not by its ends either", "bytes=0-0", 0, unsatisfiable},
		{"but its last bytes are: all of it", "bytes=-5", 0, whole},
		{"among others too", "bytes=0-,-5", 0, whole},
		{"an empty suffix of it is not", "bytes=-0", 0, unsatisfiable},
		{"of a body of unknown size there are no ranges", "bytes=0-", -1, whole},

		// The unit (§14.1).
		{"a unit is case-insensitive", "BYTES=0-1", 10, "0-1"},
		{"mixed", "Bytes=0-1", 10, "0-1"},
		{"but ASCII", "byte\u017f=0-1", 10, whole},
		{"another unit", "items=0-1", 10, whole},
		{"none", "=0-1", 10, whole},
		{"no ranges at all", "bytes", 10, whole},
		{"an empty field", "", 10, whole},
		{"white space before the =", "bytes =0-1", 10, whole},
		{"white space before the unit", " bytes=0-1", 10, whole},
		{"a unit within the set", "bytes=0-1,bytes=3-4", 10, whole},
		{"another =", "bytes==0-1", 10, whole},

		// No range.
		{"a dash alone", "bytes=-", 10, whole},
		{"two dashes", "bytes=--1", 10, whole},
		{"three numbers", "bytes=0-1-2", 10, whole},
		{"a number alone", "bytes=0", 10, whole},
		{"a sign", "bytes=+0-1", 10, whole},
		{"a sign behind", "bytes=0-+1", 10, whole},
		{"white space within", "bytes=0 -1", 10, whole},
		{"and after the dash", "bytes=0- 1", 10, whole},
		{"another white space", "bytes=0-1,\v3-4", 10, whole},
		{"a hexadecimal number", "bytes=0x0-1", 10, whole},
		{"a letter after an overflow", "bytes=0-99999999999999999999999x", 10, whole},
		{"what follows the digits in ASCII", "bytes=0-:", 10, whole},
		{"and what precedes them", "bytes=/-5", 10, whole},
		{"a fraction", "bytes=0.0-1", 10, whole},
		{"other digits", "bytes=\u0660-\u0661", 10, whole},
		{"a star", "bytes=*", 10, whole},
		{"a quoted-string", `bytes="0-1"`, 10, whole},
		{"one that does not end", `bytes=0-1,"`, 10, whole},
		{"semicolons", "bytes=0-1;3-4", 10, whole},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			req := get()
			req.Fields.(httpfield.Header)["Range"] = []string{tt.value}
			if got := answer(httpcache.Ranges(req, stored(), tt.size)); got != tt.want {
				t.Errorf("%q of %d bytes: %s; want %s", tt.value, tt.size, got, tt.want)
			}
		})
	}
}

func TestRangeIsOfAGetAndA200(t *testing.T) { // RFC 9110 §14.2, §13.2.1
	for _, value := range []string{"bytes=0-1", "bytes=10-"} {
		if got := answer(httpcache.Ranges(get("Range: "+value), stored(), 10)); got == whole {
			t.Errorf("%s: %s", value, got)
		}
		for _, method := range []string{"HEAD", "POST", "get", ""} {
			req := get("Range: " + value)
			req.Method = method
			if got := answer(httpcache.Ranges(req, stored(), 10)); got != whole {
				t.Errorf("%s of a %q: %s", value, method, got)
			}
		}
		for _, status := range []int{201, 203, 204, 206, 301, 304, 404, 416, 500} {
			s := stored()
			s.Status = status
			if got := answer(httpcache.Ranges(get("Range: "+value), s, 10)); got != whole {
				t.Errorf("%s of a %d: %s", value, status, got)
			}
		}
		if got := answer(httpcache.Ranges(get("Range: "+value, "Range: "+value), stored(),
			10)); got != whole {
			t.Errorf("%s twice: %s", value, got)
		}
	}
	if got := answer(httpcache.Ranges(get(), stored(), 10)); got != whole {
		t.Errorf("no Range: %s", got)
	}
}

func TestRangesThatAreAnAttack(t *testing.T) { // RFC 9110 §14.2, §17.15
	// ranges are n ranges of a byte each, one byte between them, from first on.
	ranges := func(n, first int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("%d-%[1]d", first+2*i))
		}
		return "bytes=" + strings.Join(all, ",")
	}
	sixteen := strings.ReplaceAll(strings.TrimPrefix(ranges(16, 0), "bytes="), ",", " ")
	for _, tt := range []struct {
		rule, value, want string
	}{
		{"sixteen ranges", ranges(16, 0), sixteen},
		{"and empty members, which are none", ranges(16, 0) + strings.Repeat(",", 100), sixteen},
		{"seventeen", ranges(17, 0), whole},
		{"those that are not satisfiable count", ranges(15, 0) + ",200-,-0", whole},
		{"so where none is", ranges(17, 200), whole},
		{"sixteen of which none is satisfiable", ranges(16, 200), unsatisfiable},
		{"two that overlap", "bytes=0-5,5-9", "0-5 5-9"},
		{"the same twice", "bytes=0-,0-", "0-99 0-99"},
		{"one within another", "bytes=0-9,3-4", "0-9 3-4"},
		{"two that overlap, and others", "bytes=0-5,20-29,5-9,40-49", "0-5 20-29 5-9 40-49"},
		{"three that overlap", "bytes=0-9,0-9,0-9", whole},
		{"each the next", "bytes=0-5,5-9,9-12", whole},
		{"two pairs", "bytes=0-5,5-9,20-25,25-29", whole},
		{"apart in the list", "bytes=0-50,60-61,0-0,70-71,50-50", whole},
		{"by a suffix", "bytes=80-90,90-,-5", whole},
		{"where they are cut to the body there is no byte to share",
			"bytes=0-5,5-9,100-200,150-200", "0-5 5-9"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := answer(httpcache.Ranges(get("Range: "+tt.value), stored(),
				100)); got != tt.want {
				t.Errorf("%s: %s; want %s", tt.value, got, tt.want)
			}
		})
	}
}

func TestIfRange(t *testing.T) { // RFC 9110 §13.1.5
	modified := "Last-Modified: " + ago(time.Hour)
	for _, tt := range []struct {
		rule    string
		request []string
		stored  []string
		want    bool // the range is sent; else the whole
	}{
		{"none", nil, nil, true},
		{"the tag", []string{`If-Range: "a"`}, []string{`ETag: "a"`}, true},
		{"another", []string{`If-Range: "b"`}, []string{`ETag: "a"`}, false},
		{"in another case", []string{`If-Range: "A"`}, []string{`ETag: "a"`}, false},
		{"§8.8.3.2 compared strongly: weak asked", []string{`If-Range: W/"a"`},
			[]string{`ETag: "a"`}, false},
		{"§8.8.3.2 weak stored", []string{`If-Range: "a"`}, []string{`ETag: W/"a"`}, false},
		{"§8.8.3.2 both weak", []string{`If-Range: W/"a"`}, []string{`ETag: W/"a"`}, false},
		{"where no tag is stored", []string{`If-Range: "a"`}, []string{date, modified}, false},
		{"where two are", []string{`If-Range: "a"`}, []string{`ETag: "a"`, `ETag: "a"`}, false},
		{"where it is none", []string{"If-Range: a"}, []string{"ETag: a"}, false},
		{"a list is no tag", []string{`If-Range: "a", "b"`}, []string{`ETag: "a"`}, false},
		{"a star neither", []string{"If-Range: *"}, []string{`ETag: "a"`}, false},
		{"nor nothing", []string{"If-Range: "}, []string{`ETag: "a"`}, false},
		{"several lines", []string{`If-Range: "a"`, `If-Range: "a"`}, []string{`ETag: "a"`}, false},
		{"a tag does not fall back on the date", []string{`If-Range: "b"`},
			[]string{`ETag: "a"`, date, modified}, false},

		{"the date", []string{"If-Range: " + ago(time.Hour)}, []string{date, modified}, true},
		{"beside a tag, even a weak one", []string{"If-Range: " + ago(time.Hour)},
			[]string{`ETag: W/"a"`, date, modified}, true},
		{"in an obsolete form", []string{"If-Range: Wed Jul  1 11:00:00 2026"},
			[]string{date, modified}, true},
		{"an exact match: not later", []string{"If-Range: " + ago(time.Hour-time.Second)},
			[]string{date, modified}, false},
		{"nor earlier", []string{"If-Range: " + ago(time.Hour+time.Second)},
			[]string{date, modified}, false},
		{"the date twice", []string{"If-Range: " + ago(time.Hour), "If-Range: " + ago(time.Hour)},
			[]string{date, modified}, false},
		{"no date", []string{"If-Range: yesterday"},
			[]string{date, "Last-Modified: yesterday"}, false},
		{"no date, and a Last-Modified at the zero time", []string{"If-Range: yesterday"},
			[]string{date, "Last-Modified: Mon, 01 Jan 0001 00:00:00 GMT"}, false},
		{"Date does not stand in for Last-Modified", []string{"If-Range: " + ago(0)},
			[]string{date}, false},
		{"a Last-Modified that comes twice", []string{"If-Range: " + ago(time.Hour)},
			[]string{date, modified, modified}, false},

		{"§8.8.2.2 strong: Date a second later", []string{"If-Range: " + ago(time.Second)},
			[]string{date, "Last-Modified: " + ago(time.Second)}, true},
		{"§8.8.2.2 weak: Date the same", []string{"If-Range: " + ago(0)},
			[]string{date, "Last-Modified: " + ago(0)}, false},
		{"§8.8.2.2 weak: Date earlier", []string{"If-Range: " + ahead(time.Hour)},
			[]string{date, "Last-Modified: " + ahead(time.Hour)}, false},
		{"§8.8.2.2 strong: no Date, and it came a second later",
			[]string{"If-Range: " + ago(time.Hour)}, []string{modified}, true},
		{"§8.8.2.2 weak: no Date, and it came at once", []string{"If-Range: " + ago(0)},
			[]string{"Last-Modified: " + ago(0)}, false},
		{"§8.8.2.2 weak: two", []string{"If-Range: " + ago(time.Hour)},
			[]string{date, date, modified}, false},
		{"§8.8.2.2 weak: none that can be read", []string{"If-Range: " + ago(time.Hour)},
			[]string{"Date: now", modified}, false},
		{"§8.8.2.2 weak: so before the zero time",
			[]string{"If-Range: Sat, 01 Jan 0000 00:00:00 GMT"},
			[]string{"Date: now", "Last-Modified: Sat, 01 Jan 0000 00:00:00 GMT"}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for value, met := range map[string]string{
				"bytes=2-3": "2-3", "bytes=10-": unsatisfiable,
			} {
				want := whole
				if tt.want {
					want = met
				}
				req := get(append(tt.request, "Range: "+value)...)
				if got := answer(httpcache.Ranges(req, stored(tt.stored...), 10)); got != want {
					t.Errorf("%s: %s; want %s", value, got, want)
				}
			}
			if got := answer(httpcache.Ranges(get(tt.request...), stored(tt.stored...),
				10)); got != whole {
				t.Errorf("without Range: %s", got)
			}
		})
	}
}

func TestContentRange(t *testing.T) { // RFC 9110 §14.4
	for part, want := range map[httpcache.Part]string{
		{First: 0, Last: 499}:     "bytes 0-499/1234",
		{First: 42, Last: 1233}:   "bytes 42-1233/1234",
		{First: 1233, Last: 1233}: "bytes 1233-1233/1234",
	} {
		if got := httpcache.ContentRange(part, 1234); got != want {
			t.Errorf("%s; want %s", got, want)
		}
	}
	if got := httpcache.UnsatisfiedRange(1234); got != "bytes */1234" {
		t.Error(got)
	}
}

func FuzzRanges(f *testing.F) {
	f.Add("bytes=0-1", "", "", int64(10))
	f.Add("bytes=0-0,-1, 5-", `"a"`, `"a"`, int64(10))
	f.Add("bytes=10-,-0", ago(time.Hour), ago(time.Hour), int64(10))
	f.Add("Bytes=,1-99999999999999999999,", "x", "y", int64(math.MaxInt64))
	f.Add("bytes=-5", "", "", int64(0))
	f.Add("bytes=0-0"+strings.Repeat(",0-0", 16), "", "", int64(1))
	f.Fuzz(func(t *testing.T, value, condition, validator string, size int64) {
		req := httpfield.Request{Method: "GET", Fields: httpfield.Header{"Range": {value}}}
		if condition != "" {
			req.Fields.(httpfield.Header)["If-Range"] = []string{condition}
		}
		s := stored(date)
		s.Fields.(httpfield.Header)["Etag"] = []string{validator}
		s.Fields.(httpfield.Header)["Last-Modified"] = []string{validator}
		got := httpcache.Ranges(req, s, size)
		if strings.HasPrefix(answer(got), "no decision") {
			t.Fatal(answer(got))
		}
		if got.Answer != httpcache.RangeIgnored && condition != "" && condition[0] == '"' &&
			condition != validator {
			t.Fatalf("%+v for %q, stored %q", got, condition, validator)
		}
		if got.Answer == httpcache.RangeUnsatisfiable && size < 0 || len(got.Parts) > 16 {
			t.Fatalf("%+v of %d", got, size)
		}
		total := big.NewInt(0)
		for _, p := range got.Parts {
			if p.First < 0 || p.First > p.Last || p.Last >= size || p.Len() != p.Last-p.First+1 {
				t.Fatalf("%+v of %d", p, size)
			}
			total.Add(total, big.NewInt(p.Len()))
		}
		if double := new(big.Int).Mul(big.NewInt(2), big.NewInt(size)); len(got.Parts) > 0 &&
			total.Cmp(double) > 0 {
			t.Fatalf("%d bytes of %d", total, size)
		}
	})
}

// The oracle reads a Range by regular expressions and big numbers, and the ranges as sets of bytes.
var (
	oracleSet  = regexp.MustCompile(`^[bB][yY][tT][eE][sS]=([0-9, \t-]*)$`)
	oracleSpec = regexp.MustCompile(`^([0-9]*)-([0-9]*)$`)
)

func oracle(value string, size int) string {
	m := oracleSet.FindStringSubmatch(value)
	if m == nil {
		return whole
	}
	var asked, satisfiable, shared int
	covered := make([]int, size) // how many ranges have the byte
	var sets [][]int
	var parts []string
	for _, member := range strings.Split(m[1], ",") {
		if member = strings.Trim(member, " \t"); member == "" {
			continue
		}
		asked++
		spec := oracleSpec.FindStringSubmatch(member)
		if spec == nil || spec[1]+spec[2] == "" {
			return whole
		}
		number := func(s string) *big.Int {
			n, _ := new(big.Int).SetString(s, 10)
			if ceiling := big.NewInt(math.MaxInt64); n.Cmp(ceiling) > 0 {
				return ceiling
			}
			return n
		}
		var set []int
		for i := range size {
			at, in := big.NewInt(int64(i)), false
			switch {
			case spec[1] == "":
				in = big.NewInt(int64(size-i)).Cmp(number(spec[2])) <= 0
			case spec[2] == "":
				in = at.Cmp(number(spec[1])) >= 0
			default:
				in = at.Cmp(number(spec[1])) >= 0 && at.Cmp(number(spec[2])) <= 0
			}
			if in {
				set = append(set, i)
				covered[i]++
			}
		}
		switch {
		case spec[1] != "" && spec[2] != "" && number(spec[1]).Cmp(number(spec[2])) > 0:
			return whole
		case spec[1] == "" && number(spec[2]).Sign() > 0, len(set) > 0:
			satisfiable++
		}
		if len(set) > 0 {
			sets = append(sets, set)
			parts = append(parts, fmt.Sprintf("%d-%d", set[0], set[len(set)-1]))
		}
	}
	for _, set := range sets {
		if slices.ContainsFunc(set, func(i int) bool { return covered[i] > 1 }) {
			shared++
		}
	}
	switch {
	case asked == 0, asked > 16, shared > 2:
		return whole
	case satisfiable == 0:
		return unsatisfiable
	case len(parts) == 0:
		return whole
	}
	return strings.Join(parts, " ")
}

// oneIn is true once in n draws.
func oneIn(t *rapid.T, n int, label string) bool {
	return rapid.SampledFrom(append(make([]bool, n-1), true)).Draw(t, label)
}

// drawRange draws a Range that is mostly valid, of ranges that are near enough to meet.
func drawRange(t *rapid.T) string {
	number := func(t *rapid.T, label string) string {
		if oneIn(t, 6, label+" odd") {
			return rapid.SampledFrom([]string{
				"0", "00", "007", "9223372036854775807", "9223372036854775808",
				"99999999999999999999",
			}).Draw(t, label)
		}
		return fmt.Sprint(rapid.SampledFrom(positions).Draw(t, label))
	}
	member := rapid.Custom(func(t *rapid.T) string {
		switch {
		case oneIn(t, 60, "bad"):
			return rapid.SampledFrom([]string{
				"-", "5", "x", "1-2-3", "--1", "0 -1", "+1-2", "9-8",
			}).Draw(t, "junk")
		case oneIn(t, 10, "none"):
			return rapid.SampledFrom([]string{"", " ", "\t"}).Draw(t, "empty")
		case oneIn(t, 6, "suffix"):
			return "-" + number(t, "length")
		case oneIn(t, 6, "open"):
			return number(t, "first") + "-"
		case oneIn(t, 30, "any"):
			return number(t, "first") + "-" + number(t, "last")
		}
		first := rapid.SampledFrom(positions).Draw(t, "first")
		return fmt.Sprintf("%d-%d", first, first+rapid.IntRange(0, 4).Draw(t, "more"))
	})
	unit := "bytes="
	if oneIn(t, 10, "odd unit") {
		unit = rapid.SampledFrom([]string{
			"BYTES=", "bYteS=", "bytes= ", "bytes =", "items=", "bytes", "",
		}).Draw(t, "unit")
	}
	least := rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 15}).Draw(t, "least")
	return unit +
		strings.Join(rapid.SliceOfN(member, least, least+3).Draw(t, "members"),
			rapid.SampledFrom([]string{",", ", ", " ,\t"}).Draw(t, "comma"))
}

// positions are 0 to 99, to draw from evenly.
var positions = func() (all []int) {
	for i := range 100 {
		all = append(all, i)
	}
	return all
}()

func TestRangesAsReadNaively(t *testing.T) {
	conditions := []struct {
		lines []string
		holds bool
	}{
		{[]string{`"a"`}, true}, {[]string{`W/"a"`}, false}, {[]string{`"b"`}, false},
		{[]string{`"a"`, `"a"`}, false},
		{[]string{ago(time.Hour)}, true}, {[]string{ago(time.Minute)}, false},
		{[]string{""}, false},
	}
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		value, size := drawRange(t), rapid.SampledFrom(positions).Draw(t, "size")
		if oneIn(t, 10, "no body") {
			size = 0
		}
		req, want := get(), oracle(value, size)
		req.Fields.(httpfield.Header)["Range"] = []string{value}
		if oneIn(t, 8, "conditional") {
			condition := rapid.SampledFrom(conditions).Draw(t, "If-Range")
			req.Fields.(httpfield.Header)["If-Range"] = condition.lines
			if !condition.holds {
				want = whole
			}
		}
		got := answer(httpcache.Ranges(req,
			stored(date, `ETag: "a"`, "Last-Modified: "+ago(time.Hour)), int64(size)))
		if got != want {
			t.Fatalf("%q of %d bytes, If-Range %q: %s; want %s",
				value, size, req.Fields.Values("If-Range"), got, want)
		}
		switch {
		case strings.Contains(got, " "):
			seen["several parts"] = true
		case strings.Contains(got, "-"):
			seen["one part"] = true
		default:
			seen[got] = true
		}
	})
	if len(seen) != 4 {
		t.Errorf("seen: %v", seen)
	}
}
