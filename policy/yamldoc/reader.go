package yamldoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// A Reader reads typed values from one document and collects every fault with its place.
type Reader struct {
	// Hints say of a kind of document what its structure does not.
	Hints Hints

	findings *Findings
	anchors  map[string]ast.Node
	left     map[int]bool // lines that are not read, for their syntax
	lines    []string
	tree     ast.Node
	meant    []meant
	merged   []Place // mappings with a merge key
	reads    int     // values that were read
	faults   int
	smells   int
}

// NewReader returns a reader for content. Findings name the file as file.
func NewReader(file string, content []byte) *Reader {
	content = bytes.TrimPrefix(content, byteOrderMark)
	return &Reader{
		findings: &Findings{File: file, Source: content},
		anchors:  map[string]ast.Node{},
	}
}

// Findings are the faults and smells found so far, in the order of the file.
func (r *Reader) Findings() *Findings {
	r.findings.sort()
	return r.findings
}

// Root parses the content and returns the document. Behind a fault of syntax it is as much of the
// document as can be read, or absent.
func (r *Reader) Root() Node {
	tree := r.document()
	if tree == nil {
		return Node{}
	}
	r.aliases(tree)
	return r.resolve(tree)
}

// Fault notes a fault at a place, with its remedy.
func (r *Reader) Fault(at Placed, format string, args ...any) { r.find(at, false, format, args...) }

// Smell notes a setting at a place that is legal and probably not meant.
func (r *Reader) Smell(at Placed, format string, args ...any) { r.find(at, true, format, args...) }

func (r *Reader) find(at Placed, smell bool, format string, args ...any) {
	place, count, more := at.At(), &r.faults, "there is more at fault: mend this first"
	if smell {
		count, more = &r.smells, "there are more warnings than these"
	}
	if *count == maxFindings {
		return
	}
	finding := Finding{place.Line, place.Column, fmt.Sprintf(format, args...), smell}
	if slices.Contains(r.findings.List, finding) {
		return // behind an alias
	}
	*count++
	r.findings.List = append(r.findings.List, finding)
	if *count == maxFindings {
		r.findings.List = append(r.findings.List, Finding{place.Line, place.Column, more, smell})
	}
}

// line is a line of the source, from 1, without its end; "" beyond the last one.
func (r *Reader) line(n int) string {
	if r.lines == nil {
		r.lines = strings.Split(string(r.findings.Source), "\n")
	}
	if n < 1 || n > len(r.lines) {
		return ""
	}
	return strings.TrimSuffix(r.lines[n-1], "\r")
}

// full reports whether there are so many faults that nothing more is read.
func (r *Reader) full() bool { return r.faults == maxFindings }

// Faulty reports whether a fault was found at this place: its consequences need no finding of
// their own.
func (r *Reader) Faulty(at Placed) bool {
	place := at.At()
	return slices.ContainsFunc(r.findings.List, func(f Finding) bool {
		return !f.Smell && f.Line == place.Line && f.Column == place.Column
	})
}

// Partial reports whether a part of the document is not read, since its syntax is at fault: what
// seems to be missing may stand there.
func (r *Reader) Partial() bool { return len(r.left) > 0 }

// Count is the number of findings so far, for FaultySince.
func (r *Reader) Count() int { return len(r.findings.List) }

// FaultySince reports whether a fault was found after the first n findings.
func (r *Reader) FaultySince(n int) bool {
	return slices.ContainsFunc(r.findings.List[n:], func(f Finding) bool { return !f.Smell })
}

// A Pair is one key of a mapping with its value. Its place is that of the key.
type Pair struct {
	Key string
	Place
	value ast.Node
}

// Value is the value as it is written; it is not resolved.
func (p Pair) Value() Node { return Node{p.value} }

// Pairs are the keys and values of a mapping, in order. ok is false if n is no mapping.
func (r *Reader) Pairs(n Node, what string) (pairs []Pair, ok bool) {
	var values []*ast.MappingValueNode
	switch tree := n.tree.(type) {
	case *ast.MappingNode:
		values = tree.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{tree}
	default:
		r.Fault(n, "%s is a mapping of fields, like %s", what, r.example(what, "{name: value}"))
		return nil, false
	}
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		at := Node{v.Key}.At()
		if v.Key.Type() == ast.MergeKeyType {
			r.Fault(at, "merge keys are not read: write the fields out, or use defaults")
			r.merged = append(r.merged, n.At())
			continue
		}
		key := keyText(v.Key)
		if seen[key] {
			r.Fault(at, "%q stands in %s twice: keep one", key, what)
			continue
		}
		seen[key] = true
		pairs = append(pairs, Pair{key, at, v.Value})
	}
	return pairs, true
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.GetToken().Value
}

// Value is a value of any kind, of the types of encoding/json.
func (r *Reader) Value(n Node) (any, error) {
	var v any
	if err := yaml.NodeToValue(n.tree, &v); err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	err = json.Unmarshal(text, &out)
	return out, err
}

// List are the elements of a list.
func (r *Reader) List(n Node, what string) []Node {
	s, ok := n.tree.(*ast.SequenceNode)
	if !ok {
		r.notList(n, what)
		return nil
	}
	var out []Node
	for _, v := range s.Values {
		if v := r.resolve(v); !v.Absent() {
			out = append(out, v)
		}
	}
	return out
}

// notList tells of a value that should be a list.
func (r *Reader) notList(n Node, what string) {
	example := r.example(what, "[a, b]")
	if strings.HasPrefix(example, "- ") {
		r.Fault(n, `%s is a list: each of its elements begins with "- ", like %s`, what, example)
		return
	}
	r.Fault(n, "%s is a list, like %s", what, example)
}
