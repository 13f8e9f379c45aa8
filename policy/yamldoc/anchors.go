package yamldoc

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

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
			if n = r.target(v); n == nil {
				return Node{}
			}
		case *ast.TagNode:
			if name := v.Start.Value; !strings.HasPrefix(name, "!!") {
				r.Fault(Node{v}, "%s is a tag of YAML, and no field here takes one: "+
					"a text that begins with ! has to be in quotes", name)
				return Node{}
			}
			n = v.Value
		default:
			return Node{n}
		}
	}
	r.Fault(Node{n}, "anchors are nested too deeply")
	return Node{}
}

// target is the value that an alias stands for; nil after a fault. An anchor may stand in a field
// that is not read.
func (r *Reader) target(v *ast.AliasNode) ast.Node {
	name := v.Value.String()
	if target, ok := r.anchors[name]; ok {
		return target
	}
	below := false
	for _, n := range ast.Filter(ast.AnchorType, r.tree) {
		anchor := n.(*ast.AnchorNode)
		switch at := (Node{n}).At(); {
		case anchor.Name.String() != name:
		case at.precedes(Node{v}.At()):
			return anchor.Value
		default:
			below = true
		}
	}
	switch {
	case r.Partial(): // it may stand there
	case below:
		r.Fault(Node{v}, "the anchor &%s stands below its alias: move it up", name)
	default:
		r.Fault(Node{v}, "there is no anchor &%s: a text that begins with * has to be in quotes",
			name)
	}
	return nil
}

// aliases tells of anchors that no alias names, which may be texts.
func (r *Reader) aliases(tree ast.Node) {
	r.tree = tree
	named := map[string]bool{}
	for _, n := range ast.Filter(ast.AliasType, tree) {
		named[n.(*ast.AliasNode).Value.String()] = true
	}
	for _, n := range ast.Filter(ast.AnchorType, tree) {
		if name := n.(*ast.AnchorNode).Name.String(); !named[name] && !r.Partial() {
			r.Smell(Node{n}, "no alias *%s names this anchor: a text that begins with & has to be "+
				"in quotes", name)
		}
	}
}
