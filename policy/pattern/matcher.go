package pattern

import (
	"maps"
	"slices"
)

// A Matcher finds the one target that applies to a method and a path. The zero value is empty. Once
// it is filled it is safe for concurrent use.
type Matcher[T comparable] struct {
	entries []entry[T] // the more specific before the more general
	depth   int        // segments of the longest pattern
	folded  bool       // some literal has letters that folding changes
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
	m.depth = max(m.depth, len(p.segments))
	m.folded = m.folded || slices.ContainsFunc(p.segments, func(s segment) bool { return s.folded != s.text })
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

// Find returns the most specific match of a path as it was sent.
func (m *Matcher[T]) Find(method, path string) (Match[T], bool) {
	return m.first(method, m.split(path), exactly)
}

// Target is the target of Find.
func (m *Matcher[T]) Target(method, path string) (target T, ok bool) {
	s := m.split(path)
	for _, e := range m.entries {
		if e.hasMethod(method) && e.matches(s, exactly) {
			return e.target, true
		}
	}
	return target, false
}

// All returns the matches of all forms of a path, in the ways in which a server may compare them:
// as ServeMux does, without regard to case, and with wildcards that are empty. The match of the
// path as it was sent comes first. On an overflow every pattern of the method matches, without
// values.
func (m *Matcher[T]) All(method string, f *Forms) (out []Match[T]) {
	if f.Overflow {
		return m.every(method)
	}
	add := func(found Match[T]) {
		if !slices.ContainsFunc(out, found.Equal) {
			out = append(out, found)
		}
	}
	for _, form := range f.list {
		s := m.split(form.path)
		for _, how := range m.ways(s) {
			if method == AnyMethod {
				m.under(s, how, add)
			} else if found, ok := m.first(method, s, how); ok {
				add(found)
			}
		}
	}
	return out
}

// under calls add for the match of every pattern, of any method.
func (m *Matcher[T]) under(s split, how how, add func(Match[T])) {
	if how.folded {
		s.fold()
	}
	for _, e := range m.entries {
		if e.matches(s, how) {
			add(Match[T]{e.target, e.values(s.parts)})
		}
	}
}

// every matches each pattern of the method.
func (m *Matcher[T]) every(method string) (out []Match[T]) {
	for _, e := range m.entries {
		if found := (Match[T]{Target: e.target}); e.hasMethod(method) && !slices.ContainsFunc(out, found.Equal) {
			out = append(out, found)
		}
	}
	return out
}

// Certain reports whether all forms of a path that was sent lead to the match that it has itself.
// If not, it is not certain which resource the backend shows under it. also are matches of the
// same target with other values, of forms that show the same resource: /c/5/ and /c/5.json beside
// /c/5.
func (m *Matcher[T]) Certain(method, path string, found Match[T]) (also []Match[T], certain bool) {
	if isPlain(path) && !m.folded && isFolded(path) {
		return nil, true
	}
	f := FormsOf(path)
	if f.Overflow || f.Malformed {
		return nil, false
	}
	for _, form := range f.list {
		s := m.split(form.path)
		other, ok := m.first(method, s, exactly)
		switch {
		case ok && (other.Equal(found) || slices.ContainsFunc(also, other.Equal)):
		case !form.harmless, ok && other.Target != found.Target:
			return nil, false
		case ok:
			also = append(also, other)
		}
		if other, ok := m.first(method, s, caseless); ok && other.Target != found.Target {
			return nil, false
		}
	}
	return also, true
}

// ways are the ways to compare a path that may have different results.
func (m *Matcher[T]) ways(s split) []how {
	out := []how{exactly}
	if slices.Contains(s.parts, "") {
		out = append(out, how{empty: true})
	}
	if m.folded || slices.ContainsFunc(s.parts, func(p string) bool { return !isFolded(p) }) {
		for _, h := range out {
			out = append(out, how{folded: true, empty: h.empty})
		}
	}
	return out
}

// A split is a path cut at its slashes, as far as patterns reach. The last part may have slashes.
type split struct {
	parts  []string
	folded []string // without distinction of case; nil until it is needed
}

func (m *Matcher[T]) split(path string) split { return split{parts: parts(path, m.depth+1)} }

func (s *split) fold() {
	if s.folded != nil {
		return
	}
	s.folded = make([]string, len(s.parts))
	for i, p := range s.parts {
		s.folded[i] = folded(p)
	}
}

func (m *Matcher[T]) first(method string, s split, how how) (Match[T], bool) {
	if how.folded {
		s.fold()
	}
	for _, e := range m.entries {
		if e.hasMethod(method) && e.matches(s, how) {
			return Match[T]{e.target, e.values(s.parts)}, true
		}
	}
	return Match[T]{}, false
}
