package httpfield

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestNoVarySearch(t *testing.T) { // draft-ietf-httpbis-no-vary-search
	names := func(n, size int) string { return strings.ReplaceAll(quotedNames(n, size), ",", "") }
	many := unquote(quotedNames(64, 128))
	for _, tt := range []struct {
		rule  string
		lines []string
		want  SearchVariance
		text  string // canonical
	}{
		{"the order of names", []string{"key-order"}, SearchVariance{KeyOrder: true}, "key-order"},
		{"what does not matter", []string{`params=("b" "a")`},
			SearchVariance{Params: []string{"a", "b"}}, `params=("a" "b")`},
		{"what alone matters (§3)", []string{`except=("x")`},
			SearchVariance{All: true, Params: []string{"x"}}, `except=("x")`},
		{"nothing matters", []string{"except=()"}, SearchVariance{All: true}, "except=()"},
		{"as earlier revisions have it", []string{"params"},
			SearchVariance{All: true}, "except=()"},
		{"likewise, at length", []string{`params=?1, except=("x")`},
			SearchVariance{All: true, Params: []string{"x"}}, `except=("x")`},
		{"with the order, in any order, and in two lines", []string{`except=("x")`, "key-order=?1"},
			SearchVariance{KeyOrder: true, All: true, Params: []string{"x"}},
			`key-order, except=("x")`},
		{"no order", []string{`params=("a"), key-order=?0`},
			SearchVariance{Params: []string{"a"}}, `params=("a")`},
		{"an empty list beside something", []string{"params=(), key-order"},
			SearchVariance{KeyOrder: true}, "key-order"},
		{"a name that comes twice is there once", []string{`params=("a" "%61" "a")`},
			SearchVariance{Params: []string{"a"}}, `params=("a")`},
		{"entries that are not known are ignored (§3)",
			[]string{`else=1, params=("a"), more=("b" c)`},
			SearchVariance{Params: []string{"a"}}, `params=("a")`},
		{"so are parameters (§5.1)", []string{`key-order;a, params=("a";b=1 "c");params`},
			SearchVariance{KeyOrder: true, Params: []string{"a", "c"}},
			`key-order, params=("a" "c")`},
		{"of two entries the last counts (RFC 9651 §3.2)", []string{`params=("a"), params=("b")`},
			SearchVariance{Params: []string{"b"}}, `params=("b")`},
		{"names are decoded (§5.3)", []string{`params=("%C3%A9+%E6%B0%97")`},
			SearchVariance{Params: []string{"é 気"}}, `params=("%C3%A9+%E6%B0%97")`},
		{"as far as they can be", []string{`params=("%zz" "%4" "%" "a%2" "\"\\")`},
			SearchVariance{Params: []string{`"\`, "%", "%4", "%zz", "a%2"}},
			`params=("%22%5C" "%25" "%254" "%25zz" "a%252")`},
		{"a name may be empty", []string{`params=("")`},
			SearchVariance{Params: []string{""}}, `params=("")`},
		{"case matters", []string{`params=("a" "A")`}, SearchVariance{Params: []string{"A", "a"}},
			`params=("A" "a")`},
		{"64 names of 128 bytes, and again",
			[]string{"params=(" + names(64, 128) + " " + names(64, 128) + ")"},
			SearchVariance{Params: many}, "params=(" + names(64, 128) + ")"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok := NoVarySearch(tt.lines)
			if !ok || !reflect.DeepEqual(got, tt.want) || got.String() != tt.text {
				t.Errorf("NoVarySearch(%q)\n got %+v, %q, %v\nwant %+v, %q",
					tt.lines, got, got.String(), ok, tt.want, tt.text)
			}
			if again, ok := ParseSearchVariance(tt.text); !ok ||
				!reflect.DeepEqual(again, tt.want) {
				t.Errorf("ParseSearchVariance(%q) = %+v, %v", tt.text, again, ok)
			}
		})
	}
}

func TestANoVarySearchThatDoesNotCount(t *testing.T) {
	names := func(n, size int) string { return strings.ReplaceAll(quotedNames(n, size), ",", "") }
	for _, tt := range []struct {
		rule  string
		lines []string
	}{
		{"absent", nil},
		{"empty", []string{""}},
		{"says nothing", []string{"key-order=?0"}},
		{"says nothing of anything", []string{"params=()"}},
		{"says nothing that is known", []string{"unknown-key"}},
		{"no Dictionary, in one line of two", []string{"key-order", "params=("}},
		{"an order that is no boolean", []string{`key-order="a", params=("a")`}},
		{"an order that is a list", []string{`key-order=(?1), params=("a")`}},
		{"params that are no list", []string{`key-order, params="a"`}},
		{"params that are a token", []string{"params=a"}},
		{"params that are false, of which revisions differ", []string{"key-order, params=?0"}},
		{"params that are no strings", []string{`params=("b" a)`}},
		{"nor bytes, numbers, booleans, display strings", []string{`params=(:YQ==: 1 ?1 %"a")`}},
		{"both lists (§3)", []string{`params=("a"), except=("x")`}},
		{"both empty", []string{"params=(), except=()"}},
		{"false and a list", []string{`params=?0, except=("x")`}},
		{"exceptions that are no strings", []string{"params, except=(a)"}},
		{"exceptions that are no list", []string{`params, except="x"`}},
		{"nor a boolean", []string{"except=?1"}},
		{"a name that is not UTF-8", []string{`params=("a" "%f6")`}},
		{"65 names", []string{"params=(" + names(65, 3) + ")"}},
		{"a name of 129 bytes", []string{"except=(" + names(1, 129) + ")"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, ok := NoVarySearch(tt.lines); ok || !reflect.DeepEqual(got, SearchVariance{}) {
				t.Errorf("NoVarySearch(%q) = %+v, %v", tt.lines, got, ok)
			}
		})
	}
}

func TestWhatMatters(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		v       SearchVariance
		matters string
		not     string
	}{
		{"nothing said", SearchVariance{}, "a,b", ""},
		{"order alone", SearchVariance{KeyOrder: true}, "a,b", ""},
		{"all but some", SearchVariance{Params: []string{"a"}}, "b,A", "a"},
		{"none", SearchVariance{All: true}, "", "a,b"},
		{"none but some, in any case of letters",
			SearchVariance{All: true, Params: []string{"productId"}},
			"productId,productid", "product,id"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for name := range strings.SplitSeq(tt.matters, ",") {
				if name != "" && !tt.v.Matters(name) {
					t.Errorf("%q does not", name)
				}
			}
			for name := range strings.SplitSeq(tt.not, ",") {
				if name != "" && tt.v.Matters(name) {
					t.Errorf("%q does", name)
				}
			}
		})
	}
}

func TestOnlyTheCanonicalFormOfARuleIsReadBack(t *testing.T) {
	for _, s := range []string{
		"", "?", "*", `params=("b" "a")`, `params=("a" "a")`, `params=("a")  `,
		`params=("a"),key-order`, "params", `params=("%61")`, `params=("a b")`,
		"key-order=?1", `params=("a");b`,
	} {
		if v, ok := ParseSearchVariance(s); ok || !reflect.DeepEqual(v, SearchVariance{}) {
			t.Errorf("%q is read as %+v", s, v)
		}
	}
}

func TestARuleHasOneForm(t *testing.T) {
	draw := func(t *rapid.T, label string) SearchVariance {
		v := SearchVariance{
			KeyOrder: rapid.Bool().Draw(t, label+" order"), All: rapid.Bool().Draw(t, label+" all"),
		}
		v.Params = rapid.SliceOfN(rapid.StringMatching(`[ab "+%é\\]{0,2}`), 0,
			3).Draw(t, label+" params")
		return v
	}
	set := func(v SearchVariance) SearchVariance {
		v.Params = slices.Clone(v.Params)
		slices.Sort(v.Params)
		if v.Params = slices.Compact(v.Params); len(v.Params) == 0 {
			v.Params = nil
		}
		return v
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if (a.String() == b.String()) != reflect.DeepEqual(set(a), set(b)) {
			t.Fatalf("%+v and %+v are %q and %q", a, b, a, b)
		}
		says := a.KeyOrder || a.All || len(a.Params) > 0
		if again, ok := ParseSearchVariance(a.String()); ok != says ||
			ok && !reflect.DeepEqual(again, set(a)) {
			t.Fatalf("%+v is %q, which is %+v, %v", a, a, again, ok)
		}
	})
}

func FuzzNoVarySearch(f *testing.F) {
	for _, s := range []string{
		`params=("a" "b"), key-order`, `params, except=("%C3%A9+x")`, "except=()", "params=?0",
		`params=("%f6")`, `key-order;x, else=@1, params=("a";b)`, `except=("A" "a" "\"")`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := NoVarySearch([]string{s})
		if says := v.KeyOrder || v.All || len(v.Params) > 0; ok != says {
			t.Fatalf("NoVarySearch(%q) = %+v, %v", s, v, ok)
		}
		if !ok {
			return
		}
		if _, valid := parseDictionary([]string{s}); !valid {
			t.Fatalf("NoVarySearch(%q) = %+v", s, v)
		}
		for i, name := range v.Params {
			if len(v.Params) > 64 || len(name) > 128 || !utf8.ValidString(name) ||
				i > 0 && v.Params[i-1] >= name {
				t.Fatalf("NoVarySearch(%q) = %+v", s, v)
			}
		}
		if again, ok := ParseSearchVariance(v.String()); !ok || !reflect.DeepEqual(again, v) {
			t.Fatalf("NoVarySearch(%q) = %+v, written %q, read %+v, %v", s, v, v, again, ok)
		}
	})
}

func FuzzFormName(f *testing.F) {
	for _, s := range []string{"a", "a+b", "%C3%a9", "%zz%", "%f6", "%2b%25", "\xff"} {
		f.Add(s)
	}
	escape := regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	f.Fuzz(func(t *testing.T, s string) {
		want := escape.ReplaceAllStringFunc(strings.ReplaceAll(s, "+", " "), func(e string) string {
			b, _ := strconv.ParseUint(e[1:], 16, 8)
			return string([]byte{byte(b)})
		})
		if name, ok := FormName(s); name != want || ok != utf8.ValidString(want) {
			t.Fatalf("FormName(%q) = %q, %v; naively %q", s, name, ok, want)
		}
	})
}
