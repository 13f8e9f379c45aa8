package propose

import (
	"fmt"

	"sidecar/policy/pattern"
)

// Bounds of what is proposed live; a policies file has twice as much at most.
const (
	maxPatterns  = 1000
	maxTemplates = 1000
)

// settle comments out what a policies file cannot have, with the reason: a pattern that never
// matches, two of which neither is more specific, and what goes over the bounds.
func (f *File) settle() {
	var m pattern.Matcher[*Route]
	patterns, templates := 0, 0
	for i := range f.Routes {
		r := &f.Routes[i]
		if !r.Live {
			continue
		}
		parsed, why := r.parse(&m)
		switch tags := len(r.Invalidate); {
		case why != "":
		case patterns+len(parsed) > maxPatterns, templates+tags > maxTemplates:
			why = fmt.Sprintf("Not live: the file has %d patterns or tags already.", maxPatterns)
		default:
			if r.Cache != nil {
				tags = len(r.Cache.Tags)
			}
			patterns, templates = patterns+len(parsed), templates+tags
			for _, p := range parsed {
				m.Add(p, r)
			}
			continue
		}
		r.Live, r.Comment = false, append(r.Comment, why)
	}
}

// parse reads the patterns of a route. why is the reason why it cannot be live.
func (r *Route) parse(m *pattern.Matcher[*Route]) (parsed []*pattern.Pattern, why string) {
	for _, text := range r.Match {
		p, err := pattern.Parse(text)
		if err != nil {
			return nil, fmt.Sprintf("Not live: %q is no pattern: %v.", text, err)
		}
		if r.Cache != nil && !p.IsCertain() {
			return nil, "Not live: servers read this path in different ways."
		}
		if other, _ := m.Conflict(p); other != nil {
			return nil, fmt.Sprintf("Not live: %q matches the same requests, and neither is more "+
				"specific.", other)
		}
		parsed = append(parsed, p)
	}
	return parsed, ""
}
