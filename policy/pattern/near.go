package pattern

import (
	"fmt"
	"strings"

	"sidecar/internal/nearest"
)

// MatchesPath reports whether the pattern matches a path as it was sent, under its own method.
func (p *Pattern) MatchesPath(path string) bool {
	return p.matches(split{parts: appendParts(nil, path, len(p.segments)+1)}, exactly)
}

// Near says how a path, as it was sent, misses the pattern, if there is a single difference: case,
// a slash at the end, one segment that is spelled nearly so or is missing. ok is false if the path
// matches, or is something else.
func (p *Pattern) Near(path string) (why string, ok bool) {
	s := split{parts: appendParts(nil, path, len(p.segments)+2)}
	trimmed := strings.TrimSuffix(path, "/")
	switch {
	case p.matches(s, exactly):
		return "", false
	case p.matches(s, caseless):
		return "it is written in other letters", true
	case p.MatchesPath(path + "/"):
		return "it has a slash at the end", true
	case trimmed != path && p.MatchesPath(trimmed):
		return "it has no slash at the end", true
	case len(s.parts) == len(p.segments):
		return p.differsInOne(s)
	case len(s.parts) == len(p.segments)+1 && p.begins(s, len(p.segments)):
		return "it has one segment less", true
	case len(s.parts)+1 == len(p.segments) && p.begins(s, len(s.parts)):
		return "it has one segment more", true
	}
	return "", false
}

// begins reports whether the first n segments match.
func (p *Pattern) begins(s split, n int) bool {
	for i := range n {
		if !p.segments[i].fits(s.parts[i]) {
			return false
		}
	}
	return n > 0
}

func (s segment) fits(part string) bool {
	switch s.kind {
	case literal:
		return s.text == part
	case wildcard:
		return part != ""
	}
	return true
}

// differsInOne says which segment does not match, if it is the only one.
func (p *Pattern) differsInOne(s split) (why string, ok bool) {
	at, count := 0, 0
	for i, seg := range p.segments {
		if !seg.fits(s.parts[i]) {
			at, count = i, count+1
		}
	}
	if count != 1 {
		return "", false
	}
	seg, part := p.segments[at], s.parts[at]
	switch {
	case seg.kind != literal:
		return fmt.Sprintf("its segment {%s} is empty", seg.text), true
	case nearest.To(part, []string{seg.text}) == "":
		return "", false
	}
	return fmt.Sprintf("its segment %d is %q, not %q", at+1, seg.text, part), true
}
