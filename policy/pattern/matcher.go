package pattern

import "slices"

// A Matcher finds the one target that applies to a method and a path. The zero value is empty. Once
// it is filled it is safe for concurrent use.
type Matcher[T comparable] struct {
	entries []*entry[T] // the more specific before the more general
	root    node[T]     // the same by their segments
	depth   int         // segments of the longest pattern
	folded  bool        // some literal has letters that folding changes
}

type entry[T comparable] struct {
	*Pattern
	target T
	rank   int // its place among the entries
}

// Add puts a pattern before the first that covers it. All that it covers stand before that one
// already.
func (m *Matcher[T]) Add(p *Pattern, target T) {
	at := len(m.entries)
	if general := m.root.covering(p, 0, nil); general != nil {
		at = general.rank
	}
	added := &entry[T]{Pattern: p, target: target}
	m.entries = slices.Insert(m.entries, at, added)
	for i := at; i < len(m.entries); i++ {
		m.entries[i].rank = i
	}
	m.root.add(added, 0)
	m.depth = max(m.depth, len(p.segments))
	m.folded = m.folded ||
		slices.ContainsFunc(p.segments, func(s segment) bool { return s.folded != s.text })
}

// Conflict returns the pattern with which p conflicts, and its target. p is nil if there is none.
func (m *Matcher[T]) Conflict(p *Pattern) (other *Pattern, target T) {
	e := m.root.conflicting(p, 0, nil)
	if e == nil {
		return nil, target
	}
	return e.Pattern, e.target
}

// A Match is a target with the values of its pattern's wildcards.
type Match[T comparable] struct {
	Target T
	Values Values
}

// Equal reports whether two matches lead to the same target with the same values.
func (m Match[T]) Equal(o Match[T]) bool {
	return m.Target == o.Target && m.Values.Equal(o.Values)
}

// Find returns the most specific match of a path as it was sent.
func (m *Matcher[T]) Find(method, path string) (Match[T], bool) {
	var room room
	return m.first(method, m.split(path, &room), exactly)
}

// Target is the target of Find.
func (m *Matcher[T]) Target(method, path string) (target T, ok bool) {
	var room room
	if e := m.search(method, m.split(path, &room), exactly); e != nil {
		return e.target, true
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
	m.each(method, f, func(e *entry[T], s split) {
		found := Match[T]{e.target, e.values(s.parts)}
		if !slices.ContainsFunc(out, found.Equal) {
			out = append(out, found)
		}
	})
	return out
}

// Reaches reports whether some match of All has a target that f accepts.
func (m *Matcher[T]) Reaches(method string, forms *Forms, f func(T) bool) (reaches bool) {
	if forms.Overflow {
		return slices.ContainsFunc(m.every(method), func(m Match[T]) bool { return f(m.Target) })
	}
	m.each(method, forms, func(e *entry[T], _ split) { reaches = reaches || f(e.target) })
	return reaches
}

// each calls visit for the entry that matches each form of a path in each way, or for all entries
// that do if the method may be any.
func (m *Matcher[T]) each(method string, f *Forms, visit func(*entry[T], split)) {
	for _, form := range f.list {
		s := m.split(form.path, new(room))
		for _, how := range m.ways(s) {
			if method == AnyMethod {
				for _, e := range m.under(s, how) {
					visit(e, s)
				}
			} else if e := m.search(method, s, how); e != nil {
				visit(e, s)
			}
		}
	}
}

// under are the entries that match, of any method.
func (m *Matcher[T]) under(s split, how how) []*entry[T] {
	all := search[T]{method: AnyMethod, how: how, every: true}
	all.below(&m.root, s, 0)
	slices.SortFunc(all.all, func(a, b *entry[T]) int { return a.rank - b.rank })
	return all.all
}

// every matches each target that has a pattern of the method.
func (m *Matcher[T]) every(method string) (out []Match[T]) {
	seen := map[T]bool{}
	for _, e := range m.entries {
		if e.hasMethod(method) && !seen[e.target] {
			seen[e.target] = true
			out = append(out, Match[T]{Target: e.target})
		}
	}
	return out
}

// ReadsAlike reports whether all servers read a path in one way, as it is written, and no other way
// to compare it has another result than Find.
func (m *Matcher[T]) ReadsAlike(path string) bool {
	return isPlain(path) && !m.folded && isFolded(path) && len(path) > 1
}

// Certain reports whether all forms of a path that was sent lead to the match that it has itself.
// If not, it is not certain which resource the backend shows under it. also are matches of the
// same target with other values, of forms that show the same resource: /c/5/ and /c/5.json beside
// /c/5.
func (m *Matcher[T]) Certain(method, path string, found Match[T]) (also []Match[T], certain bool) {
	if m.ReadsAlike(path) {
		return nil, true
	}
	f := FormsOf(path)
	if f.Overflow || f.Malformed {
		return nil, false
	}
	for _, form := range f.list {
		s := m.split(form.path, new(room))
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
type split struct{ parts []string }

// A room is for the parts of most paths.
type room [8]string

func (m *Matcher[T]) split(path string, room *room) split {
	return split{appendParts(room[:0], path, m.depth+1)}
}

// fold is a part without distinction of case.
func (s split) fold(i int) string { return folded(s.parts[i]) }

func (m *Matcher[T]) first(method string, s split, how how) (Match[T], bool) {
	if e := m.search(method, s, how); e != nil {
		return Match[T]{e.target, e.values(s.parts)}, true
	}
	return Match[T]{}, false
}

// search returns the most specific entry that matches; nil: none.
func (m *Matcher[T]) search(method string, s split, how how) *entry[T] {
	one := search[T]{method: method, how: how}
	one.below(&m.root, s, 0)
	return one.first
}
