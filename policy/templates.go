package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/nearest"
	"sidecar/policy/pattern"
	"sidecar/policy/yamldoc"
)

// template parses a template at its place.
func (l *loader) template(s yamldoc.Located) *cachekeys.Template {
	if l.templateCount++; l.templateCount > maxTemplates {
		l.Fault(s, "there are more than %d tags and invalidations: let fewer name more",
			maxTemplates)
		return nil
	}
	if len(s.Text) > maxText || strings.Count(s.Text, "{") > 2*maxHoles {
		l.Fault(s, "a template has at most %d bytes and %d placeholders", maxText, maxHoles)
		return nil
	}
	t, err := cachekeys.ParseTemplate(s.Text)
	if err != nil {
		l.Fault(s, "%q: %v", s.Text, err)
		return nil
	}
	if strings.Contains(s.Text, "${") {
		l.Smell(s, "%q: a placeholder is like {id}: the $ before it becomes part of the tag",
			s.Text)
	}
	return t
}

// tag reads one of a cached route's tags.
func (l *loader) tag(r *draft, c *Cache, s yamldoc.Located) *cachekeys.Template {
	t := l.template(s)
	if t == nil {
		return nil
	}
	if first, rest, comma := strings.Cut(s.Text, ", "); comma &&
		!strings.ContainsAny(s.Text, "{(") {
		l.Smell(s, "%q is one tag: several are a list, [%s, %s]", s.Text, first, rest)
	}
	if t.IsFamily() {
		l.Fault(s, "%q: a * is for invalidate: an entry carries tags, and the families that they "+
			"belong to by itself", s.Text)
		return nil
	}
	for _, p := range t.Placeholders() {
		if !l.placeholder(r, s, p) {
			return nil
		}
		switch {
		case p.Source == cachekeys.FromRequestBody:
			l.Fault(s, "%q: a GET has no body", s.Text)
			return nil
		case c.Scope != Private && p.Source == cachekeys.FromCaller,
			c.Scope == Shared && p.Source == cachekeys.FromClaim,
			c.Scope == Partition && p.Source == cachekeys.FromClaim &&
				(c.partition == nil || !slices.Contains(claimsOf(c.partition), p.Name)):
			l.Fault(s, "%q: an entry that several callers share cannot be tagged by which of "+
				"them filled it", s.Text)
			return nil
		case p.Source == cachekeys.FromQuery && !c.query.has(p.Name):
			l.Fault(s, "%q: the parameter %s is not in the key: add it to query, or take it out "+
				"of ignore_query", s.Text, p.Name)
			return nil
		case p.Source == cachekeys.FromQuery:
			c.tagParams = append(c.tagParams, p.Name)
		case p.Source == cachekeys.FromHeader &&
			!slices.Contains(c.tagFields, http.CanonicalHeaderKey(p.Name)):
			// a field of a tag is part of the key
			c.tagFields = append(c.tagFields, http.CanonicalHeaderKey(p.Name))
		}
	}
	return t
}

// placeholder makes the checks that tags and invalidations have in common.
func (l *loader) placeholder(r *draft, s yamldoc.Located, p cachekeys.Placeholder) bool {
	switch p.Source {
	case cachekeys.FromPath:
		for _, pattern := range r.patterns {
			if names := pattern.Wildcards(); !slices.Contains(names, p.Name) {
				there := "it has " + namesOf(pattern)
				if near := nearest.To(p.Name, names); near != "" {
					there = fmt.Sprintf("did you mean {%s}?", near)
				}
				l.Fault(s, "%q: %q has no wildcard {%s}: %s", s.Text, pattern, p.Name, there)
				return false
			}
		}
	case cachekeys.FromClaim:
		if !l.jwt {
			l.Fault(s, "%q: claims need jwt in the caller block: nothing unverified becomes part "+
				"of a tag", s.Text)
			return false
		}
	case cachekeys.FromHeader:
		if !httpfield.IsToken(p.Name) {
			l.Fault(s, "%q: %q is no name of a field%s", s.Text, p.Name, instead(p.Name))
			return false
		}
	case cachekeys.FromRequestBody, cachekeys.FromResponseBody:
		if strings.HasPrefix(p.Name, "$") || strings.ContainsAny(p.Name, "[]") &&
			!strings.ContainsAny(p.Name, "#@|(") {
			l.Fault(s, "%q: %q is JSONPath: a path is like data.user_id, data.0.id, or data.#.id "+
				"for the id of each element", s.Text, p.Name)
			return false
		}
	case cachekeys.FromEnv, cachekeys.FromNow:
		l.Fault(s, "%q: {%s…} is for schedules alone", s.Text, p.Source)
		return false
	}
	return true
}

func namesOf(p *pattern.Pattern) string {
	names := p.Wildcards()
	if len(names) == 0 {
		return "none"
	}
	return "{" + strings.Join(names, "}, {") + "}"
}

// invalidate reads the templates of a write or a job.
func (l *loader) invalidate(r *draft, n yamldoc.Node) {
	for _, s := range l.Texts(n, "invalidate") {
		t := l.template(s)
		if t == nil {
			continue
		}
		ok := true
		for _, p := range t.Placeholders() {
			ok = ok && l.placeholder(r, s, p)
		}
		if ok {
			r.writes, r.writesAt = append(r.writes, t), append(r.writesAt, s.Place)
		}
	}
}
