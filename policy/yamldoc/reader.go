package yamldoc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"sidecar/internal/nearest"
)

// A Reader reads typed values from one document and collects every fault with its place.
type Reader struct {
	findings *Findings
	anchors  map[string]ast.Node
	reads    int // values that were read
	faults   int
	smells   int
}

// NewReader returns a reader for content. Findings name the file as file.
func NewReader(file string, content []byte) *Reader {
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

// Root parses the content and returns the document; it is absent after a fault.
func (r *Reader) Root() Node {
	tree := r.document()
	if tree == nil {
		return Node{}
	}
	return r.resolve(tree)
}

func (r *Reader) document() ast.Node {
	if why, line := beyond(r.findings.Source); why != "" {
		r.Fault(Place{line, 1}, "%s: that is no policies file", why)
		return nil
	}
	file, err := parse(r.findings.Source)
	if err != nil {
		place, msg := Place{1, 1}, "no YAML: "+err.Error()
		if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			if syntax.Token != nil {
				place = Place{syntax.Token.Position.Line, syntax.Token.Position.Column}
			}
			msg = syntaxFault(syntax.Message, place, r.findings.Source)
		}
		r.Fault(place, "%s", msg)
		return nil
	}
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentGroupType {
			docs = append(docs, d.Body)
		}
	}
	switch len(docs) {
	case 0:
		r.Fault(Place{1, 1}, "the file is empty: it begins with version: 1")
		return nil
	case 1:
		return docs[0]
	}
	r.Fault(Node{docs[1]}, "the file has more than one document: keep one")
	return nil
}

// parse turns a panic of the parser into an error.
func parse(content []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be parsed: %v", p)
		}
	}()
	return parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey()) // Pairs reports duplicates
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
	*count++
	r.findings.List = append(r.findings.List,
		Finding{place.Line, place.Column, fmt.Sprintf(format, args...), smell})
	if *count == maxFindings {
		r.findings.List = append(r.findings.List, Finding{place.Line, place.Column, more, smell})
	}
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

// Count is the number of findings so far, for FaultySince.
func (r *Reader) Count() int { return len(r.findings.List) }

// FaultySince reports whether a fault was found after the first n findings.
func (r *Reader) FaultySince(n int) bool {
	return slices.ContainsFunc(r.findings.List[n:], func(f Finding) bool { return !f.Smell })
}

// maxChain bounds how many anchors and aliases lead to one value. An alias of an alias is rare; a
// cycle never ends.
const maxChain = 8

// resolve follows anchors and aliases to the value that they stand for; it is absent after a fault.
func (r *Reader) resolve(n ast.Node) Node {
	if r.full() {
		return Node{}
	}
	if r.reads++; r.reads > maxReads {
		if r.reads == maxReads+1 {
			r.Fault(Node{n},
				"there are more than %d values, with those behind aliases: write fewer", maxReads)
		}
		return Node{}
	}
	for range maxChain {
		switch v := n.(type) {
		case *ast.AnchorNode:
			r.anchors[v.Name.String()] = v.Value
			n = v.Value
		case *ast.AliasNode:
			target, ok := r.anchors[v.Value.String()]
			if !ok {
				r.Fault(Node{v}, "there is no anchor &%s above", v.Value.String())
				return Node{}
			}
			n = target
		case *ast.TagNode:
			n = v.Value
		default:
			return Node{n}
		}
	}
	r.Fault(Node{n}, "anchors are nested too deeply")
	return Node{}
}

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
		switch {
		case i >= 0:
			if v := r.resolve(p.value); !v.Absent() {
				fields[i].Read(v)
			}
		case nearest.To(p.Key, names) != "":
			r.Fault(p, "%s has no field %q: did you mean %q?",
				what, p.Key, nearest.To(p.Key, names))
		default:
			r.Fault(p, "%s has no field %q: it has %s", what, p.Key, strings.Join(names, ", "))
		}
	}
	return true
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
		r.Fault(n, "%s is a mapping of fields, like {name: value}", what)
		return nil, false
	}
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		at := Node{v.Key}.At()
		if v.Key.Type() == ast.MergeKeyType {
			r.Fault(at, "merge keys are not read: write the fields out, or use defaults")
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
		r.Fault(n, "%s is a list, like [a, b]", what)
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
