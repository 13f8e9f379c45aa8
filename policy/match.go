package policy

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// A matcher finds the one route that applies to a method and a path.
type matcher struct {
	entries []matchEntry // the more specific before the more general
}

type matchEntry struct {
	*pattern
	route *route
}

// add puts a pattern before the first that covers it. What it covers itself stands before that one already.
func (m *matcher) add(p *pattern, r *route) {
	at := slices.IndexFunc(m.entries, func(e matchEntry) bool { return e.covers(p) })
	if at < 0 {
		at = len(m.entries)
	}
	m.entries = slices.Insert(m.entries, at, matchEntry{p, r})
}

// conflict returns the pattern with which p conflicts, if there is one.
func (m *matcher) conflict(p *pattern) (other matchEntry, ok bool) {
	i := slices.IndexFunc(m.entries, func(e matchEntry) bool { return e.conflicts(p) })
	if i < 0 {
		return matchEntry{}, false
	}
	return m.entries[i], true
}

// A match is a route with the values of its pattern's wildcards.
type match struct {
	route  *route
	values map[string]string
}

// find returns the most specific match.
func (m *matcher) find(method string, segments []string) (match, bool) {
	return m.first(method, segments, false)
}

// findEmpty returns the most specific match of those in which a wildcard is empty. ServeMux has none but for {rest...}; a backend may.
func (m *matcher) findEmpty(method string, segments []string) (match, bool) {
	return m.first(method, segments, true)
}

func (m *matcher) first(method string, segments []string, empty bool) (match, bool) {
	for _, e := range m.entries {
		if e.method != "" && e.method != method && (e.method != http.MethodGet || method != http.MethodHead) {
			continue
		}
		if values, ok := e.bind(segments, empty); ok && (!empty || hasEmpty(values)) {
			return match{e.route, values}, true
		}
	}
	return match{}, false
}

func hasEmpty(values map[string]string) bool {
	for _, v := range values {
		if v == "" {
			return true
		}
	}
	return false
}

// split are the decoded segments of a raw path; a segment that cannot be decoded stands for itself.
func split(raw string) []string {
	segments := strings.Split(strings.TrimPrefix(raw, "/"), "/")
	for i, s := range segments {
		if decoded, err := url.PathUnescape(s); err == nil {
			segments[i] = decoded
		}
	}
	return segments
}

// forms are the ways in which a backend may read a raw path, each as its segments: as sent, decoded before it is split, cleaned
// of '//' and dots, and each of these without a trailing slash. The first is the path as sent.
func forms(raw string) [][]string {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		decoded = raw
	}
	out := [][]string{split(raw)}
	add := func(segments []string) {
		if !slices.ContainsFunc(out, func(have []string) bool { return slices.Equal(have, segments) }) {
			out = append(out, segments)
		}
	}
	bare := func(p string) []string { return strings.Split(strings.TrimPrefix(p, "/"), "/") }
	add(bare(decoded))
	add(split(cleaned(raw)))
	add(bare(cleaned(decoded)))
	for _, f := range slices.Clone(out) {
		for len(f) > 1 && f[len(f)-1] == "" {
			f = f[:len(f)-1]
			add(f)
		}
	}
	return out
}

// cleaned is a path without '//' and dot segments, with the trailing slash that it had.
func cleaned(p string) string {
	c := path.Clean("/" + strings.TrimLeft(p, "/"))
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}

// certain reports whether a path as sent and cleaned and decoded lead to the same match: if not, what the backend shows under it
// is not certain to be what the route's tags name.
func (m *matcher) certain(method, raw string, found match) bool {
	if !strings.ContainsAny(raw, "%.") && !strings.Contains(raw, "//") {
		return true
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return false
	}
	other, ok := m.find(method, strings.Split(strings.TrimPrefix(cleaned(decoded), "/"), "/"))
	return ok && other.route == found.route && sameValues(other.values, found.values)
}

func sameValues(a, b map[string]string) bool {
	for name, v := range a {
		if b[name] != v {
			return false
		}
	}
	return len(a) == len(b)
}
