package httpfield

import (
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseNoVarySearch(t *testing.T) { // draft-ietf-httpbis-no-vary-search §5
	for _, tt := range []struct {
		rule   string
		values []string
		want   NoVarySearch
	}{
		{"key-order", []string{"key-order"}, NoVarySearch{AnyOrder: true}},
		{"key-order as a value", []string{"key-order=?1"}, NoVarySearch{AnyOrder: true}},
		{"key-order that is false", []string{"key-order=?0"}, NoVarySearch{}},
		{"params names what does not count", []string{`params=("b" "a" "b")`}, NoVarySearch{Params: []string{"a", "b"}}},
		{"params that names nothing", []string{"params=()"}, NoVarySearch{}},
		{"except names what alone counts", []string{`except=("x")`}, NoVarySearch{All: true, Except: []string{"x"}}},
		{"except that names nothing: then nothing counts", []string{"except=()"}, NoVarySearch{All: true}},
		{"lines are one dictionary", []string{"key-order", `except=("x")`}, NoVarySearch{AnyOrder: true, All: true, Except: []string{"x"}}},
		{"parameters are ignored", []string{`key-order;a, params=("a";b);c`}, NoVarySearch{AnyOrder: true, Params: []string{"a"}}},
		{"unknown keys are ignored (§3)", []string{`key-order, other=5`}, NoVarySearch{AnyOrder: true}},
		{"names are encoded as in a query (§5.3)", []string{`params=("%C3%A9+%E6%B0%97" "a%2B%" "%ff")`}, NoVarySearch{Params: []string{"a+%", "é 気", "\xff"}}},

		{"drafts before 2026: params alone is all", []string{"params"}, NoVarySearch{All: true}},
		{"drafts before 2026: params as a value", []string{"params=?1"}, NoVarySearch{All: true}},
		{"drafts before 2026: params and except", []string{`params, except=("x")`}, NoVarySearch{All: true, Except: []string{"x"}}},
		{"drafts before 2026: in any order", []string{`except=("x"), key-order, params`}, NoVarySearch{AnyOrder: true, All: true, Except: []string{"x"}}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, ok := ParseNoVarySearch(tt.values); !ok || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseNoVarySearch(%q) = %+v, %v", tt.values, got, ok)
			}
		})
	}
}

func TestANoVarySearchThatDoesNotCount(t *testing.T) { // draft §5.1
	for _, value := range []string{
		"", "&", "Params", `params=("a"), `,
		`key-order="not a boolean"`, "key-order=1", "key-order=()",
		`params="not an inner list"`, "params=(not-a-string)", `params=("a" 1)`, "params=?0", "params=a",
		`except="not an inner list"`, "except=(not-a-string)", "except=?1", "except", "params, except=(not-a-string)",
		`params=("a"), except=("x")`, "params=(), except=()", `params=?0, except=("x")`, "params, except",
		`except=("%ff")`, `except=("%ef%bf%bd")`, // it would stand for all that is not UTF-8
		"key-order, params=1", `key-order=1, params=("a")`, `key-order, params=("a`,
	} {
		t.Run(value, func(t *testing.T) {
			if got, ok := ParseNoVarySearch([]string{value}); ok || !reflect.DeepEqual(got, NoVarySearch{}) || !got.IsDefault() {
				t.Errorf("ParseNoVarySearch(%q) = %+v, %v", value, got, ok)
			}
		})
	}
	if _, ok := ParseNoVarySearch(nil); ok {
		t.Error("an absent field counts")
	}
}

func TestEquivalentQueries(t *testing.T) { // draft §6
	for _, tt := range []struct {
		rule, field, a, b string
		equal             bool
	}{
		{"the default compares bytes", "key-order=?0", "a=x", "%61=x", false},
		{"and does not parse", "params=()", "a&&", "a", false},

		{"percent-encoding does not count", "key-order", "a=x", "%61=%78", true},
		{"nor does its case", "key-order", "a=%C3%A9", "a=%c3%a9", true},
		{"nor does it where it is not needed", "key-order", "a=\xc3\xa9", "a=%C3%A9", true},
		{"empty parts do not count", "key-order", "a=x&&&&", "&a=x", true},
		{"no value is an empty value", "key-order", "a", "a=", true},
		{"no name is an empty name", "key-order", "=x", "x", false},
		{"an equals sign alone is a parameter", "key-order", "=", "", false},
		{"plus is a space", "key-order", "a+b=+", "a%20b=%20", true},
		{"an encoded plus is none", "key-order", "a=%2B", "a=+", false},
		{"an encoded ampersand separates nothing", "key-order", "a=1%26b=2", "a=1&b=2", false},
		{"nor an encoded equals sign", "key-order", "a%3D=1", "a==1", false},
		{"a second equals sign belongs to the value", "key-order", "a=b=c", "a=b%3Dc", true},
		{"a percent sign without two digits is itself", "key-order", "a=%&b=%4&c=%zz", "a=%25&b=%254&c=%25zz", true},
		{"what is decoded is not decoded again", "key-order", "a=%2541", "a=%41", false},
		{"no Unicode normalization", "key-order", "a=%C3%A9", "a=e%CC%81", false},
		{"bytes that are not UTF-8 stay different", "key-order", "a=%ef%f0", "a=%e0%e1", false},
		{"also from U+FFFD", "key-order", "a=%f6", "a=%ef%bf%bd", false},

		{"key-order: the order of names does not count", "key-order", "b=1&a=2", "a=2&b=1", true},
		{"key-order: decoded names are sorted", "key-order", "b=1&%61=2", "a=2&%62=1", true},
		{"key-order: the order of equal names does", "key-order", "a=1&a=2", "a=2&a=1", false},
		{"key-order: and is kept", "key-order", "b=1&a=2&b=0", "a=2&b=1&b=0", true},
		{"key-order: values do", "key-order", "a=1&b=2", "a=2&b=1", false},
		{"key-order: how often a name comes does", "key-order", "a=1&a=1", "a=1", false},
		{"without it the order counts", `params=("x")`, "b=1&a=2", "a=2&b=1", false},

		{"params: those named do not count", `params=("u" "v")`, "a=1&u=2&v", "u&a=1", true},
		{"params: however they are encoded", `params=("%C3%A9+x")`, "é+x=1", "%C3%A9%20x=2", true},
		{"params: others do", `params=("u")`, "a=1&u=2", "u=2", false},
		{"params: names are case-sensitive", `params=("u")`, "U=2", "", false},
		{"params: part of a name is none", `params=("u")`, "uu=2", "", false},
		{"params: none left is as good as none", `params=("u")`, "u=2", "", true},
		{"params: the empty name", `params=("")`, "=1&=2", "", true},
		{"except: those named count", `except=("p")`, "p=1", "p=2", false},
		{"except: others do not", `except=("p")`, "x=1&p=1&y=2", "p=1&x=3", true},
		{"except: the order of those named counts", `except=("p" "q")`, "p=1&q=2", "q=2&p=1", false},
		{"except: unless with key-order", `key-order, except=("p" "q")`, "p=1&z=5&q=2", "q=2&p=1", true},
		{"except nothing: nothing counts", "except=()", "a=1", "b=2", true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			n, ok := ParseNoVarySearch([]string{tt.field})
			if !ok {
				t.Fatalf("%s is invalid", tt.field)
			}
			if a, b := n.Canonical(tt.a), n.Canonical(tt.b); (a == b) != tt.equal {
				t.Errorf("%s: %q is %q, and %q is %q", tt.field, tt.a, a, tt.b, b)
			}
		})
	}
}

func TestACanonicalQueryIsReadable(t *testing.T) {
	n := NoVarySearch{AnyOrder: true, Params: []string{"utm_source"}}
	if got, want := n.Canonical("q=a+b%2F&utm_source=x&&page&lang=%c3%a9"), "lang=%C3%A9&page=&q=a+b%2F"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestManyEqualNamesKeepTheirOrder(t *testing.T) { // draft §6: the sort is stable
	var mixed, as, bs []string
	for i := range 100 {
		a, b := "a="+strconv.Itoa(i), "b="+strconv.Itoa(i)
		mixed, as, bs = append(mixed, b, a), append(as, a), append(bs, b)
	}
	got, want := NoVarySearch{AnyOrder: true}.Canonical(strings.Join(mixed, "&")), strings.Join(append(as, bs...), "&")
	if got != want {
		t.Errorf("got %q", got)
	}
}

// naiveParams are the parameters of a query that count by the field, as the draft's §6 has it.
func naiveParams(n NoVarySearch, query string) (params [][2]string) {
	decode := func(s string) string {
		return regexp.MustCompile(`%[0-9a-fA-F]{2}`).ReplaceAllStringFunc(strings.ReplaceAll(s, "+", " "), func(s string) string {
			c, _ := strconv.ParseUint(s[1:], 16, 8)
			return string([]byte{byte(c)})
		})
	}
	for _, part := range regexp.MustCompile(`[^&]+`).FindAllString(query, -1) {
		name, value, _ := strings.Cut(part, "=")
		if name = decode(name); n.All && slices.Contains(n.Except, name) || !n.All && !slices.Contains(n.Params, name) {
			params = append(params, [2]string{name, decode(value)})
		}
	}
	if n.AnyOrder {
		sort.SliceStable(params, func(i, j int) bool { return params[i][0] < params[j][0] })
	}
	return params
}

func FuzzNoVarySearch(f *testing.F) {
	for _, field := range []string{"key-order", `params=("a" "%61b")`, `key-order, except=("b" "+")`, "params", `except=("x"), params`, "params=?0", `params=(1)`} {
		f.Add(field, "b=1&a=2&%61=%7", "a=%32&b=1&a")
		f.Add(field, "x=%ff&+=%2b", "&x=%FE&%20=+")
	}
	f.Fuzz(func(t *testing.T, field, a, b string) {
		n, ok := ParseNoVarySearch([]string{field})
		if !ok && !n.IsDefault() || !slices.IsSorted(n.Params) || !slices.IsSorted(n.Except) || n.All && len(n.Params) > 0 || !n.All && len(n.Except) > 0 {
			t.Fatalf("ParseNoVarySearch(%q) = %+v, %v", field, n, ok)
		}
		for _, name := range n.Except {
			if !utf8.ValidString(name) {
				t.Fatalf("ParseNoVarySearch(%q) = %+v", field, n)
			}
		}
		canonA, canonB := n.Canonical(a), n.Canonical(b)
		if again := n.Canonical(canonA); again != canonA {
			t.Fatalf("%+v: %q is %q, and that %q", n, a, canonA, again)
		}
		want := a == b
		if !n.IsDefault() {
			want = slices.Equal(naiveParams(n, a), naiveParams(n, b))
			if !slices.Equal(naiveParams(n, a), naiveParams(n, canonA)) {
				t.Fatalf("%+v: %q is %q, which is not equivalent", n, a, canonA)
			}
		}
		if (canonA == canonB) != want {
			t.Fatalf("%+v: %q is %q, and %q is %q", n, a, canonA, b, canonB)
		}
	})
}
