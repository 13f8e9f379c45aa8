package httpfield

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dunglas/httpsfv"
)

// The bounds of a No-Vary-Search field: how many names, and how many bytes of each, decoded.
const maxParams, maxParamLen = 64, 128

// A SearchVariance says which parameters of a query make another answer (draft-ietf-httpbis-no-vary-search §4). The zero value
// says that all of it does.
type SearchVariance struct {
	KeyOrder bool     // in which order parameters of different names come does not matter
	All      bool     // no parameter matters, but those in Params
	Params   []string // names, decoded, sorted, each once: of what does not matter, or with All of what alone does
}

// NoVarySearch reads the field lines of No-Vary-Search, a Dictionary (§3, §5). ok is false if the field is absent, cannot be
// taken for certain, or says nothing: then the whole query matters. Entries that are not known are ignored (§3), and so are
// parameters of known ones (§5.1).
//
// That no parameter matters but some is said by except=("a") in the later revisions of the draft. It was `params, except=("a")` in the
// earlier ones, after which browsers and backends were built: as none gives that another meaning, it is understood too, and so is
// params alone. Everything else in which they differ is invalid, such as params=?0.
//
// More than 64 names, one of more than 128 bytes, and one that is not UTF-8 when decoded, are as if the field were absent.
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

// paramNames reads an Inner List of Strings, each a name as a query has it.
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

// Matters reports whether the parameter of this name, decoded, makes another answer. What is not to matter, has exactly the name
// that the field has (§6). What alone is to matter, does so in any case of letters: a backend to which productId and productid are
// one would otherwise get the answer for another product.
func (v SearchVariance) Matters(name string) bool {
	if v.All {
		return slices.ContainsFunc(v.Params, func(p string) bool { return strings.EqualFold(p, name) })
	}
	return !slices.Contains(v.Params, name)
}

// String is v as a field value in one way of all in which it can be written, fit to be part of a key; "" if v says nothing.
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

// ParseSearchVariance reads what String wrote, and nothing else. ok is false for "" too.
func ParseSearchVariance(s string) (v SearchVariance, ok bool) {
	v, ok = NoVarySearch([]string{s})
	if !ok || v.String() != s {
		return SearchVariance{}, false
	}
	return v, true
}

// FormName decodes the name of a parameter in a query, or in No-Vary-Search (§5.3): '+' is a space, and a '%' before anything but two
// hexadecimal digits stands for itself. ok is false if the result is not UTF-8: the draft makes one name of all of which that can
// be said, but backends do not.
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
