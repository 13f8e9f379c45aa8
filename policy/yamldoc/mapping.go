package yamldoc

import (
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"

	"sidecar/internal/nearest"
)

// A Field is one key of a mapping and the function that reads its value.
type Field struct {
	Name string
	Read func(Node)
}

// Keep is a Read that stores the node for later.
func Keep(to *Node) func(Node) { return func(n Node) { *to = n } }

// Mapping reads the fields of n. An unknown key is a fault, and so is one that is given twice. It
// reports whether n is a mapping.
func (r *Reader) Mapping(n Node, what string, fields ...Field) bool {
	pairs, ok := r.Pairs(n, what)
	if !ok {
		return false
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	for _, p := range pairs {
		i := slices.Index(names, p.Key)
		if i < 0 {
			r.unknown(p, what, names)
		} else if v := r.resolve(p.value); !v.Absent() && !r.empty(p.Key, v) {
			fields[i].Read(v)
		} else {
			r.meant = append(r.meant, meant{p.Key, r.Count()})
		}
	}
	return true
}

// empty reports whether a field has no value behind it or below it, which is a fault.
func (r *Reader) empty(name string, v Node) bool {
	at := v.At()
	if v.tree.Type() != ast.NullType || !isEmptyLine(behind(r.line(at.Line), at)) {
		return false
	}
	if !r.left[at.Line+1] { // else its value is left out
		r.Fault(at, "%s is empty: its value stands behind it, or indented below it", name)
	}
	return true
}

// unknown tells of a field that what does not have, and of the one that was meant.
func (r *Reader) unknown(p Pair, what string, names []string) {
	near := nearest.To(p.Key, names)
	if i := slices.IndexFunc(names, func(name string) bool {
		return strings.EqualFold(name, p.Key)
	}); i >= 0 {
		near = names[i]
	}
	hint := ""
	if r.Hints.Field != nil {
		hint, near = r.Hints.Field(p.Key, what, names, near)
	}
	if near != "" {
		r.meant = append(r.meant, meant{near, r.Count()})
	}
	switch {
	case p.Key != strings.TrimLeftFunc(p.Key, unicode.IsSpace):
		r.Fault(p, "%s", oddBlank)
	case hint != "":
		r.Fault(p, "%s has no field %q: %s", what, p.Key, hint)
	case near != "":
		r.Fault(p, "%s has no field %q: did you mean %q?", what, p.Key, near)
	default:
		r.Fault(p, "%s has no field %q: it has %s", what, p.Key, strings.Join(names, ", "))
	}
}

// meant is a field that an unknown one was probably meant to be, or that has no value, and the
// number of findings then.
type meant struct {
	name  string
	count int
}

// Meant reports whether, after the first n findings, a field was told to stand there under another
// name or without a value, or the mapping at a place to have a merge key: that it is missing needs
// no second fault.
func (r *Reader) Meant(name string, n int, at Placed) bool {
	return slices.Contains(r.merged, at.At()) ||
		slices.ContainsFunc(r.meant, func(m meant) bool { return m.name == name && m.count >= n })
}

// Hints say of a kind of document what its structure does not. The zero value has none.
type Hints struct {
	// Examples are values of fields, by the name in messages.
	Examples map[string]string
	// Field says why a field stands where it is unknown, among names, and which of them was meant;
	// near is the one that is spelt most like it. Both may be "".
	Field func(name, what string, names []string, near string) (hint, meant string)
}

// example is a value of the field that messages call what.
func (r *Reader) example(what, otherwise string) string {
	if example := r.Hints.Examples[what]; example != "" {
		return example
	}
	return otherwise
}
