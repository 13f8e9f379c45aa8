package pattern

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"sidecar/internal/httpfield"
)

// Bounds of the forms of one path.
const (
	maxForms = 48
	maxText  = 16 << 10 // bytes of all forms but the path as sent
	maxPath  = 8 << 10  // bytes of a path that is rewritten at all
)

// Forms are the ways in which servers may read a path: every combination of rewrites, to the end.
// An ordinary path has one or two.
type Forms struct {
	list []form
	// Overflow: there are more than the bounds allow, and the list is not complete. Any reading of
	// a server has to be expected.
	Overflow bool
	// Malformed: the path has an escape that is none, or is not UTF-8 when it is decoded.
	Malformed bool
	// Work is the number of bytes that were visited to make the forms.
	Work int

	text int // bytes of the list but for the path as sent
}

// A form is one way to read a path.
type form struct {
	path     string
	harmless bool // made by harmless rewrites alone
	final    bool // no respelling changes it
}

// FormsOf returns the forms of a raw path.
func FormsOf(raw string) *Forms {
	f := &Forms{list: []form{{path: raw, harmless: true, final: true}}, Work: len(raw)}
	if isPlain(raw) {
		return f
	}
	if len(raw) > maxPath {
		f.Overflow = true
		return f
	}
	text, err := url.PathUnescape(raw)
	f.Malformed = err != nil || !utf8.ValidString(text)
	for i := 0; i < len(f.list) && !f.Overflow; i++ {
		f.rewrite(i, harmless, true)
	}
	for i := 0; i < len(f.list) && !f.Overflow; i++ {
		f.rewrite(i, harmless, false)
		f.rewrite(i, shortening, false)
		f.list[i].final = !f.rewrite(i, respelling, false)
	}
	return f
}

// rewrite adds the results of the rewrites of form i, if they are new. It reports whether one of
// them changes the form.
func (f *Forms) rewrite(i int, rewrites []rewrite, harmless bool) (changed bool) {
	before := f.list[i].path
	for _, apply := range rewrites {
		f.Work += len(before)
		path := apply(before)
		if path == before {
			continue
		}
		changed = true
		if slices.ContainsFunc(f.list, func(have form) bool { return have.path == path }) {
			continue
		}
		if f.text += len(path); len(f.list) == maxForms || f.text > maxText {
			f.Overflow = true
			return changed
		}
		f.list = append(f.list, form{path: path, harmless: harmless})
	}
	return changed
}

// isPlain reports whether no rewrite changes the path.
func isPlain(p string) bool {
	last := strings.LastIndexByte(p, '/')
	for i := range len(p) {
		switch c := p[i]; {
		case c == '/':
			if i+1 == len(p) && i > 0 || i+1 < len(p) && p[i+1] == '/' {
				return false
			}
		case c == '(' && i > 0 && p[i-1] == '/':
			return false
		case isLetterOrDigit(c), strings.IndexByte("-_~:@,+!$&'()*=", c) >= 0:
		case c == '.': // a dot within a segment that is not the last
			if i > last || i == 0 || p[i-1] == '/' || p[i-1] == '.' ||
				p[i+1] == '/' || isScript(p[i:]) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// Len is the number of forms.
func (f *Forms) Len() int { return len(f.list) }

// Paths are the forms as paths; the first is the path as sent.
func (f *Forms) Paths() []string {
	out := make([]string, len(f.list))
	for i, form := range f.list {
		out[i] = form.path
	}
	return out
}

// Canonical are the canonical spellings of the forms.
func (f *Forms) Canonical() []string {
	if len(f.list) == 1 {
		return []string{Canonical(f.list[0].path)}
	}
	var out []string
	for _, form := range f.list {
		if p := folded(withoutTrailingSlashes(form.path)); form.final && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	if f.Overflow && len(f.list) > 0 {
		out = append(out, Canonical(f.list[0].path))
	}
	return out
}

// maxRespelled bounds the work on one canonical spelling, in bytes.
const maxRespelled = 64 << 10

// Canonical is one spelling for all the spellings of a path that a server may take for one
// resource: decoded to the end, without parameters, dot segments, '//', trailing slash and the
// distinction of case. A path over the bounds is not brought to its end: it is no path of a
// stored response.
func Canonical(raw string) string {
	p := raw
	if p == "" {
		return "/"
	}
	switch {
	case isPlain(p):
		return folded(p)
	case len(p) > maxPath:
		return p
	}
	for work, before := 0, ""; p != before && work < maxRespelled; {
		before = p
		for _, apply := range respelling {
			work += len(p)
			p = apply(p)
		}
	}
	return folded(withoutTrailingSlashes(p))
}

func isFolded(s string) bool { return httpfield.IsFolded(s) }

func folded(s string) string {
	if isFolded(s) {
		return s
	}
	return httpfield.Fold(s)
}

// appendParts appends the first n-1 decoded segments of a path and the rest of it, decoded, as one.
// A segment that cannot be decoded stands for itself.
func appendParts(out []string, path string, n int) []string {
	path = strings.TrimPrefix(path, "/")
	for more := true; more; {
		segment := path
		if more = len(out) < n-1; more {
			segment, path, more = strings.Cut(path, "/")
		}
		if text, err := url.PathUnescape(segment); err == nil {
			segment = text
		}
		out = append(out, segment)
	}
	return out
}
