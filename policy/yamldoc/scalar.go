package yamldoc

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"sidecar/internal/config"
)

// Text reads a string. A number or a word like true is none: YAML wants it quoted.
func (r *Reader) Text(n Node, what string) (string, bool) {
	switch tree := n.tree.(type) {
	case *ast.StringNode:
		return tree.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(tree.Value.Value), true
	}
	switch n.tree.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		r.Fault(n, "%s is a text: put it in quotes, since it has a brace or a colon", what)
		return "", false
	}
	if _, scalar := n.tree.(ast.ScalarNode); !scalar || n.tree.Type() == ast.NullType {
		r.Fault(n, "%s is a text", what)
		return "", false
	}
	r.Fault(n, "%s is a text: put it in quotes", what)
	return "", false
}

// A Located is a text and the place where it is written.
type Located struct {
	Text string
	Place
}

// Texts reads a string or a list of strings.
func (r *Reader) Texts(n Node, what string) []Located {
	nodes, each := []Node{n}, what
	if _, isList := n.tree.(*ast.SequenceNode); isList {
		nodes, each = r.List(n, what), "an element of "+what
	}
	var out []Located
	for _, v := range nodes {
		if s, ok := r.Text(v, each); ok {
			out = append(out, Located{s, v.At()})
		}
	}
	return out
}

// Strings reads a string or a list of strings, without their places.
func (r *Reader) Strings(n Node, what string) []string {
	list := r.Texts(n, what)
	out := make([]string, len(list))
	for i, l := range list {
		out[i] = l.Text
	}
	return out
}

// Boolean reads true or false.
func (r *Reader) Boolean(n Node, what string) bool {
	b, ok := n.tree.(*ast.BoolNode)
	if !ok {
		r.Fault(n, "%s is true or false", what)
		return false
	}
	return b.Value
}

// Integer reads a whole number from least on.
func (r *Reader) Integer(n Node, what string, least int) int {
	i, err := strconv.Atoi(n.Raw())
	if err != nil || i < least {
		r.Fault(n, "%s is a whole number from %d", what, least)
		return least
	}
	return i
}

// Duration reads a time like 90s, 5m or 1h30m.
func (r *Reader) Duration(n Node, what string) time.Duration {
	d, err := time.ParseDuration(n.Raw())
	if err != nil || d < 0 || d > math.MaxInt64/2 {
		r.Fault(n, "%s is a time like 90s, 5m or 24h", what)
		return 0
	}
	return d
}

// Positive reads a time over 0.
func (r *Reader) Positive(n Node, what string) time.Duration {
	d := r.Duration(n, what)
	if d == 0 && !r.Faulty(n) {
		r.Fault(n, "%s is over 0", what)
	}
	return d
}

// Size reads a number of bytes like 512KiB.
func (r *Reader) Size(n Node, what string) int64 {
	var s config.Size
	if err := s.UnmarshalText([]byte(n.Raw())); err != nil {
		r.Fault(n, "%s is a size like 512KiB, 1MiB or 1048576", what)
		return 0
	}
	return int64(s)
}

// Choice reads one of words.
func (r *Reader) Choice(n Node, what string, words ...string) string {
	s := n.Raw()
	if !slices.Contains(words, s) {
		r.Fault(n, "%s is one of %s", what, strings.Join(words, ", "))
		return ""
	}
	return s
}
