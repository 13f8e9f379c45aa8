package cachekeys

import (
	"iter"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sidecar/internal/httpfield"
)

// A Query is a query split at '&' with nothing decoded, so that it can be put together again as it
// was sent.
type Query struct {
	pairs []pair
	raw   string
}

// Unread is a query that is not parsed.
func Unread(raw string) Query { return Query{raw: raw} }

type pair struct {
	raw  string
	name string // decoded; the raw name where it cannot be decoded
}

// ParseQuery splits raw, a query without its '?'. It accepts everything: a name that cannot be
// decoded stands for itself.
func ParseQuery(raw string) Query {
	q := Query{raw: raw}
	if raw == "" {
		return q
	}
	for p := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(p, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		q.pairs = append(q.pairs, pair{raw: p, name: name})
	}
	return q
}

// Canonical is the query as it stands in a key: sorted by name, equal names in their order. Values
// are as sent.
//
// Names that some backend takes for one stay in their order, which may matter: those with one bare
// name, and the members of one object (sort[age]=1&sort[name]=1). A query with ';' is not sorted at
// all: some backends split there too.
func (q Query) Canonical() string {
	if strings.Contains(q.raw, ";") || len(q.pairs) < 2 {
		return q.raw
	}
	type named struct {
		pair
		sortedBy string
	}
	sorted := make([]named, len(q.pairs))
	for i, p := range q.pairs {
		sorted[i] = named{p, BareName(objectOf(p.name))}
	}
	slices.SortStableFunc(sorted, func(a, b named) int {
		return strings.Compare(a.sortedBy, b.sortedBy)
	})
	out := make([]pair, len(sorted))
	for i, p := range sorted {
		out[i] = p.pair
	}
	return join(out)
}

// objectOf is the name of the object or list that some backends make of a parameter like id[0] or
// filter[name]; else the name.
func objectOf(name string) string {
	if i := strings.IndexByte(name, '['); i > 0 {
		return name[:i]
	}
	return name
}

// Raw is the query as sent, without the parameters that Without and Select took out.
func (q Query) Raw() string { return q.raw }

// Without returns q less the parameters whose decoded name drop says yes to, in their order, and
// whether any was dropped.
func (q Query) Without(drop func(name string) bool) (Query, bool) {
	if !slices.ContainsFunc(q.pairs, func(p pair) bool { return drop(p.name) }) {
		return q, false
	}
	kept := slices.DeleteFunc(slices.Clone(q.pairs), func(p pair) bool { return drop(p.name) })
	return Query{pairs: kept, raw: join(kept)}, true
}

// Select returns q less the parameters that do not matter under v
// (draft-ietf-httpbis-no-vary-search §6), and less empty ones, as in "a&&b", which are none. The
// others stay as they were sent and where they were: v.KeyOrder adds nothing, since Canonical
// always sorts by name. The draft compares them decoded; that they stay encoded makes an entry
// more, never one too few.
//
// Where nothing is left, Raw is "", and there is no query to be had in a key: "/a?x=1", "/a?" and
// "/a" are one if x does not matter.
//
// A parameter whose name is not UTF-8 when decoded always matters. ok is false for a query with
// ';', which some backends split at: its parameters are not certain.
func (q Query) Select(v httpfield.SearchVariance) (selected Query, ok bool) {
	if strings.Contains(q.raw, ";") {
		return q, false
	}
	drop := func(p pair) bool {
		encoded, _, _ := strings.Cut(p.raw, "=")
		name, certain := httpfield.FormName(encoded)
		return p.raw == "" || certain && !v.Matters(name)
	}
	if !slices.ContainsFunc(q.pairs, drop) {
		return q, true
	}
	kept := slices.DeleteFunc(slices.Clone(q.pairs), drop)
	return Query{pairs: kept, raw: join(kept)}, true
}

// Names yields the decoded name of each parameter, in order, repeated names repeatedly.
func (q Query) Names() []string {
	names := make([]string, len(q.pairs))
	for i, p := range q.pairs {
		names[i] = p.name
	}
	return names
}

// Get returns the decoded value of the parameter that occurs exactly once under this name, and
// under no other name that some backend takes for it. ok is false if it is absent, repeated or not
// decodable, or if the query has a ';', which some backends split at.
func (q Query) Get(name string) (value string, ok bool) {
	if strings.Contains(q.raw, ";") {
		return "", false
	}
	bare, found := BareName(name), -1
	for i, p := range q.pairs {
		if p.name != name && !isNamed(p.name, name, bare) {
			continue
		}
		if found >= 0 || p.name != name {
			return "", false
		}
		found = i
	}
	if found < 0 {
		return "", false
	}
	return q.pairs[found].value()
}

// Has reports whether there is, or may be, a parameter of this name, or of one that some backend
// takes for it.
func (q Query) Has(name string) bool {
	if q.raw != "" && len(q.pairs) == 0 || strings.Contains(q.raw, ";") {
		return true
	}
	bare := BareName(name)
	return slices.ContainsFunc(q.pairs, func(p pair) bool { return isNamed(p.name, name, bare) })
}

// isNamed reports whether some backend takes a parameter for the one with this name, whose bare
// name is bare. An element of a list is taken for the list, a member of an object for the object.
func isNamed(have, name, bare string) bool {
	return BareName(have) == bare || objectOf(name) == name && BareName(objectOf(have)) == bare
}

// All yields the decoded names and values of the parameters, in order. A value that cannot be
// decoded is as sent.
func (q Query) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, p := range q.pairs {
			value, ok := p.value()
			if !ok {
				_, value, _ = strings.Cut(p.raw, "=")
			}
			if !yield(p.name, value) {
				return
			}
		}
	}
}

func (p pair) value() (value string, ok bool) {
	_, raw, _ := strings.Cut(p.raw, "=")
	value, err := url.QueryUnescape(raw)
	return value, err == nil
}

// BareName is the name of a parameter or a field without its punctuation and white space, without
// the part after a NUL, and without regard to case: names that some backend takes for one have
// one bare name, like id, ID, [id], id[] and " id".
func BareName(name string) string {
	name, _, _ = strings.Cut(name, "\x00")
	if isBare(name) {
		return name
	}
	bare := make([]byte, 0, 64)
	for i := range len(name) {
		switch c := name[i]; {
		case c >= utf8.RuneSelf:
			return bareUnicode(name)
		case 'A' <= c && c <= 'Z':
			bare = append(bare, c+'a'-'A')
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			bare = append(bare, c)
		}
	}
	return string(bare)
}

func bareUnicode(name string) string {
	return httpfield.Fold(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) {
			return r
		}
		return -1
	}, name))
}

func isBare(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func join(pairs []pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.raw)
	}
	return b.String()
}
