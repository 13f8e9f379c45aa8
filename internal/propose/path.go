package propose

import (
	"net/url"
	"strings"
)

// A Segment is the part of a path between two slashes: a literal, or the name of a wildcard.
type Segment struct {
	Text string
	Wild bool
}

// A Path is the path of a route, cut at its slashes. That of "/" has one empty literal.
type Path []Segment

// maxPath bounds a path, in bytes: a pattern has a bound too.
const maxPath = 500

// ParsePath reads a path whose wildcards are whole segments, as in /items/{id}. A name is made one
// that a pattern can have. It reports false if the path has a wildcard of another kind, or is
// too long.
func ParsePath(text string) (Path, bool) {
	rest, ok := strings.CutPrefix(text, "/")
	if !ok || len(text) > maxPath {
		return nil, false
	}
	var p Path
	used := map[string]bool{}
	for part := range strings.SplitSeq(rest, "/") {
		name, open := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		switch {
		case open && closed && !strings.ContainsAny(name, "{}") && name != "":
			p = append(p, Segment{unused(identifier(name), used), true})
		case strings.ContainsAny(part, "{}"):
			return nil, false
		default:
			p = append(p, Segment{part, false})
		}
	}
	return p, true
}

// identifier is a name for a wildcard: letters, digits and '_'.
func identifier(name string) string {
	out := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, name)
	if out[0] >= '0' && out[0] <= '9' {
		return "_" + out
	}
	return out
}

// String is the path in the syntax of a pattern.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		b.WriteByte('/')
		switch {
		case s.Wild:
			b.WriteString("{" + s.Text + "}")
		case s.Text == "" && i == len(p)-1:
			b.WriteString("{$}") // a slash at the end alone, and nothing below it
		default:
			b.WriteString(escaped(s.Text))
		}
	}
	return b.String()
}

// escaped is a literal as patterns have it. An escape that is one already stays.
func escaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return url.PathEscape(text)
}

// words are the literals of the path and the names of its wildcards, for names.
func (p Path) words() []string {
	out := make([]string, 0, len(p))
	for _, s := range p {
		if word := strings.Trim(identifier(" "+s.Text), "_"); word != "" {
			out = append(out, strings.ToLower(word))
		}
	}
	return out
}

// literals is how many literals the path begins with.
func (p Path) literals() int {
	for i, s := range p {
		if s.Wild {
			return i
		}
	}
	return len(p)
}

// begins reports whether p begins with all segments of q, which are literals.
func (p Path) begins(q Path) bool {
	if len(q) > len(p) {
		return false
	}
	for i, s := range q {
		if p[i] != s {
			return false
		}
	}
	return true
}

// unused makes name one that is not in used, and adds it.
func unused(name string, used map[string]bool) string {
	unique := name
	for i := 2; used[unique]; i++ {
		unique = name + "_" + itoa(i)
	}
	used[unique] = true
	return unique
}
