package httpfield

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSelectingByPreferences(t *testing.T) {
	many := strings.Repeat("a,", maxPreferences-1) + "a"
	const (
		accept, charset, encoding, language = "Accept", "Accept-Charset",
			"Accept-Encoding", "Accept-Language"
	)
	for _, tt := range []struct {
		rule  string
		name  string
		value string
		want  []string
	}{
		{"weights are numbers (RFC 9110 §12.4.2)", language,
			"a;q=0.80, b;q=0.800, c;q=0.8, d;q=0.08, e;q=0.000, f;q=0., g;q=0",
			[]string{"a;q=0.8", "b;q=0.8", "c;q=0.8", "d;q=0.08", "e;q=0", "f;q=0", "g;q=0"}},
		{"no weight is 1", language, "a, b;q=1, c;q=1., d;q=1.000, e;Q=1.0",
			[]string{"a", "b", "c", "d", "e"}},
		{"the heaviest come first", language, "a;q=0.1, b, c;q=0.5",
			[]string{"b", "c;q=0.5", "a;q=0.1"}},
		{"those of equal weight in the order sent (§12.5.4)", language, "b;q=0.5, d, a;q=0.5, c",
			[]string{"d", "c", "b;q=0.5", "a;q=0.5"}},
		{"a weight of 0 is not the same as nothing", language, "a, *;q=0", []string{"a", "*;q=0"}},
		{"white space around a semicolon means nothing (§5.6.6)", language, "a\t; q=0.5",
			[]string{"a;q=0.5"}},
		{"empty members do not count (§5.6.1.2)", language, ", a,,b ,", []string{"a", "b"}},
		{"nor do empty parameters (§5.6.6)", language, "a;;q=0.5;", []string{"a;q=0.5"}},
		{"a list without members is an empty one", encoding, " , ,", []string{""}},
		{"what is there twice stays", language, "a, b, a", []string{"a", "b", "a"}},

		{"case means nothing in language ranges (RFC 4647 §2)", language, "de-AT, EN",
			[]string{"de-at", "en"}},
		{"nor in content codings (§8.4.1)", encoding, "GZip, Br", []string{"gzip", "br"}},
		{"nor in charsets (§8.3.2)", charset, "UTF-8, *", []string{"utf-8", "*"}},
		{"nor in media types (§8.3.1)", accept, "Text/HTML, */*", []string{"text/html", "*/*"}},
		{"nor in names of parameters, but in their values", accept,
			`a/b;Charset=UTF-8;C="D, e; f";q=0.10`,
			[]string{`a/b;charset=UTF-8;c="D, e; f";q=0.1`}},
		{"x-gzip is gzip, x-compress compress (§8.4.1.1, §8.4.1.3)", encoding,
			"x-gzip, X-Compress;q=0.5, x-br", []string{"gzip", "x-br", "compress;q=0.5"}},
		{"one of them alone too", encoding, "x-gzip", []string{"gzip"}},
		{"but only of codings", charset, "x-gzip", []string{"x-gzip"}},

		{"a weight over 1 leaves the field as it is", language, "b;q=1.1, A",
			[]string{"b;q=1.1", "A"}},
		{"so does one of four decimals", language, "b;q=0.1234, A", []string{"b;q=0.1234", "A"}},
		{"and one that is no number, quoted, or without its zero", language,
			`b;q=x, c;q="0.5", d;q=.5, e;q=-0, f;q=, g;q`,
			[]string{"b;q=x", `c;q="0.5"`, "d;q=.5", "e;q=-0", "f;q=", "g;q"}},
		{"and white space around =", language, "b;q =0.5, A", []string{"b;q =0.5", "A"}},
		{"and two weights", language, "b;q=0.5;q=0.5, A", []string{"b;q=0.5;q=0.5", "A"}},
		{"and what is no token", language, "b c, A", []string{"b c", "A"}},
		{"and a parameter that the field does not have", encoding, "gzip;level=9, BR",
			[]string{"gzip;level=9", "BR"}},
		{"and what is no media range", accept, "text, A/b, a/b/c, /b",
			[]string{"text", "A/b", "a/b/c", "/b"}},
		{"and a parameter after the weight (RFC 7231 §5.3.2)", accept, "a/b;q=0.5;c=d, A/b",
			[]string{"a/b;q=0.5;c=d", "A/b"}},
		{"and a parameter of another form", accept, `a/b;c=d e, A/b;c, c/d;"e"=f`,
			[]string{"a/b;c=d e", "A/b;c", `c/d;"e"=f`}},
		{"and an open quote between semicolons, which another member closes", accept,
			`a/b;c=", A/b;d="`, []string{`a/b;c=", A/b;d="`}},
		{"and two weights for one thing", language, "EN;q=0.5, de, en;q=0.6",
			[]string{"EN;q=0.5", "de", "en;q=0.6"}},
		{"be it under two names", encoding, "X-GZIP, gzip;q=0", []string{"X-GZIP", "gzip;q=0"}},
		{"64 members are put in order", language, "b;q=0.5," + many[2:],
			append(strings.Split(many[2:], ","), "b;q=0.5")},
		{"65 are not", language, "b;q=0.5," + many,
			append([]string{"b;q=0.5"}, strings.Split(many, ",")...)},
		{"empty ones not counted", language, ",," + many, strings.Split(many, ",")},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := Selecting(tt.name, []string{tt.value}); !slices.Equal(got, tt.want) {
				t.Errorf("Selecting(%s, %q)\n got %q\nwant %q", tt.name, tt.value, got, tt.want)
			}
		})
	}
}

// drawLanguages draws the members of an Accept-Language that says little, in many ways, and is
// seldom faulty.
func drawLanguages(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.StringMatching(
		`(en|EN|de|\*)( ?; ?[qQ]=(0|0\.5|0\.50|0\.4|1|1\.0|1\.5))?|`), 1, 4).Draw(t, label)
}

// naiveLanguages is a second reading of Accept-Language. The heaviest come first. A list that gives
// a range two weights or one that is none means only itself.
func naiveLanguages(members []string) string {
	form := regexp.MustCompile(`\A([a-z*]+)(?: ?; ?q=([0-9.]+))?\z`)
	byWeight, weights := map[float64][]string{}, map[string]float64{}
	for _, m := range members {
		if m == "" {
			continue
		}
		parts := form.FindStringSubmatch(strings.ToLower(m))
		weight := 1.0
		if parts[2] != "" {
			weight, _ = strconv.ParseFloat(parts[2], 64)
		}
		if other, twice := weights[parts[1]]; weight > 1 || twice && other != weight {
			return "as it is: " + strings.Join(members, ",")
		}
		weights[parts[1]] = weight
		byWeight[weight] = append(byWeight[weight], parts[1])
	}
	return fmt.Sprint(byWeight) // which prints maps in the order of their keys
}

func TestLanguagesAreAlikeIfAndOnlyIfTheyMeanTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawLanguages(t, "a"), drawLanguages(t, "b")
		x, y := Selecting("Accept-Language", a), Selecting("Accept-Language", b)
		if slices.Equal(x, y) != (naiveLanguages(a) == naiveLanguages(b)) {
			t.Fatalf("%q and %q: %q and %q", a, b, x, y)
		}
	})
}

func TestLinesAndWhiteSpaceNeverChangeWhatIsSelected(t *testing.T) {
	members := map[string]*rapid.Generator[string]{
		"Accept-Language": rapid.StringMatching(`(en|EN|de|\*)(;q=(0|0\.50|1|9))?`),
		"Accept": rapid.StringMatching(
			`(a|\*)/[bB*](;c=(d|"e, f"|"))?(;q=(0|0\.50|1|9))?`),
		"X-A": rapid.StringMatching(`[ab"]{0,3}`),
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"Accept-Language", "Accept", "X-A"}).Draw(t, "name")
		list := rapid.SliceOfN(members[name], 1, 5).Draw(t, "members")
		if _, ok := allMembers(list); !ok {
			return // its lines are all that is known
		}
		space := rapid.StringMatching(`[ \t]{0,2}`)
		lines := []string{""}
		for i, m := range list {
			last := &lines[len(lines)-1]
			switch {
			case i == 0:
			case rapid.Bool().Draw(t, "split"):
				lines = append(lines, "")
				last = &lines[len(lines)-1]
			default:
				*last += ","
			}
			*last += space.Draw(t, "before") + m + space.Draw(t, "behind")
		}
		want := Selecting(name, []string{strings.Join(list, ",")})
		if got := Selecting(name, lines); !slices.Equal(got, want) {
			t.Fatalf("%s: %q is %q, and %q is %q", name, list, want, lines, got)
		}
	})
}

func TestAnotherWeightOrOrderIsAnotherPreference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{2}`), 2, 6,
			rapid.ID).Draw(t, "names")
		weights := rapid.SliceOfN(rapid.IntRange(0, fullWeight), len(names),
			len(names)).Draw(t, "weights")
		list := func() (out []string) {
			for i, n := range names {
				out = append(out,
					fmt.Sprintf("%s;q=%d.%03d", n, weights[i]/fullWeight, weights[i]%fullWeight))
			}
			return Selecting("Accept-Language", []string{strings.Join(out, ",")})
		}
		i := rapid.IntRange(0, len(names)-2).Draw(t, "i")
		weights[i+1] = weights[i]
		before := list()
		names[i], names[i+1] = names[i+1], names[i]
		if after := list(); slices.Equal(before, after) {
			t.Fatalf("in another order also %q", after)
		}
		names[i], names[i+1] = names[i+1], names[i]
		weights[i] = (weights[i] + rapid.IntRange(1, fullWeight).Draw(t, "by")) % (fullWeight + 1)
		if after := list(); slices.Equal(before, after) {
			t.Fatalf("with another weight also %q", after)
		}
	})
}

func TestAcceptsCoding(t *testing.T) {
	for _, c := range []struct {
		values []string
		coding string
		want   bool
	}{
		{nil, "gzip", true}, {[]string{""}, "gzip", false}, {[]string{""}, "identity", true},
		{[]string{"br", "gzip"}, "GZIP", true}, {[]string{"gzip;q=0"}, "gzip", false},
		{[]string{"x-gzip"}, "gzip", true}, {[]string{"gzip"}, "x-gzip", true},
		{[]string{"*"}, "br", true}, {[]string{"*;q=0"}, "br", false},
		{[]string{"*;q=0"}, "identity", false},
		{[]string{"*;q=0, br"}, "br", true}, {[]string{"br;q=0, *"}, "br", false},
		{[]string{"identity;q=0, *"}, "identity", false}, {[]string{"gzip;q=2"}, "br", true},
		{[]string{`gzip;q="`}, "br", true},
	} {
		if got := AcceptsCoding(c.values, c.coding); got != c.want {
			t.Errorf("%q accepts %s: %t", c.values, c.coding, got)
		}
	}
}
