package propose

import (
	"fmt"
	"slices"

	"sidecar/policy/pattern"
)

// Bounds of the live proposals. Reads and writes together are within those of a policies file.
var (
	readBounds  = usage{patterns: 500, tags: 600, bytes: 300 << 10}
	writeBounds = usage{patterns: 1400, tags: 1300, bytes: 500 << 10}
)

// maxBytes bounds the file, suggestions and all.
const maxBytes = 1000 << 10

// usage is the share of the bounds that routes take.
type usage struct{ patterns, tags, bytes int }

func (u usage) plus(o usage) usage {
	return usage{u.patterns + o.patterns, u.tags + o.tags, u.bytes + o.bytes}
}

func (u usage) within(o usage) bool {
	return u.patterns <= o.patterns && u.tags <= o.tags && u.bytes <= o.bytes
}

// settle comments out faults of a policies file, with the reason: a pattern that never matches, two
// without a more specific one, and routes over the bounds. No read is live beside a write that
// cannot be and would invalidate it.
func (f *File) settle() {
	var m pattern.Matcher[*Route]
	unheard := map[string]string{} // shapes of tags, with the write that cannot be live
	used := usage{}
	for i := range f.Routes {
		r := &f.Routes[i]
		if !r.Live || r.Cache != nil {
			continue
		}
		if why := r.admit(&m, &used, writeBounds); why != "" {
			r.Live, r.Comment = false, append(r.Comment, why)
			for _, t := range r.Invalidate {
				unheard[shape(t)] = r.Match[0]
			}
		}
	}
	used = usage{}
	for i := range f.Routes {
		r := &f.Routes[i]
		if !r.Live || r.Cache == nil {
			continue
		}
		why := ""
		if write := r.Cache.named(unheard); write != "" {
			why = fmt.Sprintf("Not live: %.100q changes it by its path, and cannot be live.", write)
		} else {
			why = r.admit(&m, &used, readBounds)
		}
		if why != "" {
			r.Live, r.Comment = false, append(r.Comment, why)
		}
	}
}

// named is the value of the first tag, or family of one, of the block.
func (c *Cache) named(shapes map[string]string) string {
	for _, t := range c.Tags {
		for _, key := range []string{shape(t), shape(Tag{Name: t.Name, Family: true})} {
			if found, ok := shapes[key]; ok && (key == shape(t) || len(t.Holes) > 0) {
				return found
			}
		}
	}
	return ""
}

// admit adds a route to m and to the usage. why is the reason why it cannot be live.
func (r *Route) admit(m *pattern.Matcher[*Route], used *usage, bounds usage) (why string) {
	parsed, why := r.parse(m)
	if why != "" {
		return why
	}
	more := usage{patterns: len(parsed), tags: len(r.Invalidate), bytes: r.size()}
	if r.Cache != nil {
		more.tags = len(r.Cache.Tags)
	}
	if !used.plus(more).within(bounds) {
		return "Not live: the file has too many routes already."
	}
	*used = used.plus(more)
	for _, p := range parsed {
		m.Add(p, r)
	}
	return ""
}

// size is how many bytes the route takes as it is written live.
func (r *Route) size() int {
	w := &writer{used: map[string]bool{}, all: true}
	w.route(*r)
	return w.Len()
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
		if slices.ContainsFunc(
			parsed,
			func(o *pattern.Pattern) bool { return o.String() == text },
		) {
			continue
		}
		parsed = append(parsed, p)
	}
	return parsed, ""
}
