package yamldoc

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"sidecar/internal/config"
	"sidecar/internal/nearest"
)

// Text reads a string. A number or a word like true is none: YAML wants it quoted.
func (r *Reader) Text(n Node, what string) (string, bool) {
	switch tree := n.tree.(type) {
	case *ast.StringNode:
		if quote := oddQuote(tree.Value); quote != "" {
			r.Fault(n, `%s begins with %s, which YAML takes for a letter: write " or '`,
				what, quote)
			return "", false
		}
		return tree.Value, true
	case *ast.LiteralNode:
		return strings.TrimSpace(tree.Value.Value), true
	}
	r.notText(n, what)
	return "", false
}

// oddQuote is the quotation mark of a word processor with which a text begins; "" for none.
func oddQuote(text string) string {
	for _, quote := range []string{"“", "”", "„", "‘", "’", "«", "»"} {
		if strings.HasPrefix(text, quote) {
			return quote
		}
	}
	return ""
}

// notText tells of a value that should be a text.
func (r *Reader) notText(n Node, what string) {
	switch tree := n.tree.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		if text := unquotedText(tree); text != "" {
			r.Fault(n, "%s is a text: put it in quotes, %q", what, text)
			return
		}
		r.Fault(n, "%s is a text%s, and no mapping of fields", what, r.like(what))
	case *ast.SequenceNode:
		r.Fault(n, "%s is a text%s, and no list", what, r.like(what))
	case *ast.NullNode:
		r.Fault(n, "%s is a text%s, and not empty", what, r.like(what))
	default:
		r.Fault(n, "%s is a text: put it in quotes, %q", what, n.Raw())
	}
}

// like introduces the example of what, if there is one.
func (r *Reader) like(what string) string {
	if example := r.Hints.Examples[what]; example != "" {
		return " like " + example
	}
	return ""
}

// unquotedText is the text for which a mapping was probably meant, because it has a brace or a
// colon: a:{id}, {id} or header:Authorization. "" if it is something else.
func unquotedText(tree ast.Node) string {
	var pair *ast.MappingValueNode
	open, end := "", ""
	switch tree := tree.(type) {
	case *ast.MappingNode:
		if len(tree.Values) != 1 {
			return ""
		}
		if tree.IsFlowStyle && tree.Values[0].Value.Type() == ast.NullType {
			open, end = "{", "}"
		}
		pair = tree.Values[0]
	case *ast.MappingValueNode:
		pair = tree
	default:
		return ""
	}
	text := open + keyText(pair.Key) + end
	switch value := pair.Value.(type) {
	case *ast.NullNode:
		return text
	case *ast.MappingNode, *ast.MappingValueNode:
		if inner := unquotedText(value); inner != "" {
			return text + ":" + inner
		}
		return ""
	case ast.ScalarNode:
		return text + ":" + Node{value}.Raw()
	}
	return ""
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
	if b, ok := n.tree.(*ast.BoolNode); ok {
		return b.Value
	}
	meant := ""
	switch word := strings.ToLower(n.Raw()); word {
	case "true", "false":
		meant = ", without quotes"
	case "yes", "on", "y", "1", "enabled":
		meant = ": write true"
	case "no", "off", "n", "0", "disabled":
		meant = ": write false"
	}
	r.Fault(n, "%s is true or false%s", what, meant)
	return false
}

// Integer reads a whole number from least on.
func (r *Reader) Integer(n Node, what string, least int) int {
	raw := n.Raw()
	i, err := strconv.Atoi(raw)
	switch {
	case isOctal(raw):
		r.Fault(n, "%s is a whole number without a zero at its beginning: to some readers of YAML "+
			"%s is octal", what, raw)
		return least
	case err != nil || i < least:
		r.Fault(n, "%s is a whole number from %d", what, least)
		return least
	}
	return i
}

// isOctal reports whether a number begins as an octal one does.
func isOctal(raw string) bool {
	return len(raw) > 1 && raw[0] == '0' && raw[1] >= '0' && raw[1] <= '9'
}

// Duration reads a time like 90s, 5m or 1h30m.
func (r *Reader) Duration(n Node, what string) time.Duration {
	d, err := time.ParseDuration(n.Raw())
	if err != nil || d < 0 || d > math.MaxInt64/2 {
		r.Fault(n, "%s is a time like 90s, 5m or 24h%s",
			what, remedy(n.Raw(), config.MeantDuration))
		return 0
	}
	return d
}

// remedy is the end of a message about a value: what it was probably meant to be.
func remedy(raw string, meant func(string) string) string {
	switch value := meant(raw); {
	case strings.HasPrefix(raw, "$"):
		return ": " + raw + " " + noFilling
	case value != "":
		return fmt.Sprintf(": write %s for %q", value, raw)
	}
	return ""
}

// Positive reads a time over 0.
func (r *Reader) Positive(n Node, what string) time.Duration {
	d := r.Duration(n, what)
	if d == 0 && !r.Faulty(n) {
		r.Fault(n, "%s is a time over 0, like 90s, 5m or 24h", what)
	}
	return d
}

// Size reads a number of bytes like 512KiB.
func (r *Reader) Size(n Node, what string) int64 {
	var s config.Size
	raw := n.Raw()
	if err := s.UnmarshalText([]byte(raw)); err != nil || isOctal(raw) {
		r.Fault(n, "%s is a size like 512KiB, 1MiB or 1048576%s",
			what, remedy(raw, config.MeantSize))
		return 0
	}
	return int64(s)
}

// Choice reads one of words.
func (r *Reader) Choice(n Node, what string, words ...string) string {
	s := n.Raw()
	if slices.Contains(words, s) {
		return s
	}
	meant := ""
	if near := nearest.To(strings.ToLower(s), words); near != "" {
		meant = ": did you mean " + near + "?"
	}
	r.Fault(n, "%s is one of %s%s", what, strings.Join(words, ", "), meant)
	return ""
}
