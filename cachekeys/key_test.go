package cachekeys_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

var secret = []byte("a secret for the keys of this test")

// short texts over few letters, so that neighbours are often alike.
var text = rapid.StringMatching(`[ab:{}*\x00]{0,4}`)

func drawKey(t *rapid.T, label string) cachekeys.Key {
	k := cachekeys.Key{
		Block: text.Draw(t, label+" block"), Scope: text.Draw(t, label+" scope"),
		Partition: text.Draw(t, label+" partition"),
		Authority: text.Draw(t, label+" authority"), Path: text.Draw(t, label+" path"),
		HasQuery: rapid.Bool().Draw(t, label+" has query"),
	}
	if k.HasQuery {
		k.Query = text.Draw(t, label+" query")
	}
	for range rapid.IntRange(0, 2).Draw(t, label+" told") {
		k.Told = append(k.Told, cachekeys.Vary{
			Name:   text.Draw(t, label+" told name"),
			Values: rapid.SliceOfN(text, 0, 2).Draw(t, label+" told values"),
		})
	}
	k.Search = rapid.SampledFrom([]string{"", "?", "a", "?a"}).Draw(t, label+" search")
	for range rapid.IntRange(0, 2).Draw(t, label+" fields") {
		k.Vary = append(k.Vary, cachekeys.Vary{
			Name:   text.Draw(t, label+" name"),
			Values: rapid.SliceOfN(text, 0, 2).Draw(t, label+" values"),
		})
	}
	return k
}

// same compares keys; no values equal an empty list of them.
func same(a, b cachekeys.Key) bool {
	equal := func(x, y cachekeys.Vary) bool {
		return x.Name == y.Name && slices.Equal(x.Values, y.Values)
	}
	if !slices.EqualFunc(a.Vary, b.Vary, equal) || !slices.EqualFunc(a.Told, b.Told, equal) {
		return false
	}
	a.Vary, b.Vary, a.Told, b.Told = nil, nil, nil, nil
	return reflect.DeepEqual(a, b)
}

func TestTwoKeysHaveOneDigestOnlyIfTheyAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawKey(t, "a"), drawKey(t, "b")
		if (a.Digest(secret) == b.Digest(secret)) != same(a, b) {
			t.Fatalf("%#v and %#v", a, b)
		}
		if a.Digest(secret) == a.Digest([]byte("another")) {
			t.Fatal("the secret makes no difference")
		}
	})
}

func TestAByteThatMovesToTheNextIngredientMakesAnotherKey(t *testing.T) {
	base := cachekeys.Key{
		Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab", Path: "ab",
		HasQuery: true, Query: "ab",
	}
	seen := map[cachekeys.Digest]string{base.Digest(secret): "the key itself"}
	for name, k := range map[string]cachekeys.Key{
		"block to scope": {Block: "a", Scope: "bab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab"},
		"scope to partition": {Block: "ab", Scope: "a", Partition: "bab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab"},
		"authority to path": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "a",
			Path: "bab", HasQuery: true, Query: "ab"},
		"path to query": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "a", HasQuery: true, Query: "bab"},
		"query to path": {Block: "ab", Scope: "ab", Partition: "ab",
			Authority: "ab", Path: "ab?ab"},
		"query to rule": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "a", Search: "b"},
		"path to rule": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "a", HasQuery: true, Query: "ab", Search: "b"},
		"query as a rule": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", Search: "?ab"},
		"a bare key": base.Bare(),
		"a rule": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab", Search: "key-order"},
		"no query": {Block: "ab", Scope: "ab", Partition: "ab",
			Authority: "ab", Path: "ab"},
		"an empty query": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true},
		"a field": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab", Vary: []cachekeys.Vary{{Name: "A"}}},
		"a field that tells": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab", Told: []cachekeys.Vary{{Name: "A"}}},
		"a field with a value": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab",
			Vary: []cachekeys.Vary{{Name: "A", Values: []string{""}}}},
		"two fields": {Block: "ab", Scope: "ab", Partition: "ab", Authority: "ab",
			Path: "ab", HasQuery: true, Query: "ab",
			Vary: []cachekeys.Vary{{Name: "A"}, {Name: ""}}},
	} {
		d := k.Digest(secret)
		if other, taken := seen[d]; taken {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[d] = name
	}
}

func TestARuleMakesAKeyOfItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKey(t, "key")
		k.Search = ""
		v := httpfield.SearchVariance{
			KeyOrder: rapid.Bool().Draw(t, "order"), All: rapid.Bool().Draw(t, "all"),
			Params: rules.Draw(t, "names"),
		}
		w := httpfield.SearchVariance{
			KeyOrder: v.KeyOrder, All: rapid.Bool().Draw(t, "other all"),
			Params: rules.Draw(t, "other names"),
		}
		one, two := strings.Join(pieces.Draw(t, "one"), "&"),
			strings.Join(pieces.Draw(t, "two"), "&")

		underV, ok := k.Under(v, cachekeys.ParseQuery(one))
		if ok != (v.String() != "") {
			t.Fatalf("under %q: %t", v, ok)
		}
		if !ok {
			if !same(underV, k) {
				t.Fatalf("%#v became %#v", k, underV)
			}
			return
		}
		other := k
		other.HasQuery, other.Query = true, cachekeys.ParseQuery(two).Canonical()
		for _, plain := range []cachekeys.Key{k, other, k.Bare(), underV.Bare()} {
			if underV.Digest(secret) == plain.Digest(secret) {
				t.Fatalf("%#v and %#v", underV, plain)
			}
		}
		if underV.Bare().Digest(secret) != other.Bare().Digest(secret) {
			t.Fatal("two queries have two bare keys")
		}

		// Under one rule, the parameters that matter decide; two rules never meet.
		mattering := func(raw string) string {
			return cachekeys.ParseQuery(strings.Join(naivelyMattering(raw, v), "&")).Canonical()
		}
		underVToo, _ := k.Under(v, cachekeys.ParseQuery(two))
		if (underV.Digest(secret) == underVToo.Digest(secret)) !=
			(mattering(one) == mattering(two)) {
			t.Fatalf("under %s: %q and %q", v, one, two)
		}
		if underW, ok := k.Under(w, cachekeys.ParseQuery(one)); ok &&
			(underV.Digest(secret) == underW.Digest(secret)) != (v.String() == w.String()) {
			t.Fatalf("%q under %s and under %s", one, v, w)
		}
	})
}

func TestAQueryOfWhichNothingMattersIsNone(t *testing.T) {
	v := httpfield.SearchVariance{Params: []string{"x"}}
	none, _ := cachekeys.Key{Path: "/a"}.Under(v, cachekeys.ParseQuery(""))
	for _, raw := range []string{"x=1", "x", "&x=1&", "x=1&x=2"} {
		k := cachekeys.Key{Path: "/a", HasQuery: true, Query: raw}
		if under, ok := k.Under(v, cachekeys.ParseQuery(raw)); !ok || under.HasQuery ||
			under.Digest(secret) != none.Digest(secret) {
			t.Errorf("%q: %#v, %t", raw, under, ok)
		}
	}
	k := cachekeys.Key{Path: "/a", HasQuery: true, Query: "x;a"}
	if under, ok := k.Under(v, cachekeys.ParseQuery("x;a")); ok || !same(under, k) {
		t.Errorf("%#v, %t", under, ok)
	}
	if _, ok := httpfield.ParseSearchVariance(k.Bare().Search); ok {
		t.Error("a bare key is that of a rule")
	}
}

func TestAVariantIsThePrimaryKeyOnlyWhereNothingVaries(t *testing.T) {
	primary := cachekeys.Key{Path: "/a"}.Digest(secret)
	if cachekeys.Variant(secret, primary, nil) != primary {
		t.Error("without Vary")
	}
	en := cachekeys.Variant(secret, primary,
		[]cachekeys.Vary{{Name: "Accept-Language", Values: []string{"en"}}})
	de := cachekeys.Variant(secret, primary,
		[]cachekeys.Vary{{Name: "Accept-Language", Values: []string{"de"}}})
	none := cachekeys.Variant(secret, primary, []cachekeys.Vary{{Name: "Accept-Language"}})
	if en == de || en == none || en == primary || none == primary {
		t.Error("variants meet")
	}
}

func TestFieldsSelectByWhatTheyMeanAndTagsByWhatWasSent(t *testing.T) {
	names := []string{"Accept-Language", "X-Tenant", "X-Absent"}
	fields := func(language, tenant string) httpfield.Header {
		return httpfield.Header{
			"Accept-Language": {language}, "X-Tenant": {tenant}, "X-Other": {language},
		}
	}
	primary := cachekeys.Key{Path: "/a"}.Digest(secret)
	variant := func(read func([]string, httpfield.Fields) []cachekeys.Vary,
		f httpfield.Fields) cachekeys.Digest {
		return cachekeys.Variant(secret, primary, read(names, f))
	}
	a, b := fields("de, en;q=0.50", "a, b"), fields("DE,en;q=0.5", "a,b")
	if variant(cachekeys.SelectVary, a) != variant(cachekeys.SelectVary, b) {
		t.Error("the same is another variant for how it is written")
	}
	if variant(cachekeys.SelectVary, a) == variant(cachekeys.SelectVary,
		fields("en, de;q=0.5", "a, b")) {
		t.Error("something else is the same variant")
	}
	if variant(cachekeys.AsSent, a) == variant(cachekeys.AsSent, b) ||
		variant(cachekeys.AsSent, a) != variant(cachekeys.AsSent,
			fields(" de, en;q=0.50", "a, b ")) {
		t.Error("a field that tags are made of is not as it was sent")
	}
}
