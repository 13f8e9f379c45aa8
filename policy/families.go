package policy

import (
	"slices"
	"strings"

	"sidecar/cachekeys"
)

// A familyList has family templates in their order, each once. Those of a tag are found by the text
// before its first colon, so that the look takes as long for many as for few.
type familyList struct {
	list   []*cachekeys.Template
	known  map[string]bool  // their sources
	byName map[string][]int // places of those with a colon in their text before any placeholder
	others []int
}

// addPrefixes adds the family of the text before each placeholder of t that is wanted.
func (l *familyList) addPrefixes(t *cachekeys.Template, wanted func(cachekeys.Placeholder) bool) {
	for _, p := range t.Placeholders() {
		if wanted(p) {
			l.add(t.String()[:p.Offset] + "*")
		}
	}
}

func (l *familyList) add(source string) {
	if l.known[source] {
		return
	}
	t, err := cachekeys.ParseTemplate(source)
	if err != nil {
		return // a part of a template that was parsed before: it never fails
	}
	if l.known == nil {
		l.known, l.byName = map[string]bool{}, map[string][]int{}
	}
	l.known[source] = true
	if name, _, ok := strings.Cut(t.LiteralPrefix(), ":"); ok {
		l.byName[name] = append(l.byName[name], len(l.list))
	} else {
		l.others = append(l.others, len(l.list))
	}
	l.list = append(l.list, t)
}

// appendOf appends the families to which the text of a tag belongs, in the order of the list.
func (l *familyList) appendOf(out []cachekeys.Tag, text string) []cachekeys.Tag {
	var named []int
	if name, _, ok := strings.Cut(text, ":"); ok {
		named = l.byName[name]
	}
	for others := l.others; len(named) > 0 || len(others) > 0; {
		next := &others
		if len(others) == 0 || len(named) > 0 && named[0] < others[0] {
			next = &named
		}
		if family, ok := l.list[(*next)[0]].FamilyOf(text); ok {
			out = append(out, family)
		}
		*next = (*next)[1:]
	}
	return out
}

// has reports whether some template makes the family with this prefix.
func (l *familyList) has(prefix string) bool {
	return slices.ContainsFunc(l.list, func(f *cachekeys.Template) bool {
		tag, ok := f.FamilyOf(prefix)
		got, _ := tag.IsFamily()
		return ok && got == prefix
	})
}
