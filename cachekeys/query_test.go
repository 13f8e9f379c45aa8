package cachekeys_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
)

func TestTheCanonicalQueryIsSortedByNameWithEqualNamesInTheirOrder(t *testing.T) {
	for raw, want := range map[string]string{
		"":                 "",
		"a=1":              "a=1",
		"b=2&a=1":          "a=1&b=2",
		"a=2&a=1":          "a=2&a=1",
		"b=1&a=2&b=0&a=1":  "a=2&a=1&b=1&b=0",
		"B=1&a=2&b=0":      "a=2&B=1&b=0", // some backends read names without regard to case
		"%62=1&a=2":        "a=2&%62=1",
		"b&a":              "a&b",
		"b=%zz&a=%zz":      "a=%zz&b=%zz",
		"b=1;c=2&a=3":      "b=1;c=2&a=3", // some backends split at ';' too: nothing is moved
		"a=1&&b":           "&a=1&b",
		"page=2&utm_a=x&a": "a&page=2&utm_a=x",
	} {
		if got := cachekeys.ParseQuery(raw).Canonical(); got != want {
			t.Errorf("%q becomes %q, want %q", raw, got, want)
		}
	}
}

func TestParametersOfDifferentNamesCanStandInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-f]=[0-9]{0,2}`), 1, 6, func(s string) string { return s[:1] }).Draw(t, "pairs")
		shuffled := rapid.Permutation(pairs).Draw(t, "shuffled")
		a, b := cachekeys.ParseQuery(strings.Join(pairs, "&")), cachekeys.ParseQuery(strings.Join(shuffled, "&"))
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
