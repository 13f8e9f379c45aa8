package yamldoc

import (
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// A Place is where a value is written in the file. Both numbers begin at 1; the column counts
// characters.
type Place struct{ Line, Column int }

// At implements Placed.
func (p Place) At() Place { return p }

// precedes reports whether p stands before q.
func (p Place) precedes(q Place) bool {
	return p.Line < q.Line || p.Line == q.Line && p.Column < q.Column
}

// behind is the part of a line from a place on.
func behind(line string, at Place) string {
	characters := []rune(line)
	return string(characters[min(at.Column-1, len(characters)):])
}

// Placed is something that is written at a place in the file.
type Placed interface{ At() Place }

// A Node is one value of the document: a mapping, a list or a scalar. The zero value is absent. It
// holds on to the syntax tree, so it is kept only while the document is read.
type Node struct{ tree ast.Node }

// Absent reports whether there is no value.
func (n Node) Absent() bool { return n.tree == nil }

// IsText reports whether the value is a string on one line.
func (n Node) IsText() bool {
	_, ok := n.tree.(*ast.StringNode)
	return ok
}

// IsMapping reports whether the value is a mapping.
func (n Node) IsMapping() bool {
	switch n.tree.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// IsEmptyList reports whether the value is a list without elements.
func (n Node) IsEmptyList() bool {
	s, ok := n.tree.(*ast.SequenceNode)
	return ok && len(s.Values) == 0
}

// Raw is a scalar as it is written, of any YAML type; "" for a mapping or a list.
func (n Node) Raw() string {
	if s, ok := n.tree.(*ast.StringNode); ok {
		return s.Value
	}
	if t := n.tree.GetToken(); t != nil && t.Type != token.MappingStartType &&
		t.Type != token.SequenceStartType {
		return t.Value
	}
	return ""
}

// At is where the value begins.
func (n Node) At() Place {
	t := n.tree.GetToken()
	switch n := n.tree.(type) {
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
		return Place{1, 1}
	}
	return Place{t.Position.Line, t.Position.Column}
}
