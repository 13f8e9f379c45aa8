package httpfield

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dunglas/httpsfv"
)

// Bounds of No-Vary-Search: the number of names, and the bytes of each, decoded.
const maxParams, maxParamLen = 64, 128

// A SearchVariance says which query parameters select a response (draft-ietf-httpbis-no-vary-search
// §4). The zero value: all do.
type SearchVariance struct {
	KeyOrder bool     // the order of parameters with different names does not matter
	All      bool     // no parameter matters but those in Params
	Params   []string // decoded, sorted, unique: ignored, or with All the only ones that matter
}

// NoVarySearch reads the field lines of No-Vary-Search, a Dictionary (§3, §5). ok is false if the
// field is absent, not certain, or without effect: then the whole query matters. Unknown entries
// (§3) and parameters of known ones (§5.1) are ignored.
//
// Later revisions of the draft write except=("a") if only a matters, earlier ones `params,
// except=("a")`. Browsers and backends were built after the earlier ones, and no revision gives it
// another meaning, so both are accepted, as is params alone. All other differences between them are
// invalid, such as params=?0.
//
// More than 64 names, a name of more than 128 bytes, and one that is not UTF-8 when decoded, count
// as an absent field.
func NoVarySearch(values []string) (v SearchVariance, ok bool) {
	dict, ok := parseDictionary(values)
	if !ok {
		return SearchVariance{}, false
	}
	if order, has := dict.Get("key-order"); has {
		if v.KeyOrder, ok = booleanOf(order); !ok {
			return SearchVariance{}, false
		}
	}
	names, listed := dict.Get("params")
	except, excepted := dict.Get("except")
	if all, _ := booleanOf(names); all {
		v.All, names, listed = true, nil, false
	}
	switch {
	case listed && excepted:
		return SearchVariance{}, false
	case excepted:
		v.All, names = true, except
	}
	if listed || excepted {
		if v.Params, ok = paramNames(names); !ok {
			return SearchVariance{}, false
		}
	}
	return v, v.KeyOrder || v.All || len(v.Params) > 0
}

// paramNames reads an Inner List of Strings, each an encoded parameter name.
func paramNames(m httpsfv.Member) (names []string, ok bool) {
	list, ok := m.(httpsfv.InnerList)
	if !ok {
		return nil, false
	}
	set := nameSet{max: maxParams, maxLen: maxParamLen}
	for _, item := range list.Items {
		encoded, isString := stringOf(item)
		name, certain := FormName(encoded)
		if !isString || !certain {
			return nil, false
		}
		set.add(name)
	}
	slices.Sort(set.names)
	return set.names, !set.overflow
}

// Matters reports whether the parameter of this decoded name selects a response. Ignored names
// compare exactly (§6). Names that alone matter compare without case: a backend to which productId
// and productid are the same would else get the response for another product.
func (v SearchVariance) Matters(name string) bool {
	if v.All {
		return slices.ContainsFunc(v.Params, func(p string) bool {
			return strings.EqualFold(p, name)
		})
	}
	return !slices.Contains(v.Params, name)
}

// String is the canonical field value of v, fit to be part of a key; "" if v has no effect.
func (v SearchVariance) String() string {
	var entries []string
	if v.KeyOrder {
		entries = append(entries, "key-order")
	}
	if v.All || len(v.Params) > 0 {
		names := slices.Clone(v.Params)
		slices.Sort(names)
		names = slices.Compact(names)
		for i, name := range names {
			names[i] = `"` + url.QueryEscape(name) + `"` // ASCII, without quotes and backslashes
		}
		key := "params"
		if v.All {
			key = "except"
		}
		entries = append(entries, key+"=("+strings.Join(names, " ")+")")
	}
	return strings.Join(entries, ", ")
}

// ParseSearchVariance is the inverse of String. ok is false for any other text, and for "".
func ParseSearchVariance(s string) (v SearchVariance, ok bool) {
	v, ok = NoVarySearch([]string{s})
	if !ok || v.String() != s {
		return SearchVariance{}, false
	}
	return v, true
}

// FormName decodes the name of a parameter in a query, or in No-Vary-Search (§5.3): '+' is a space,
// and a '%' before anything but two hexadecimal digits stands for itself. ok is false if the result
// is not UTF-8: the draft maps all such names to one, but backends do not.
func FormName(encoded string) (name string, ok bool) {
	if strings.IndexByte(encoded, '%') < 0 && strings.IndexByte(encoded, '+') < 0 {
		return encoded, utf8.ValidString(encoded)
	}
	var b strings.Builder
	b.Grow(len(encoded))
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; {
		case c == '+':
			b.WriteByte(' ')
		case c == '%' && i+2 < len(encoded) && isHex(encoded[i+1]) && isHex(encoded[i+2]):
			b.WriteByte(hexValue(encoded[i+1])<<4 | hexValue(encoded[i+2]))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), utf8.ValidString(b.String())
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

func hexValue(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return (c | 0x20) - 'a' + 10
}
