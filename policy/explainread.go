package policy

import (
	"slices"
	"strings"

	"sidecar/cachekeys"
)

// explainRead says under which key the answer to the request is stored, how long, and which
// writes drop it.
func (t *Table) explainRead(r Request, plan *Plan, hide redactor) *ReadAnswer {
	read := plan.Read
	a := &ReadAnswer{
		Scope: read.scope(), Key: read.keyParts(hide), Tags: []string{},
		MaxBody:  read.Cache.MaxBody,
		Lifetime: read.lifetime(r.Now), DroppedBy: t.droppers(r.Path, read),
	}
	if read.Cache.Memory > 0 {
		a.Memory = read.Cache.Memory.String()
	}
	if read.Cache.Verify != nil {
		a.Verify = read.Cache.Verify.share()
	}
	for _, tag := range read.Carried {
		if _, ok := tag.IsFamily(); ok {
			a.Families = append(a.Families, hide.Text(tag.String()))
		} else {
			a.Tags = append(a.Tags, hide.Text(tag.String()))
		}
	}
	for _, template := range read.Cache.Tags {
		if readsResponse(template) {
			a.FromBody = append(a.FromBody, template.String())
		}
	}
	return a
}

// keyParts are the parts of the key as people read them.
func (r *ReadPlan) keyParts(hide redactor) []KeyPart {
	k := r.Key
	parts := []KeyPart{{"policy", k.Block}, {"scope", k.Scope}}
	if k.Partition != "" {
		parts = append(parts, KeyPart{"caller", hide.Text(k.Partition)})
	}
	parts = append(parts, KeyPart{"authority", k.Authority})
	for _, v := range k.Told {
		parts = append(parts, KeyPart{v.Name, hide.Field(v.Name, strings.Join(v.Values, ", "))})
	}
	parts = append(parts, KeyPart{"path", k.Path})
	if k.HasQuery {
		parts = append(parts, KeyPart{"query", hide.Query(k.Query)})
	}
	for _, v := range k.Vary {
		value := "absent"
		if len(v.Values) > 0 {
			value = hide.Field(v.Name, strings.Join(v.Values, ", "))
		}
		parts = append(parts, KeyPart{v.Name, value})
	}
	return parts
}

// droppers are the routes that drop an entry of the request: by a tag, or because they write to
// its path.
func (t *Table) droppers(path string, read *ReadPlan) []Dropper {
	var carried [][]string // shapes
	for _, tag := range read.Carried {
		if text, ok := tag.IsNamed(); ok {
			carried = append(carried, strings.Split(text, ":"))
		}
	}
	for _, template := range read.Cache.Tags {
		if readsResponse(template) {
			carried = append(carried, strings.Split(shape(template), ":"))
		}
	}
	out := []Dropper{}
	for _, r := range t.routes {
		if r.kind != Write && r.kind != Job {
			continue
		}
		d := Dropper{Route: r.name, Patterns: sources(r)}
		for _, w := range r.writes {
			if names := strings.Split(shape(w),
				":"); slices.ContainsFunc(carried, func(tag []string) bool {
				return shapesMeet(names, tag)
			}) {
				d.Templates = append(d.Templates, w.String())
			}
		}
		if len(d.Templates) > 0 || writesTo(r, path) {
			out = append(out, d)
		}
	}
	return out
}

// writesTo reports whether some pattern of the route matches the path.
func writesTo(r *route, path string) bool {
	for _, p := range r.patterns {
		if p.MatchesPath(path) {
			return true
		}
	}
	return false
}

// dropped are the names of the cached routes whose entries a write may drop.
func (t *Table) dropped(path string, matches []match) (names []string) {
	for _, r := range t.routes {
		if r.cache == nil {
			continue
		}
		drops := writesTo(r, path)
		for _, m := range matches {
			for _, w := range m.Target.writes {
				drops = drops || w.String() == "caller:{caller}" && r.cache.Scope == Private ||
					slices.ContainsFunc(r.cache.Tags, func(tag *cachekeys.Template) bool {
						return shapesMeet(strings.Split(shape(w), ":"),
							strings.Split(shape(tag), ":"))
					})
			}
		}
		if drops {
			names = append(names, r.name)
		}
	}
	return names
}

func readsResponse(t *cachekeys.Template) bool { return t.Has(cachekeys.FromResponseBody) }
