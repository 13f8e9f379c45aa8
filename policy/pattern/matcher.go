package pattern

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Matcher finds the one target that applies to a method and a path. The zero value is empty. Once
// it is filled it is safe for concurrent use.
type Matcher[T comparable] struct {
	entries []entry[T] // the more specific before the more general
}

type entry[T comparable] struct {
	*Pattern
	target T
}

// Add puts a pattern before the first that covers it. All that it covers stand before that one
// already.
func (m *Matcher[T]) Add(p *Pattern, target T) {
	at := slices.IndexFunc(m.entries, func(e entry[T]) bool { return e.covers(p) })
	if at < 0 {
		at = len(m.entries)
	}
	m.entries = slices.Insert(m.entries, at, entry[T]{p, target})
}

// Conflict returns the pattern with which p conflicts, and its target. p is nil if there is none.
func (m *Matcher[T]) Conflict(p *Pattern) (other *Pattern, target T) {
	i := slices.IndexFunc(m.entries, func(e entry[T]) bool { return e.conflicts(p) })
	if i < 0 {
		return nil, target
	}
	return m.entries[i].Pattern, m.entries[i].target
}

// A Match is a target with the values of its pattern's wildcards.
type Match[T comparable] struct {
	Target T
	Values map[string]string // nil: none
}

// Equal reports whether two matches lead to the same target with the same values.
func (m Match[T]) Equal(o Match[T]) bool {
	return m.Target == o.Target && maps.Equal(m.Values, o.Values)
}

// Find returns the most specific match.
func (m *Matcher[T]) Find(method string, segments []string) (Match[T], bool) {
	return m.first(method, segments, false)
}

// FindEmpty returns the most specific match of those in which a wildcard is empty. ServeMux has
// none but for {rest...}; a backend may.
func (m *Matcher[T]) FindEmpty(method string, segments []string) (Match[T], bool) {
	return m.first(method, segments, true)
}

func (m *Matcher[T]) first(method string, segments []string, empty bool) (Match[T], bool) {
	for _, e := range m.entries {
		if e.method != "" && e.method != method && (e.method != http.MethodGet || method != http.MethodHead) {
			continue
		}
		if values, ok := e.bind(segments, empty); ok && (!empty || hasEmpty(values)) {
			return Match[T]{e.target, values}, true
		}
	}
	return Match[T]{}, false
}

func hasEmpty(values map[string]string) bool {
	for _, v := range values {
		if v == "" {
			return true
		}
	}
	return false
}

// Certain reports whether a path as sent and the path cleaned and decoded lead to the same match.
// If not, it is not certain which resource the backend shows under it.
func (m *Matcher[T]) Certain(method, raw string, found Match[T]) bool {
	if !strings.ContainsAny(raw, "%.") && !strings.Contains(raw, "//") {
		return true
	}
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return false
	}
	other, ok := m.Find(method, strings.Split(strings.TrimPrefix(cleaned(decoded), "/"), "/"))
	return ok && other.Equal(found)
}
