package cachekeys_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

func TestTheCanonicalQueryIsSortedByNameWithEqualNamesInTheirOrder(t *testing.T) {
	for raw, want := range map[string]string{
		"":                "",
		"a=1":             "a=1",
		"b=2&a=1":         "a=1&b=2",
		"a=2&a=1":         "a=2&a=1",
		"b=1&a=2&b=0&a=1": "a=2&a=1&b=1&b=0",
		"B=1&a=2&b=0":     "a=2&B=1&b=0", // some backends read names without regard to case
		"%62=1&a=2":       "a=2&%62=1",
		"b&a":             "a&b",
		"b=%zz&a=%zz":     "a=%zz&b=%zz",
		"b=1;c=2&a=3":     "b=1;c=2&a=3", // some backends split at ';' too: nothing is moved
		"a=1&&b":          "&a=1&b",

		// names that some backends take for one, or for members of one object, stay in their order
		"sort[name]=1&sort[age]=1&a=2": "a=2&sort[name]=1&sort[age]=1",
		"b=1&a%5B1%5D=x&a%5B0%5D=y":    "a%5B1%5D=x&a%5B0%5D=y&b=1",
		"a_b=1&a.b=2&a%20b=3":          "a_b=1&a.b=2&a%20b=3", // PHP
		"id[]=1&id=2&[id]=3":           "id[]=1&id=2&[id]=3",
		"page=2&utm_a=x&a":             "a&page=2&utm_a=x",
	} {
		if got := cachekeys.ParseQuery(raw).Canonical(); got != want {
			t.Errorf("%q becomes %q, want %q", raw, got, want)
		}
	}
}

func TestParametersOfDifferentNamesCanStandInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]=[0-9]{0,2}`), 1, 6,
			func(s string) string { return s[:1] }).Draw(t, "pairs")
		shuffled := rapid.Permutation(pairs).Draw(t, "shuffled")
		a, b := cachekeys.ParseQuery(strings.Join(pairs, "&")),
			cachekeys.ParseQuery(strings.Join(shuffled, "&"))
		if a.Canonical() != b.Canonical() {
			t.Fatalf("%q and %q", a.Canonical(), b.Canonical())
		}
	})
}

func TestAParameterIsKnownOnlyWhereItsValueIsCertain(t *testing.T) {
	for _, c := range []struct {
		raw, name, value string
		ok               bool
	}{
		{"page=2", "page", "2", true},
		{"page=", "page", "", true},
		{"page", "page", "", true},
		{"pa%67e=a%20b+c", "page", "a b c", true},
		{"page=1&page=2", "page", "", false},
		{"page=%zz", "page", "", false},
		{"page=1;x=2", "page", "", false},
		{"Page=1", "page", "", false},
		{"page=1&page[0]=2", "page", "", false},
		{"page=1&page%5Bx%5D=2", "page", "", false},
		{"page[a]=1&page[b]=2", "page[a]", "1", true},
		{"page[a]=1&page[a]=2", "page[a]", "", false},
		{"", "page", "", false},
	} {
		if value, ok := cachekeys.ParseQuery(c.raw).Get(c.name); value != c.value || ok != c.ok {
			t.Errorf("%q of %q is %q, %t", c.name, c.raw, value, ok)
		}
	}
}

func TestDroppedParametersLeaveTheOthersAsTheyWere(t *testing.T) {
	drop := func(name string) bool { return strings.HasPrefix(name, "utm_") }
	for raw, want := range map[string]string{
		"b=2&utm_x=1&a=%zz": "b=2&a=%zz", "utm_x=1": "", "%75tm_x=1&a": "a", "a=1": "a=1", "": "",
	} {
		q, dropped := cachekeys.ParseQuery(raw).Without(drop)
		if q.Raw() != want || dropped != (raw != want) {
			t.Errorf("%q becomes %q, %t", raw, q.Raw(), dropped)
		}
	}
}

func TestAQueryIsLessWhatDoesNotMatter(t *testing.T) { // draft-ietf-httpbis-no-vary-search §6
	for _, c := range []struct {
		name, rule, raw, want string
		ok                    bool
	}{
		{"what is listed goes", `params=("x")`, "b=2&x=1&a=%zz&x", "b=2&a=%zz", true},
		{"however it is encoded", `params=("x y")`, "x+y=1&%78%20%79&a", "a", true},
		{"exactly that", `params=("x")`, "X=1&xx=2&x%20", "X=1&xx=2&x%20", true},
		{"all goes but what is listed", `except=("x")`, "b=2&x=1&a&x=0", "x=1&x=0", true},
		{"in any case of letters", `except=("productId")`, "productid=1&id=2", "productid=1", true},
		{"all goes", "except=()", "a=1&b&=", "", true},
		{"the only one goes", `params=("x")`, "x=1", "", true},
		{"there was none", `params=("x")`, "", "", true},
		{"empty parameters are none", `params=("x")`, "&a=1&&x&", "a=1", true},
		{"but a parameter may have an empty name", `params=("x")`, "=1&x", "=1", true},
		{"which may not matter", `params=("")`, "=1&x", "x", true},
		{"an order takes nothing away", "key-order", "b=1&a=2", "b=1&a=2", true},
		{"what cannot be decoded has a name nonetheless", `except=("%zz+b")`,
			"%zz+b=1&%zz%2Bb=2", "%zz+b=1", true},
		{"what is not UTF-8 stays", "except=()", "%f6=1&a=%f6", "%f6=1", true},
		{"a ';' may be in the way", "except=()", "a=1;x=2&x=1", "a=1;x=2&x=1", false},
		{"but not an encoded one", "except=()", "a=1%3Bx=2", "", true},
	} {
		v, valid := httpfield.NoVarySearch([]string{c.rule})
		if got, ok := cachekeys.ParseQuery(c.raw).Select(v); !valid ||
			got.Raw() != c.want || ok != c.ok {
			t.Errorf("%s: under %s %q becomes %q, %t; want %q, %t",
				c.name, c.rule, c.raw, got.Raw(), ok, c.want, c.ok)
		}
	}
}

// naivelyMattering are the parameters of a query that the draft compares, without regard to case
// where only few matter.
func naivelyMattering(raw string, v httpfield.SearchVariance) []string {
	names := strings.NewReplacer("%61", "a", "+", " ", "%20", " ")
	var kept []string
	for _, p := range strings.Split(raw, "&") {
		if p == "" {
			continue
		}
		name := names.Replace(strings.SplitN(p, "=", 2)[0])
		listed := false
		for _, l := range v.Params {
			listed = listed || name == l || v.All && strings.EqualFold(name, l)
		}
		if listed == v.All {
			kept = append(kept, p)
		}
	}
	return kept
}

var (
	rules  = rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a b", "c", "%zz", ""}), 0, 3)
	pieces = rapid.SliceOfN(rapid.StringMatching(`((a|%61|A|b|b\+|a%20b|%zz)(=[12]?)?)?`), 0, 5)
)

func TestTwoReadingsAgreeOnWhatMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := httpfield.SearchVariance{
			All: rapid.Bool().Draw(t, "all"), Params: rules.Draw(t, "names"),
		}
		raw := strings.Join(pieces.Draw(t, "query"), "&")
		got, ok := cachekeys.ParseQuery(raw).Select(v)
		if want := strings.Join(naivelyMattering(raw, v), "&"); !ok || got.Raw() != want {
			t.Fatalf("under %s %q becomes %q, %t; naively %q", v, raw, got.Raw(), ok, want)
		}
		if again, ok := got.Select(v); !ok || again.Raw() != got.Raw() ||
			!slices.Equal(again.Names(), got.Names()) {
			t.Fatalf("under %s %q becomes %q, and %q of it", v, raw, got.Raw(), again.Raw())
		}
	})
}

func FuzzSelect(f *testing.F) {
	for _, seed := range [][2]string{
		{`params=("a")`, "a=1&b"}, {`except=("a b")`, "a+b&A%20B=&c"}, {"except=()", "%f6&;"},
		{"key-order", "&&="},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, rule, raw string) {
		v, ok := httpfield.NoVarySearch([]string{rule})
		if !ok {
			return
		}
		got, ok := cachekeys.ParseQuery(raw).Select(v)
		if ok == strings.Contains(raw, ";") || !ok && got.Raw() != raw {
			t.Fatalf("under %s %q becomes %q, %t", v, raw, got.Raw(), ok)
		}
		if !ok {
			return
		}
		// The rest was there before, in that order, and the parameters that went do not matter.
		left := strings.Split(got.Raw(), "&")
		for p := range strings.SplitSeq(raw, "&") {
			if len(left) > 0 && p != "" && p == left[0] {
				left = left[1:]
				continue
			}
			name, certain := httpfield.FormName(strings.SplitN(p, "=", 2)[0])
			if p != "" && (!certain || v.Matters(name)) {
				t.Fatalf("under %s %q becomes %q, without %q", v, raw, got.Raw(), p)
			}
		}
		if got.Raw() != "" && len(left) > 0 {
			t.Fatalf("under %s %q becomes %q", v, raw, got.Raw())
		}
	})
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{"", "a=1&b=2", "&&", "%zz=%", "a;b&c", "=&="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q := cachekeys.ParseQuery(raw)
		if q.Raw() != raw || len(q.Canonical()) != len(raw) {
			t.Errorf("%q: raw %q, canonical %q", raw, q.Raw(), q.Canonical())
		}
		if again := cachekeys.ParseQuery(q.Canonical()).Canonical(); again != q.Canonical() {
			t.Errorf("%q is canonical as %q and then as %q", raw, q.Canonical(), again)
		}
	})
}
