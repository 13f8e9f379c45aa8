package policy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// template parses a template at its place.
func (l *loader) template(n ast.Node) *cachekeys.Template {
	s, ok := l.text(n, "a template")
	if !ok {
		return nil
	}
	t, err := cachekeys.ParseTemplate(s)
	if err != nil {
		l.fault(n, "%q: %v", s, err)
		return nil
	}
	return t
}

// tag reads one of a cached route's tags.
func (l *loader) tag(r *route, c *Cache, s located) *cachekeys.Template {
	t := l.template(s.at)
	if t == nil {
		return nil
	}
	if t.IsFamily() {
		l.fault(s.at, "%q: an entry carries tags; the families that they belong to it carries by itself", s.text)
		return nil
	}
	for _, p := range t.Placeholders() {
		if !l.placeholder(r, s, p) {
			return nil
		}
		switch {
		case p.Source == cachekeys.FromRequestBody:
			l.fault(s.at, "%q: a GET has no body", s.text)
			return nil
		case c.Scope != Private && p.Source == cachekeys.FromCaller,
			c.Scope == Shared && p.Source == cachekeys.FromClaim,
			c.Scope == Partition && p.Source == cachekeys.FromClaim && (c.partition == nil || !slices.Contains(claimsOf(c.partition), p.Name)):
			l.fault(s.at, "%q: an entry that several callers share cannot be tagged by which of them filled it", s.text)
			return nil
		case p.Source == cachekeys.FromQuery && !c.query.has(p.Name):
			l.fault(s.at, "%q: the parameter %s is not in the key: add it to query, or take it out of ignore_query", s.text, p.Name)
			return nil
		case p.Source == cachekeys.FromQuery:
			c.tagParams = append(c.tagParams, p.Name)
		case p.Source == cachekeys.FromHeader && !slices.Contains(c.tagFields, http.CanonicalHeaderKey(p.Name)):
			c.tagFields = append(c.tagFields, http.CanonicalHeaderKey(p.Name)) // what decides a tag decides the key
		}
	}
	return t
}

// has reports whether the parameter is part of the key.
func (r queryRule) has(name string) bool {
	return !matchesAny(r.ignored, name) && (!r.listed || matchesAny(r.names, name))
}

// placeholder checks what holds for tags and invalidations alike.
func (l *loader) placeholder(r *route, s located, p cachekeys.Placeholder) bool {
	switch p.Source {
	case cachekeys.FromPath:
		for _, pattern := range r.patterns {
			if !pattern.wildcards()[p.Name] {
				l.fault(s.at, "%q: %q has no wildcard {%s}: it has %s", s.text, pattern.source, p.Name, namesOf(pattern))
				return false
			}
		}
	case cachekeys.FromClaim:
		if !l.jwt {
			l.fault(s.at, "%q: claims need jwt in the caller block: nothing unverified becomes part of a tag", s.text)
			return false
		}
	case cachekeys.FromHeader:
		if !httpfield.IsToken(p.Name) {
			l.fault(s.at, "%q: %q is no field name", s.text, p.Name)
			return false
		}
	case cachekeys.FromEnv, cachekeys.FromNow:
		l.fault(s.at, "%q: {%s…} is for schedules alone", s.text, p.Source)
		return false
	}
	return true
}

func namesOf(p *pattern) string {
	var names []string
	for _, s := range p.segments {
		if s.kind != literal && s.text != "" {
			names = append(names, "{"+s.text+"}")
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// invalidate reads what a write or a job names.
func (l *loader) invalidate(r *route, n ast.Node) {
	for _, s := range l.texts(n, "invalidate") {
		t := l.template(s.at)
		if t == nil {
			continue
		}
		ok := true
		for _, p := range t.Placeholders() {
			ok = ok && l.placeholder(r, s, p)
		}
		if ok {
			r.writes, r.writeNodes = append(r.writes, t), append(r.writeNodes, s.at)
		}
	}
}
