package pattern

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// literalFault says why a literal segment can never match a request as its author means it. text is
// the segment decoded.
func literalFault(part, text string) error {
	switch {
	case text == "." || text == "..":
		return fmt.Errorf(
			"%q is a dot segment, which servers resolve: write the path that it leads to", part)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("%q has a blank at its ends, which servers cut off: write %q", part,
			"/"+url.PathEscape(strings.TrimSpace(text)))
	case hasControl(text):
		return fmt.Errorf("%q has a control character, which no path has: take it out", part)
	case strings.Contains(text, `\`):
		return fmt.Errorf(
			"%q has a backslash: a pattern is no regular expression, and servers read it as '/'. "+
				"A wildcard is like {id}", part)
	}
	if i := strings.IndexAny(part, `[]^|<>"`+"`"); i >= 0 {
		return fmt.Errorf(
			"%q: a pattern is no regular expression. A wildcard is like {id}; where %q is meant, write %s",
			part, part[i:i+1], url.PathEscape(part[i:i+1]))
	}
	if part[0] == '(' && strings.Contains(part, ")") || part == ".+" ||
		strings.HasPrefix(part, "%7B") {
		return fmt.Errorf("%q would match itself alone: a wildcard is like {id}", part)
	}
	return nil
}

// IsCertain reports whether some path that the pattern matches is one that all servers read alike.
// If not, no read that it matches is answered from the cache.
func (p *Pattern) IsCertain() bool {
	var m Matcher[*Pattern]
	m.Add(p, p)
	path := p.example()
	found, ok := m.first(AnyMethod, m.split(path, new(room)), exactly)
	if !ok {
		return false
	}
	_, certain := m.Certain(AnyMethod, path, found)
	return certain
}

// example is a raw path that the pattern matches.
func (p *Pattern) example() string {
	var b strings.Builder
	for _, s := range p.segments {
		b.WriteByte('/')
		switch {
		case s.kind == literal:
			b.WriteString(url.PathEscape(s.text))
		case s.kind == wildcard, s.text != "":
			b.WriteByte('x')
		}
	}
	return b.String()
}

// wellKnown are segments with '$' that APIs have (OData 4.01 part 2).
var wellKnown = []string{
	"$metadata", "$batch", "$count", "$value", "$ref", "$all", "$entity", "$crossjoin", "$query",
	"$each", "$root", "$it",
}

// Suspect is a literal segment that reads like a wildcard of another syntax, or that servers read
// in several ways; "" if there is none. Such a pattern may match, but not as its author means it.
func (p *Pattern) Suspect() string {
	for _, s := range p.segments {
		if s.kind != literal || s.text == "" {
			continue
		}
		variable := s.text[0] == '$' && !slices.Contains(wellKnown, s.text)
		if variable || !(&Pattern{segments: []segment{s}}).IsCertain() {
			return s.text
		}
	}
	return ""
}
