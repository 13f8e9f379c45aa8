package pattern

// A node of the index is a place in a path: the patterns that share the segments up to there. It
// only keeps away patterns that cannot match: those that it yields are still compared. Literals are
// found without regard to case, so that one index serves every way to compare.
type node[T comparable] struct {
	literals map[string]*node[T] // by their folded text
	wildcard *node[T]
	ends     []*entry[T] // whose last segment leads here
	rests    []*entry[T] // that go on with {rest...}
}

// add adds an entry whose segments from i on lie below n.
func (n *node[T]) add(e *entry[T], i int) {
	if i == len(e.segments) {
		n.ends = append(n.ends, e)
		return
	}
	switch s := e.segments[i]; s.kind {
	case rest:
		n.rests = append(n.rests, e)
	case wildcard:
		if n.wildcard == nil {
			n.wildcard = &node[T]{}
		}
		n.wildcard.add(e, i+1)
	default:
		next := n.literals[s.folded]
		if next == nil {
			if n.literals == nil {
				n.literals = map[string]*node[T]{}
			}
			next = &node[T]{}
			n.literals[s.folded] = next
		}
		next.add(e, i+1)
	}
}

// A search is for the entries that a path may match.
type search[T comparable] struct {
	method string
	how    how
	first  *entry[T]   // the one that comes first in the order of the entries
	all    []*entry[T] // every one, in any order, if it is wanted
	every  bool
}

// below searches the entries below n, which lies before part i of the path.
func (s *search[T]) below(n *node[T], path split, i int) {
	if i == len(path.parts) {
		s.try(n.ends, path)
		return
	}
	s.try(n.rests, path)
	if next := n.literals[path.fold(i)]; next != nil {
		s.below(next, path, i+1)
	}
	if n.wildcard != nil {
		s.below(n.wildcard, path, i+1)
	}
}

// try compares the path with entries.
func (s *search[T]) try(entries []*entry[T], path split) {
	for _, e := range entries {
		if !s.every && s.first != nil && s.first.rank < e.rank ||
			!e.hasMethod(s.method) || !e.matches(path, s.how) {
			continue
		}
		if s.first = e; s.every {
			s.all = append(s.all, e)
		}
	}
}

// covering returns the first entry below n, which lies before segment i of p, that covers p.
func (n *node[T]) covering(p *Pattern, i int, first *entry[T]) *entry[T] {
	better := func(entries []*entry[T]) {
		for _, e := range entries {
			if (first == nil || e.rank < first.rank) && e.covers(p) {
				first = e
			}
		}
	}
	if i == len(p.segments) {
		better(n.ends)
		return first
	}
	better(n.rests)
	s := p.segments[i]
	if next := n.literals[s.folded]; s.kind == literal && next != nil {
		first = next.covering(p, i+1, first)
	}
	if s.kind != rest && n.wildcard != nil {
		first = n.wildcard.covering(p, i+1, first)
	}
	return first
}

// conflicting returns the first entry below n, which lies before segment i of p, that conflicts
// with p.
func (n *node[T]) conflicting(p *Pattern, i int, first *entry[T]) *entry[T] {
	better := func(entries []*entry[T]) {
		for _, e := range entries {
			if (first == nil || e.rank < first.rank) && e.conflicts(p) {
				first = e
			}
		}
	}
	better(n.rests)
	open := i < len(p.segments) && p.segments[i].kind == rest
	if better(n.ends); i == len(p.segments) {
		return first
	}
	// Below {rest...} everything may meet p; at a wildcard every literal does.
	step := i + 1
	if open {
		step = i
	}
	if s := p.segments[i]; s.kind == literal {
		if next := n.literals[s.folded]; next != nil {
			first = next.conflicting(p, step, first)
		}
	} else {
		for _, next := range n.literals {
			first = next.conflicting(p, step, first)
		}
	}
	if n.wildcard != nil {
		first = n.wildcard.conflicting(p, step, first)
	}
	return first
}
