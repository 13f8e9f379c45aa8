package policy

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/nearest"
	"sidecar/policy/yamldoc"
)

// smells reports legal settings that were probably not meant.
func (l *loader) smells() {
	for _, r := range l.routes {
		for _, w := range r.writes {
			l.writes.add(l.shape(w), w)
		}
		if r.cache == nil {
			continue
		}
		for _, t := range r.cache.Tags {
			l.tags.add(l.shape(t), t)
		}
	}
	for _, r := range l.routes {
		for i, w := range r.writes {
			l.smellOfWrite(r, w, i)
		}
		if r.cache != nil {
			for i, t := range r.cache.Tags {
				l.smellOfSpelling(t, r.tagsAt[i])
			}
		}
		if r.cache != nil && !r.static && !l.unread() && !l.invalidated(r) {
			l.Smell(r.at,
				"nothing invalidates %q: after a write its answers are old until they expire. "+
					"Name its tags in the invalidate of a route, or say nobody_writes: true",
				r.name)
		}
		if r.cache != nil && r.cache.Memory > 0 && l.invalidated(r) {
			l.Smell(r.memoryAt,
				"after a write another sidecar answers %q from its memory until it hears of it: "+
					"milliseconds, and at most %s. memory: off waits for nobody",
				r.name, brief(r.cache.Memory))
		}
		if r.kind == Job && !l.jwt && !r.job.Link {
			l.Smell(r.at,
				"%q takes credentials that nobody verifies: who has a new token no longer sees "+
					"the jobs of the old one. Add jwt to the caller block", r.name)
		}
	}
	l.smellOfIdentity()
}

// unread reports whether a route may be unknown, since it is at fault: what seems to be missing may
// stand there.
func (l *loader) unread() bool { return l.incomplete || l.Partial() }

func (l *loader) smellOfWrite(r *draft, w *cachekeys.Template, i int) {
	at := r.writesAt[i]
	switch {
	case w.String() == "caller:{caller}":
		if l.jwt && (l.caller.ID == nil || !slices.Contains(claimsOf(l.caller.ID), "jti")) {
			l.Smell(at, "while caller.id leaves out jti, another token of the same caller "+
				"refills what this drops, and a token that was logged out can read it until it expires")
		}
	case strings.HasPrefix(w.String(), "caller:"): // every private entry carries it
	case !l.unread() && !l.carried(w):
		l.Smell(at, "no cached route carries %q: it invalidates nothing%s",
			w.String(), l.meantTag(w))
	case w.Has(cachekeys.FromClaim):
		l.Smell(at, "%q names the one who writes, and the owner of what is written may be "+
			"another: take the id from the path or the answer", w.String())
	}
}

// meantTag is the end of a message about a tag that no route carries: the one that was meant.
func (l *loader) meantTag(w *cachekeys.Template) string {
	text := w.String()
	if _, path, ok := strings.Cut(text, "/"); ok && (path == "" || strings.HasPrefix(text, "/") ||
		strings.Contains(text, " /")) {
		return ". It is the name of a tag, and no path"
	}
	var tags []string
	for _, r := range l.routes {
		if r.cache == nil {
			continue
		}
		for _, t := range r.cache.Tags {
			tags = append(tags, t.String())
		}
	}
	if len(tags) > maxCompared {
		return ""
	}
	if near := nearest.To(text, tags); near != "" {
		return fmt.Sprintf(". Did you mean %q?", near)
	}
	return ""
}

// maxCompared bounds the tags among which one with a similar name is looked for.
const maxCompared = 1000

// smellOfSpelling proposes a filter for a placeholder of a path where a number or a UUID is seen:
// in its name, or in the place of its value in some invalidation.
func (l *loader) smellOfSpelling(t *cachekeys.Template, at yamldoc.Place) {
	for _, p := range t.Placeholders() {
		if p.Source != cachekeys.FromPath || p.Filter != cachekeys.AsIs {
			continue
		}
		if name := strings.ToLower(p.Name); strings.HasSuffix(name, "uuid") ||
			strings.HasSuffix(name, "guid") {
			l.proposeFilter(at, t, p, cachekeys.UUID)
		} else if filter := l.filterSeen(t); filter != cachekeys.AsIs {
			l.proposeFilter(at, t, p, filter)
		}
	}
}

func (l *loader) proposeFilter(at yamldoc.Place, t *cachekeys.Template, p cachekeys.Placeholder,
	f cachekeys.Filter) {
	l.Smell(at, "%q: {%s%s} makes one spelling of the value, here and in invalidate: without it "+
		"a write in another spelling drops the whole family",
		t.String(), p.Name, f)
}

// filterSeen is the filter for the value that some invalidation has in the place of a placeholder.
func (l *loader) filterSeen(t *cachekeys.Template) cachekeys.Filter {
	parts := l.shape(t)
	for w := range l.writes.near(parts) {
		if len(w.Placeholders()) > 0 || !l.touches(w, t) {
			continue
		}
		for i, value := range l.shape(w) {
			if i < len(parts) && parts[i] == string(hole) &&
				cachekeys.FilterFor(value) != cachekeys.AsIs {
				return cachekeys.FilterFor(value)
			}
		}
	}
	return cachekeys.AsIs
}

// carried reports whether some cached route carries a tag that w names.
func (l *loader) carried(w *cachekeys.Template) bool {
	for t := range l.tags.near(l.shape(w)) {
		if l.touches(w, t) {
			return true
		}
	}
	return false
}

// invalidated reports whether some route names a tag that r carries, or writes to the paths of r.
func (l *loader) invalidated(r *draft) bool {
	for _, t := range r.cache.Tags {
		for w := range l.writes.near(l.shape(t)) {
			if l.touches(w, t) {
				return true
			}
		}
	}
	for _, other := range l.routes {
		if other.kind != Write && other.kind != Job {
			continue
		}
		for _, p := range other.patterns {
			for _, q := range r.patterns {
				if p.MeetsPath(q) {
					return true
				}
			}
		}
	}
	return false
}

// A shapeIndex has templates by the first part of their shapes: those that begin with different
// texts cannot touch.
type shapeIndex struct {
	named       map[string][]*cachekeys.Template
	others, all []*cachekeys.Template
}

// isText reports whether a part of a shape stands for itself alone.
func isText(part string) bool {
	return !strings.ContainsRune(part, hole) && !strings.HasSuffix(part, "*")
}

func (x *shapeIndex) add(shape []string, t *cachekeys.Template) {
	x.all = append(x.all, t)
	if !isText(shape[0]) {
		x.others = append(x.others, t)
		return
	}
	if x.named == nil {
		x.named = map[string][]*cachekeys.Template{}
	}
	x.named[shape[0]] = append(x.named[shape[0]], t)
}

// near are the templates that may touch one of this shape.
func (x *shapeIndex) near(shape []string) iter.Seq[*cachekeys.Template] {
	first, second := x.all, []*cachekeys.Template(nil)
	if isText(shape[0]) {
		first, second = x.named[shape[0]], x.others
	}
	return func(yield func(*cachekeys.Template) bool) {
		for _, list := range [][]*cachekeys.Template{first, second} {
			for _, t := range list {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// touches reports whether w and t may yield the same tag: their texts agree where neither has a
// placeholder.
func (l *loader) touches(w, t *cachekeys.Template) bool {
	return shapesMeet(l.shape(w), l.shape(t))
}

// shapesMeet reports whether two shapes can be the same text. The first may be a family.
func shapesMeet(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if prefix, family := strings.CutSuffix(a[i], "*"); family {
			return strings.HasPrefix(b[i], prefix) || strings.ContainsRune(b[i], hole) ||
				strings.ContainsRune(prefix, hole)
		}
		if a[i] != b[i] && !strings.ContainsRune(a[i], hole) && !strings.ContainsRune(b[i], hole) {
			return false
		}
	}
	return len(a) == len(b)
}

// hole stands for a placeholder in a shape.
const hole = '\x00'

// shape is the text of a template between its colons, with a hole for each placeholder.
func (l *loader) shape(t *cachekeys.Template) []string {
	if known, ok := l.shapes[t]; ok {
		return known
	}
	l.shapes[t] = strings.Split(shape(t), ":")
	return l.shapes[t]
}

func shape(t *cachekeys.Template) string {
	var b strings.Builder
	depth := 0
	for _, c := range t.String() {
		switch {
		case c == '{':
			if depth++; depth == 1 {
				b.WriteRune(hole)
			}
		case c == '}':
			depth--
		case depth == 0:
			b.WriteRune(c)
		}
	}
	return b.String()
}
