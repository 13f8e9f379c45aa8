package httpfield

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseCacheControl(t *testing.T) { // RFC 9111 §5.2
	seconds := func(n int) Delta { return Delta{Value: time.Duration(n) * time.Second, Set: true} }
	for _, tt := range []struct {
		rule  string
		lines []string
		want  Directives // but Present
	}{
		{"names are case-insensitive", []string{"No-STORE, Max-Age=5"},
			Directives{NoStore: true, MaxAge: seconds(5)}},
		{"every directive of responses",
			[]string{"must-revalidate, must-understand, no-cache, no-store, no-transform, " +
				"private, proxy-revalidate, public, immutable"},
			Directives{MustRevalidate: true, MustUnderstand: true, NoCache: true, NoStore: true,
				NoTransform: true, Private: true,
				ProxyRevalidate: true, Public: true, Immutable: true}},
		{"every directive with a number",
			[]string{"max-age=1, s-maxage=2, min-fresh=3, max-stale=4, stale-while-revalidate=5, " +
				"stale-if-error=6"},
			Directives{MaxAge: seconds(1), SMaxAge: seconds(2), MinFresh: seconds(3),
				MaxStale: seconds(4), StaleWhileRevalidate: seconds(5), StaleIfErr: seconds(6)}},
		{"only-if-cached, and max-stale of any age", []string{"only-if-cached, max-stale"},
			Directives{OnlyIfCached: true, MaxStaleAny: true}},
		{"lines are one list", []string{"no-store", "", "max-age=5"},
			Directives{NoStore: true, MaxAge: seconds(5)}},
		{"unknown directives are ignored (§5.2.3)",
			[]string{`a, b=c, d="max-age=1, no-store", public`}, Directives{Public: true}},
		{"an argument where none is defined changes nothing", []string{"no-store=1, public=x"},
			Directives{NoStore: true, Public: true}},

		{"a number in quotes is a number", []string{`max-age="5"`}, Directives{MaxAge: seconds(5)}},
		{"zeros in front do no harm", []string{"max-age=005"}, Directives{MaxAge: seconds(5)}},
		{"a number over 2^31 is 2^31 (§1.2.2)", []string{"max-age=99999999999999999999"},
			Directives{MaxAge: Delta{MaxDelta, true}}},
		{"what is no number is 0", []string{"max-age=abc, s-maxage=-5"},
			Directives{MaxAge: seconds(0), SMaxAge: seconds(0)}},
		{"so is a fraction, a single-quoted number, and none",
			[]string{"max-age=5.0, s-maxage='5', stale-if-error"},
			Directives{MaxAge: seconds(0), SMaxAge: seconds(0), StaleIfErr: seconds(0)}},
		{"min-fresh that is no number is the greatest", []string{"min-fresh=x"},
			Directives{MinFresh: Delta{MaxDelta, true}}},
		{"max-stale that is no number is not there", []string{"max-stale=x"}, Directives{}},
		{"of two the lesser counts", []string{"max-age=5, max-age=7, s-maxage=7", "s-maxage=5"},
			Directives{MaxAge: seconds(5), SMaxAge: seconds(5)}},
		{"of two, one of which is no number, 0 counts", []string{"max-age=5, max-age=x"},
			Directives{MaxAge: seconds(0)}},
		{"of two min-fresh the greater counts", []string{"min-fresh=5, min-fresh=7"},
			Directives{MinFresh: seconds(7)}},

		{"no-cache and private may name fields",
			[]string{`no-cache="set-cookie, x-a", private="x-b"`},
			Directives{NoCacheFields: []string{"Set-Cookie", "X-A"},
				PrivateFields: []string{"X-B"}}},
		{"one name needs no quotes", []string{"no-cache=x-a, private=x-b"},
			Directives{NoCacheFields: []string{"X-A"}, PrivateFields: []string{"X-B"}}},
		{"names add up, and do not take back the whole",
			[]string{`private="a", private, private="b"`},
			Directives{Private: true, PrivateFields: []string{"A", "B"}}},
		{"no names are the whole", []string{`no-cache="", private=" , "`},
			Directives{NoCache: true, Private: true}},
		{"bad names are the whole", []string{`no-cache="a b", private="a;b"`},
			Directives{NoCache: true, Private: true}},

		{"a space before = breaks the directive", []string{"max-age =5"},
			Directives{Broken: true, MaxAge: seconds(0)}},
		{"and one behind", []string{"max-age= 5"}, Directives{Broken: true, MaxAge: seconds(0)}},
		{"a colon", []string{"max-age: 5"}, Directives{Broken: true, MaxAge: seconds(0)}},
		{"a semicolon, but what stands before it holds", []string{"no-store; max-age=5"},
			Directives{Broken: true, NoStore: true}},
		{"a missing comma", []string{"no-cache no-store"}, Directives{Broken: true, NoCache: true}},
		{"no name", []string{"=5, public"}, Directives{Broken: true, Public: true}},
		{"an empty argument", []string{"max-age="}, Directives{Broken: true, MaxAge: seconds(0)}},
		{"an open quote, which may hide anything", []string{`no-store, private="a, max-age=5`},
			Directives{Broken: true, NoStore: true, Private: true}},
		{"an open quote ends with its line", []string{`a="`, "max-age=5"},
			Directives{Broken: true, MaxAge: seconds(5)}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			tt.want.Present = true
			if got := ParseCacheControl(tt.lines); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseCacheControl(%q)\n got %+v\nwant %+v", tt.lines, got, tt.want)
			}
		})
	}
}

func TestAnAbsentCacheControlIsTheZeroValue(t *testing.T) {
	if got := ParseCacheControl(nil); !reflect.DeepEqual(got, Directives{}) {
		t.Errorf("%+v", got)
	}
}

func TestParsingACommonCacheControlDoesNotAllocate(t *testing.T) {
	lines := []string{"private, max-age=600, must-revalidate"}
	if n := testing.AllocsPerRun(100, func() { ParseCacheControl(lines) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// naiveCacheControl reads a field line into name-argument pairs by one regular expression. ok is
// false if the line is not of the grammar's form.
func naiveCacheControl(s string) (pairs [][2]string, ok bool) {
	const token = "[-!#$%&'*+.^_`|~0-9A-Za-z]+"
	directive := regexp.MustCompile(`\A[ \t]*(` + token + `)(?:=(` + token +
		`|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\x{10ffff}]|\\[\t\x20-\x7e\x80-\x{10ffff}])*"))?[ \t]*(?:,|\z)`)
	empty := regexp.MustCompile(`\A[ \t]*(?:,|\z)`)
	for s != "" {
		if m := empty.FindString(s); m != "" {
			s = s[len(m):]
			continue
		}
		m := directive.FindStringSubmatch(s)
		if m == nil {
			return nil, false
		}
		pairs = append(pairs, [2]string{strings.ToLower(m[1]), m[2]})
		s = s[len(m[0]):]
	}
	return pairs, true
}

// naiveSeconds is the value of s-maxage and its like by their pairs; -1 if they are not there.
func naiveSeconds(pairs [][2]string, name string) int64 {
	least := int64(-1)
	for _, p := range pairs {
		if p[0] != name {
			continue
		}
		n := int64(0)
		if arg := regexp.MustCompile(`\A(?:"([0-9]*)"|([0-9]*))\z`).
			FindStringSubmatch(strings.ReplaceAll(p[1], `\`, "")); arg != nil {
			digits := strings.TrimLeft(arg[1]+arg[2], "0")
			if len(digits) > 18 {
				digits = "9999999999"
			}
			n, _ = strconv.ParseInt(cmp.Or(digits, "0"), 10, 64)
			n = min(n, 1<<31)
		}
		if least < 0 || n < least {
			least = n
		}
	}
	return least
}

func FuzzParseCacheControl(f *testing.F) {
	for _, s := range []string{
		"no-store", "max-age=5, max-age=7", `private="set-cookie, a", no-cache`, `max-age="\5"`,
		"max-age =5", `a="b\",c",public`,
		"Max-AGE=99999999999999999999", "no-store; x", `x="`, ",,=,",
		"s-maxage='1', must-understand", "public,no-cache=a\x00", "max-age=\"1\\",
		"min-fresh=1,max-stale",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := ParseCacheControl([]string{s})
		pairs, ok := naiveCacheControl(s)
		if d.Broken == ok {
			t.Fatalf("ParseCacheControl(%q).Broken = %v", s, d.Broken)
		}
		if !ok {
			return
		}
		has := func(name string) bool {
			return slices.ContainsFunc(pairs, func(p [2]string) bool { return p[0] == name })
		}
		for name, got := range map[string]bool{
			"no-store": d.NoStore, "public": d.Public, "must-revalidate": d.MustRevalidate,
			"proxy-revalidate": d.ProxyRevalidate,
			"must-understand":  d.MustUnderstand, "immutable": d.Immutable,
			"only-if-cached": d.OnlyIfCached, "no-transform": d.NoTransform,
			"private":  d.Private || len(d.PrivateFields) > 0,
			"no-cache": d.NoCache || len(d.NoCacheFields) > 0,
		} {
			if got != has(name) {
				t.Fatalf("%q: %s is %v", s, name, got)
			}
		}
		for name, got := range map[string]Delta{
			"max-age": d.MaxAge, "s-maxage": d.SMaxAge, "stale-if-error": d.StaleIfErr,
		} {
			want := naiveSeconds(pairs, name)
			if got.Set != (want >= 0) || got.Set && int64(got.Value/time.Second) != want {
				t.Fatalf("%q: %s is %+v; naively %d", s, name, got, want)
			}
		}
	})
}
