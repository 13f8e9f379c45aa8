package httpfield

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dunglas/httpsfv"
)

// A NoVarySearch says which differences between queries do not change the response (draft-ietf-httpbis-no-vary-search §4).
// The zero value is the default: every difference does.
type NoVarySearch struct {
	AnyOrder bool     // the order of parameters with different names does not count
	Params   []string // the names of parameters that do not count: decoded, sorted
	All      bool     // no parameter counts but those named in Except; Params is then empty
	Except   []string // decoded, sorted; empty unless All
}

// ParseNoVarySearch reads the field lines of No-Vary-Search (draft §5.1), a Dictionary. Unknown keys and parameters are
// ignored. ok is false, and the result the default, if the field is absent, empty, invalid, or has a value of a wrong type.
//
// Both spellings of "all but these" are read, as both are in use and neither has another meaning elsewhere: `except=("a")` of
// the draft from 2026 on, and `params, except=("a")` of the ones before, in which `params` alone is `except=()`.
func ParseNoVarySearch(values []string) (n NoVarySearch, ok bool) {
	dict, ok := parseDictionary(values)
	if !ok {
		return NoVarySearch{}, false
	}
	if order, has := dict.Get("key-order"); has {
		n.AnyOrder, ok = booleanOf(order)
	}
	if !ok {
		return NoVarySearch{}, false
	}
	params, hasParams := dict.Get("params")
	except, hasExcept := dict.Get("except")
	all, _ := booleanOf(params)
	switch {
	case hasExcept && hasParams && !all:
		ok = false
	case hasExcept:
		n.All = true
		n.Except, ok = searchNames(except)
		// A name that is not UTF-8 stands for U+FFFD (§5.3), and so for every other that is not: Canonical tells these apart.
		ok = ok && !slices.ContainsFunc(n.Except, func(s string) bool { return strings.ContainsRune(s, utf8.RuneError) })
	case all:
		n.All = true
	case hasParams:
		n.Params, ok = searchNames(params)
	}
	if !ok {
		return NoVarySearch{}, false
	}
	return n, true
}

// searchNames are the names in params and except (draft §5.3), which are encoded as in a query.
func searchNames(m httpsfv.Member) (names []string, ok bool) {
	names, ok = stringsOf(m)
	for i := range names {
		names[i] = formDecode(names[i])
	}
	slices.Sort(names)
	return slices.Compact(names), ok
}

// IsDefault reports whether n changes nothing: then queries have to be the same byte for byte, and none at all differs from
// an empty one (draft §6). Else "/a" and "/a?" are equivalent.
func (n NoVarySearch) IsDefault() bool { return !n.AnyOrder && !n.All && len(n.Params) == 0 }

// Canonical is the same for two queries exactly if they are equivalent (draft §6), and equivalent to rawQuery itself.
//
// It is stricter in one point: bytes that are not UTF-8 are what they are, where the draft makes each U+FFFD. So queries in
// another encoding, say `q=%EF%F0` and `q=%E0%E1`, never share a response.
func (n NoVarySearch) Canonical(rawQuery string) string {
	if n.IsDefault() {
		return rawQuery
	}
	type param struct{ name, value string }
	var params []param
	for part := range strings.SplitSeq(rawQuery, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		if name = formDecode(name); !n.ignores(name) {
			params = append(params, param{name, formDecode(value)})
		}
	}
	if n.AnyOrder {
		slices.SortStableFunc(params, func(a, b param) int { return strings.Compare(a.name, b.name) })
	}
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.value))
	}
	return b.String()
}

func (n NoVarySearch) ignores(name string) bool {
	if n.All {
		_, excepted := slices.BinarySearch(n.Except, name)
		return !excepted
	}
	_, listed := slices.BinarySearch(n.Params, name)
	return listed
}

// formDecode decodes a name or a value of application/x-www-form-urlencoded (URL Standard §5.1) to bytes: a plus is a space,
// and a percent sign without two hexadecimal digits behind it is itself.
func formDecode(s string) string {
	if !strings.ContainsAny(s, "+%") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			c = ' '
		} else if c == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}
