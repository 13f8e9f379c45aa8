package propose

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A Tag is a tag or a family of a policies file, made from a path.
type Tag struct {
	Name   string   // of a resource
	Holes  []string // wildcards whose values follow, each with its filter, like "id|int"
	Family bool     // all tags of the resource that have values
}

// String is the tag as the file has it.
func (t Tag) String() string {
	if t.Family {
		return t.Name + ":*"
	}
	var b strings.Builder
	b.WriteString(t.Name)
	for _, hole := range t.Holes {
		b.WriteString(":{" + hole + "}")
	}
	return b.String()
}

// Relations derive tags from paths. Below the literals with which a path begins lies a resource;
// the wildcards right behind them name one instance of it, and all answers about an instance
// have one tag. So a write at any place below /items/{id} invalidates all that is shown below it,
// the lists of items, and what names items elsewhere, as /users/{id}/items does. That is more than
// most writes change, and less may be stale.
type Relations struct {
	roots   []*root
	filters map[string]string // of a wildcard's values, by root and place
}

// A root is the beginning of the paths of one resource.
type root struct {
	path    Path
	name    string
	word    string // the last literal, in the singular
	arities []int  // how many values the tags of reads have; 0: those without an instance
}

// NewRelations returns the relations among these paths. filter gives the filter of the values of a
// wildcard, like "int"; "" if there is none.
func NewRelations(reads, writes []Path, filter func(p Path, i int) string) *Relations {
	r := &Relations{filters: map[string]string{}}
	found := map[string]bool{}
	add := func(p Path) {
		if key := p.String(); !found[key] {
			found[key] = true
			r.roots = append(r.roots, &root{path: p, word: singular(lastWord(p))})
		}
	}
	reads, writes = trimmed(reads), trimmed(writes)
	for _, p := range reads {
		add(p[:p.literals()])
	}
	for _, p := range writes {
		if n := p.literals(); n < len(p) {
			add(p[:n])
		}
	}
	slices.SortFunc(
		r.roots,
		func(a, b *root) int { return strings.Compare(a.path.String(), b.path.String()) },
	)
	r.name()
	for _, p := range slices.Concat(reads, writes) {
		r.agree(p, filter)
	}
	for _, p := range reads {
		own := r.of(p)
		own.has(len(instance(own, p)))
		for _, linked := range r.linked(p, own) {
			linked.has(0)
		}
	}
	return r
}

// name gives each root the shortest name, of its last words, that no other has.
func (r *Relations) name() {
	used := map[string]bool{}
	for _, root := range r.roots {
		words := root.path.words()
		name := "root"
		for i := len(words) - 1; i >= 0; i-- {
			name = strings.Join(words[i:], "_")
			if !used[name] {
				break
			}
		}
		root.name = unused(name, used)
	}
}

// agree keeps a filter that all paths of a root agree on.
func (r *Relations) agree(p Path, filter func(p Path, i int) string) {
	own := r.of(p)
	if own == nil {
		return
	}
	for i := range instance(own, p) {
		key, f := own.name+":"+itoa(i), filter(p, len(own.path)+i)
		if before, ok := r.filters[key]; ok && before != f {
			f = ""
		}
		r.filters[key] = f
	}
}

func (r *root) has(arity int) {
	if !slices.Contains(r.arities, arity) {
		r.arities = append(r.arities, arity)
		slices.Sort(r.arities)
	}
}

// of is the longest root of a path; nil if it has none.
func (r *Relations) of(p Path) (longest *root) {
	for _, root := range r.roots {
		if p.begins(root.path) && (longest == nil || len(root.path) > len(longest.path)) {
			longest = root
		}
	}
	return longest
}

// instance is the wildcards right behind the root.
func instance(own *root, p Path) []Segment {
	rest := p[len(own.path):]
	for i, s := range rest {
		if !s.Wild {
			return rest[:i]
		}
	}
	return rest
}

// linked are the roots of other resources that the path names behind its own root.
func (r *Relations) linked(p Path, own *root) (out []*root) {
	from := 0
	if own != nil {
		from = len(own.path)
	}
	for _, s := range p[from:] {
		if s.Wild {
			continue
		}
		for _, other := range r.roots {
			if other != own && other.word != "" && singular(s.Text) == other.word &&
				!slices.Contains(out, other) {
				out = append(out, other)
			}
		}
	}
	return out
}

// Tags are those that an answer of a read carries.
func (r *Relations) Tags(read Path) []Tag {
	read = read.trimmed()
	own := r.of(read)
	tags := []Tag{r.tag(own, instance(own, read))}
	for _, linked := range r.linked(read, own) {
		tags = append(tags, Tag{Name: linked.name})
	}
	return tags
}

// tag is that of the instance which wildcards name.
func (r *Relations) tag(own *root, wild []Segment) Tag {
	t := Tag{Name: own.name}
	for i, s := range wild {
		hole := s.Text
		if f := r.filters[own.name+":"+itoa(i)]; f != "" {
			hole += "|" + f
		}
		t.Holes = append(t.Holes, hole)
	}
	return t
}

// Invalidated are the tags and families that a write has to invalidate by its path.
func (r *Relations) Invalidated(method string, write Path) (tags []Tag) {
	write = write.trimmed()
	own := r.of(write)
	linked := r.linked(write, own)
	for _, other := range r.roots {
		switch {
		case other == own:
			tags = append(tags, r.within(own, method, write)...)
		case own != nil && (own.path.begins(other.path) || other.path.begins(own.path)),
			other.path.begins(write), slices.Contains(linked, other):
			tags = append(tags, other.all()...)
		}
	}
	return tags
}

// within are the tags of a write in its own resource.
func (r *Relations) within(own *root, method string, write Path) (tags []Tag) {
	wild := instance(own, write)
	if len(wild) == 0 {
		if method != http.MethodPost || len(write) > len(own.path) {
			return own.all()
		}
	}
	for _, arity := range own.arities {
		switch {
		case arity <= len(wild):
			tags = append(tags, r.tag(own, wild[:arity]))
		case len(wild) > 0:
			tags = append(tags, Tag{Name: own.name, Family: true})
		}
		// a POST to the list makes an instance that no answer shows yet
	}
	return tags
}

// all are the tags of everything that is shown of a resource.
func (r *root) all() (tags []Tag) {
	if slices.Contains(r.arities, 0) {
		tags = append(tags, Tag{Name: r.name})
	}
	if slices.ContainsFunc(r.arities, func(n int) bool { return n > 0 }) {
		tags = append(tags, Tag{Name: r.name, Family: true})
	}
	return tags
}

// All are the tags of everything that is shown of the resource of a read.
func (r *Relations) All(read Path) []Tag { return r.of(read.trimmed()).all() }

// trimmed is the path without a slash at its end, which servers often take for the same.
func (p Path) trimmed() Path {
	if len(p) > 1 && p[len(p)-1] == (Segment{}) {
		return p[:len(p)-1]
	}
	return p
}

func trimmed(paths []Path) []Path {
	out := make([]Path, len(paths))
	for i, p := range paths {
		out[i] = p.trimmed()
	}
	return out
}

func lastWord(p Path) string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1].Text
}

// singular is a word as it is compared: /npc and /npcs are about one resource.
func singular(word string) string {
	word = strings.ToLower(word)
	if stem, ok := strings.CutSuffix(word, "ies"); ok && len(stem) > 1 {
		return stem + "y"
	}
	if stem, ok := strings.CutSuffix(word, "s"); ok && len(stem) > 1 &&
		!strings.HasSuffix(stem, "s") {
		return stem
	}
	return word
}
