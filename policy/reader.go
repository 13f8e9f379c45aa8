package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"sidecar/internal/config"
	"sidecar/internal/nearest"
)

// A reader reads typed values from a YAML tree and collects every fault, each with its place.
type reader struct {
	findings *Findings
	anchors  map[string]ast.Node
}

// root parses the file and returns its one document.
func (r *reader) root(content []byte) ast.Node {
	file, err := parse(content)
	if err != nil {
		line, column, msg := 1, 1, err.Error()
		if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			msg = syntax.Message
			if syntax.Token != nil {
				line, column = syntax.Token.Position.Line, syntax.Token.Position.Column
			}
		}
		r.findings.List = append(r.findings.List, Finding{Line: line, Column: column, Msg: "no YAML: " + msg})
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
		r.findings.List = append(r.findings.List, Finding{Line: 1, Column: 1, Msg: "the file is empty: it begins with version: 1"})
		return nil
	case 1:
		return docs[0]
	}
	r.fault(docs[1], "the file has more than one document: keep one")
	return nil
}

// parse keeps a fault of the parser itself from ending the process.
func parse(content []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be parsed: %v", p)
		}
	}()
	return parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey()) // pairs says what stands there twice
}

func (r *reader) fault(at ast.Node, format string, args ...any) { r.find(at, false, format, args...) }

// faulty reports whether a fault was found at the place of n: what follows from it need not be said too.
func (r *reader) faulty(n ast.Node) bool {
	line, column := position(n)
	return slices.ContainsFunc(r.findings.List, func(f Finding) bool { return !f.Smell && f.Line == line && f.Column == column })
}

// faultySince reports whether a fault was found after the first n findings.
func (r *reader) faultySince(n int) bool {
	return slices.ContainsFunc(r.findings.List[n:], func(f Finding) bool { return !f.Smell })
}

func (r *reader) smell(at ast.Node, format string, args ...any) { r.find(at, true, format, args...) }

func (r *reader) find(at ast.Node, smell bool, format string, args ...any) {
	line, column := position(at)
	r.findings.List = append(r.findings.List, Finding{line, column, fmt.Sprintf(format, args...), smell})
}

// position is where a node begins.
func position(n ast.Node) (line, column int) {
	t := n.GetToken()
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			t = n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		t = n.Key.GetToken()
	case *ast.SequenceNode:
		t = n.Start
	}
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return t.Position.Line, t.Position.Column
}

// value follows anchors and aliases to what they stand for.
func (r *reader) value(n ast.Node) ast.Node {
	for range 8 { // an alias of an alias is rare, a cycle is none
		switch v := n.(type) {
		case *ast.AnchorNode:
			r.anchors[v.Name.String()] = v.Value
			n = v.Value
		case *ast.AliasNode:
			target, ok := r.anchors[v.Value.String()]
			if !ok {
				r.fault(v, "there is no anchor &%s above", v.Value.String())
				return nil
			}
			n = target
		case *ast.TagNode:
			n = v.Value
		default:
			return n
		}
	}
	r.fault(n, "anchors are nested too deeply")
	return nil
}

// A field is one key of a mapping and what reads its value.
type field struct {
	name string
	read func(ast.Node)
}

// mapping reads the fields of n. A key that is none of them is a fault, and so is one that stands there twice. It reports whether
// n is a mapping.
func (r *reader) mapping(n ast.Node, what string, fields ...field) bool {
	pairs, ok := r.pairs(n, what)
	if !ok {
		return false
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	for _, p := range pairs {
		i := slices.Index(names, p.key)
		switch {
		case i >= 0:
			if v := r.value(p.value); v != nil {
				fields[i].read(v)
			}
		case nearest.To(p.key, names) != "":
			r.fault(p.at, "%s has no field %q: did you mean %q?", what, p.key, nearest.To(p.key, names))
		default:
			r.fault(p.at, "%s has no field %q: it has %s", what, p.key, strings.Join(names, ", "))
		}
	}
	return true
}

// A pair is one key of a mapping with its value.
type pair struct {
	key   string
	at    ast.Node // the key
	value ast.Node
}

func (r *reader) pairs(n ast.Node, what string) ([]pair, bool) {
	var values []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.fault(n, "%s is a mapping of fields, like {name: value}", what)
		return nil, false
	}
	var out []pair
	for _, v := range values {
		if v.Key.Type() == ast.MergeKeyType {
			r.fault(v.Key, "merge keys are not read: write the fields out, or use defaults")
			continue
		}
		key := keyText(v.Key)
		if slices.ContainsFunc(out, func(p pair) bool { return p.key == key }) {
			r.fault(v.Key, "%q stands in %s twice: keep one", key, what)
			continue
		}
		out = append(out, pair{key, v.Key, v.Value})
	}
	return out, true
}

func keyText(k ast.MapKeyNode) string {
	if s, ok := k.(*ast.StringNode); ok {
		return s.Value
	}
	return k.GetToken().Value
}

// list are the elements of a sequence.
func (r *reader) list(n ast.Node, what string) []ast.Node {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.fault(n, "%s is a list, like [a, b]", what)
		return nil
	}
	var out []ast.Node
	for _, v := range s.Values {
		if v = r.value(v); v != nil {
			out = append(out, v)
		}
	}
	return out
}

// text reads a string. A number or a word like true is none: YAML wants it quoted.
func (r *reader) text(n ast.Node, what string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(n.Value.Value), true
	}
	if _, scalar := n.(ast.ScalarNode); !scalar || n.Type() == ast.NullType {
		r.fault(n, "%s is a text", what)
		return "", false
	}
	r.fault(n, "%s is a text: put it in quotes", what)
	return "", false
}

// textOr reads a string, or what YAML took for something else, as it is written.
func textOr(n ast.Node) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	if t := n.GetToken(); t != nil && t.Type != token.MappingStartType && t.Type != token.SequenceStartType {
		return t.Value
	}
	return ""
}

// A located text knows where it stands.
type located struct {
	text string
	at   ast.Node
}

// texts reads a string or a list of strings.
func (r *reader) texts(n ast.Node, what string) []located {
	nodes, each := []ast.Node{n}, what
	if _, isList := n.(*ast.SequenceNode); isList {
		nodes, each = r.list(n, what), "an element of "+what
	}
	var out []located
	for _, v := range nodes {
		if s, ok := r.text(v, each); ok {
			out = append(out, located{s, v})
		}
	}
	return out
}

func plain(list []located) []string {
	out := make([]string, len(list))
	for i, l := range list {
		out[i] = l.text
	}
	return out
}

func (r *reader) boolean(n ast.Node, what string) bool {
	b, ok := n.(*ast.BoolNode)
	if !ok {
		r.fault(n, "%s is true or false", what)
		return false
	}
	return b.Value
}

// integer reads a whole number from least on.
func (r *reader) integer(n ast.Node, what string, least int) int {
	i, err := strconv.Atoi(textOr(n))
	if err != nil || i < least {
		r.fault(n, "%s is a whole number from %d", what, least)
		return least
	}
	return i
}

// duration reads a time like 90s, 5m or 1h30m.
func (r *reader) duration(n ast.Node, what string) time.Duration {
	d, err := time.ParseDuration(textOr(n))
	if err != nil || d < 0 || d > math.MaxInt64/2 {
		r.fault(n, "%s is a time like 90s, 5m or 24h", what)
		return 0
	}
	return d
}

// size reads a number of bytes like 512KiB.
func (r *reader) size(n ast.Node, what string) int64 {
	var s config.Size
	if err := s.UnmarshalText([]byte(textOr(n))); err != nil {
		r.fault(n, "%s is a size like 512KiB, 1MiB or 1048576", what)
		return 0
	}
	return int64(s)
}

// choice reads one of words.
func (r *reader) choice(n ast.Node, what string, words ...string) string {
	s := textOr(n)
	if !slices.Contains(words, s) {
		r.fault(n, "%s is one of %s", what, strings.Join(words, ", "))
		return ""
	}
	return s
}

// later refuses a field that is not built yet, unless it says what holds anyway.
func (r *reader) later(n ast.Node, what string, isDefault bool) {
	if !isDefault && !r.faulty(n) {
		r.fault(n, "%s is not built yet: take it out", what)
	}
}
