package pattern

import (
	"net/http"
)

// A Pattern has the syntax and the meaning of net/http.ServeMux: a method, literal segments, {name}
// for one segment, {rest...} for all that follow, {$} for a trailing slash alone. It is immutable.
type Pattern struct {
	source   string
	method   string // "": any
	segments []segment
}

// String is the pattern as written.
func (p *Pattern) String() string { return p.source }

// Method is the method that the pattern names; "" for any.
func (p *Pattern) Method() string { return p.method }

// Directory is the pattern of the path above a pattern for everything below it: of /a/{rest...} it
// is /a. ok is false if the pattern is for something else.
func (p *Pattern) Directory() (dir *Pattern, ok bool) {
	last := len(p.segments) - 1
	if last < 1 || p.segments[last].kind != rest {
		return nil, false
	}
	return &Pattern{source: p.source, method: p.method, segments: p.segments[:last]}, true
}

// A segment is the part between two slashes. A path that ends in a slash ends in an empty one.
type segment struct {
	kind   segmentKind
	text   string // a literal, decoded; else the name of the wildcard, which may be ""
	folded string // the text without distinction of case
}

type segmentKind int

const (
	literal  segmentKind = iota
	wildcard             // one segment that is not empty
	// all that follow, at least one, which may be empty; the last of its pattern
	rest
)

// Wildcards are the names of the pattern's wildcards, in order.
func (p *Pattern) Wildcards() []string {
	var names []string
	for _, s := range p.segments {
		if s.kind != literal && s.text != "" {
			names = append(names, s.text)
		}
	}
	return names
}

// how says how a path is compared with patterns.
type how struct {
	folded bool // without regard to case
	empty  bool // some wildcard is empty; ServeMux has none but {rest...}
}

var (
	exactly  = how{}
	caseless = how{folded: true}
)

// AnyMethod is the method of a request that may have any.
const AnyMethod = "*"

// hasMethod reports whether the pattern is for requests of the method.
func (p *Pattern) hasMethod(method string) bool {
	return p.method == "" || p.method == method || method == AnyMethod ||
		p.method == http.MethodGet && method == http.MethodHead
}

// matches compares a path with the pattern.
func (p *Pattern) matches(s split, how how) bool {
	hasEmpty := false
	for i, seg := range p.segments {
		switch {
		case seg.kind == rest && i < len(s.parts):
			hasEmpty = hasEmpty || seg.text != "" && i == len(s.parts)-1 && s.parts[i] == ""
			return !how.empty || hasEmpty
		case i >= len(s.parts), seg.kind == rest:
			return false
		case seg.kind == wildcard && s.parts[i] == "":
			if hasEmpty = true; !how.empty {
				return false
			}
		case seg.kind == literal && !how.folded && seg.text != s.parts[i],
			seg.kind == literal && how.folded && seg.folded != s.fold(i):
			return false
		}
	}
	return len(s.parts) == len(p.segments) && (!how.empty || hasEmpty)
}
