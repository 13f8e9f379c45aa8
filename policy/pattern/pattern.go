package pattern

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sidecar/internal/httpfield"
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

// A segment is the part between two slashes. A path that ends in a slash ends in an empty one.
type segment struct {
	kind segmentKind
	text string // a literal, decoded; else the name of the wildcard, which may be ""
}

type segmentKind int

const (
	literal  segmentKind = iota
	wildcard             // one segment that is not empty
	rest                 // all that follow, at least one, which may be empty; the last of its pattern
)

// Parse reads a pattern.
func Parse(s string) (*Pattern, error) {
	p := &Pattern{source: s}
	path := s
	if method, after, found := strings.Cut(s, " "); found {
		if !httpfield.IsToken(method) {
			return nil, fmt.Errorf("%q is no method", method)
		}
		p.method, path = method, strings.TrimLeft(after, " \t")
	}
	if !strings.HasPrefix(path, "/") {
		if strings.Contains(path, "/") {
			return nil, errors.New("a pattern has no host here: it is like GET /api/characters/{id}")
		}
		return nil, errors.New("a pattern has a path that begins with '/': it is like GET /api/characters/{id}")
	}
	seen := map[string]bool{}
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		seg, err := parseSegment(part, i == len(parts)-1)
		if err != nil {
			return nil, err
		}
		if seg.kind != literal && seg.text != "" {
			if seen[seg.text] {
				return nil, fmt.Errorf("the wildcard {%s} stands there twice", seg.text)
			}
			seen[seg.text] = true
		}
		p.segments = append(p.segments, seg)
	}
	return p, nil
}

func parseSegment(part string, last bool) (segment, error) {
	switch {
	case part == "" && last:
		return segment{kind: rest}, nil // a trailing slash: everything below
	case part == "":
		return segment{}, errors.New("'//' in a pattern never matches what a client means: take one slash out")
	case part == "." || part == "..":
		return segment{}, fmt.Errorf("%q in a pattern never matches what a client means", part)
	case part == "{$}" && last:
		return segment{kind: literal}, nil
	case part == "{$}":
		return segment{}, errors.New("{$} may only stand at the end")
	}
	name, open := strings.CutPrefix(part, "{")
	if !open {
		if strings.ContainsAny(part, "{}") {
			return segment{}, fmt.Errorf("%q: a wildcard is a whole segment, like /{id}/", part)
		}
		text, err := url.PathUnescape(part)
		if err != nil {
			return segment{}, fmt.Errorf("%q is not well escaped", part)
		}
		return segment{literal, text}, nil
	}
	name, closed := strings.CutSuffix(name, "}")
	if !closed {
		return segment{}, fmt.Errorf("%q: a wildcard is a whole segment, like /{id}/", part)
	}
	name, multi := strings.CutSuffix(name, "...")
	switch {
	case !isIdentifier(name):
		return segment{}, fmt.Errorf("%q: a wildcard's name is made of letters, digits and '_'", part)
	case multi && !last:
		return segment{}, fmt.Errorf("%q may only stand at the end", part)
	case multi:
		return segment{rest, name}, nil
	}
	return segment{wildcard, name}, nil
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

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

// bind matches path, whose segments are decoded, and gives the values of the wildcards. A {name}
// does not match an empty segment, unless empty is true: then its value is empty.
func (p *Pattern) bind(path []string, empty bool) (values map[string]string, ok bool) {
	for i, s := range p.segments {
		switch {
		case s.kind == rest && i < len(path):
			values = with(values, s.text, strings.Join(path[i:], "/"))
			return values, true
		case i >= len(path), s.kind == rest:
			return nil, false
		case s.kind == literal && s.text != path[i], s.kind == wildcard && path[i] == "" && !empty:
			return nil, false
		case s.kind == wildcard:
			values = with(values, s.text, path[i])
		}
	}
	return values, len(path) == len(p.segments)
}

func with(values map[string]string, name, value string) map[string]string {
	if name == "" {
		return values
	}
	if values == nil {
		values = map[string]string{}
	}
	values[name] = value
	return values
}

// covers reports whether p matches every request that q matches.
func (p *Pattern) covers(q *Pattern) bool {
	return (p.method == "" || p.method == q.method || p.method == http.MethodGet && q.method == http.MethodHead) &&
		coversPath(p.segments, q.segments)
}

func coversPath(p, q []segment) bool {
	for i := 0; ; i++ {
		switch {
		case i == len(p) || i == len(q):
			return len(p) == len(q)
		case p[i].kind == rest:
			return true
		case q[i].kind == rest:
			return false
		case p[i].kind == wildcard && q[i].kind == literal && q[i].text == "":
			return false
		case p[i].kind == literal && (q[i].kind != literal || p[i].text != q[i].text):
			return false
		}
	}
}

// meets reports whether some request is matched by both.
func (p *Pattern) meets(q *Pattern) bool {
	method := p.method == "" || q.method == "" || p.method == q.method ||
		p.method == http.MethodGet && q.method == http.MethodHead || p.method == http.MethodHead && q.method == http.MethodGet
	return method && meetsPath(p.segments, q.segments)
}

func meetsPath(p, q []segment) bool {
	for i := 0; ; i++ {
		switch {
		case i == len(p) || i == len(q):
			return len(p) == len(q)
		case p[i].kind == rest || q[i].kind == rest:
			return true
		case p[i].kind == literal && q[i].kind == literal && p[i].text != q[i].text:
			return false
		case p[i].kind != q[i].kind && (p[i].kind == literal && p[i].text == "" || q[i].kind == literal && q[i].text == ""):
			return false
		}
	}
}

// MeetsPath reports whether some path is matched by both.
func (p *Pattern) MeetsPath(q *Pattern) bool { return meetsPath(p.segments, q.segments) }

// conflicts reports whether both patterns match some request and neither is more specific than the
// other: then it is not certain which one applies.
func (p *Pattern) conflicts(q *Pattern) bool {
	return p.meets(q) && p.covers(q) == q.covers(p)
}
