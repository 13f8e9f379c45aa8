package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bounds of the reading of one document. An alias and a reference lead to the same values again.
const (
	maxReads  = 2_000_000 // values
	maxHops   = 32        // references, aliases and merges, one behind the other
	maxQuoted = 100       // bytes of the document in a message
)

// parse makes a tree of a document. A document in JSON is read as such, since JSON has texts that
// are none in YAML.
func parse(content []byte) (*yaml.Node, error) {
	if json.Valid(content) {
		j := jsonReader{
			Decoder: json.NewDecoder(bytes.NewReader(content)), content: content, line: 1,
		}
		j.UseNumber()
		return j.value()
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, err
	}
	if len(document.Content) == 0 {
		return &document, nil
	}
	return document.Content[0], nil
}

// A jsonReader reads valid JSON, which is nested at most as deep as encoding/json takes it.
type jsonReader struct {
	*json.Decoder
	content []byte
	at      int64 // the end of the last token, in bytes
	line    int   // of it
}

func (j *jsonReader) value() (*yaml.Node, error) {
	token, err := j.Token()
	if err != nil {
		return nil, err
	}
	end := j.InputOffset()
	j.line += bytes.Count(j.content[j.at:end], []byte("\n"))
	j.at = end
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: j.line}
	switch token := token.(type) {
	case json.Delim:
		if n.Kind = yaml.SequenceNode; token == '{' {
			n.Kind = yaml.MappingNode
		}
		for j.More() {
			member, err := j.value()
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, member)
		}
		_, err = j.Token() // its end
		return n, err
	case nil:
		n.Tag = "!!null"
	case string:
		n.Tag, n.Value = "!!str", token
	default:
		n.Tag, n.Value = "!!other", fmt.Sprint(token)
	}
	return n, nil
}

// A tree is read from its root. The first fault is kept, and there is nothing to read behind it.
type tree struct {
	name string
	root *yaml.Node
	left int // how many values may still be read
	err  error
	// index has the members of the mappings that references lead through.
	index map[*yaml.Node]map[string]*yaml.Node
}

func (r *tree) fault(at *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%s:%d: %s", r.name, at.Line, fmt.Sprintf(format, args...))
	}
}

// value is the node at a place, or behind its alias; nil for null and behind a fault.
func (r *tree) value(n *yaml.Node) *yaml.Node {
	for range maxHops {
		if r.left--; r.left < 0 && n != nil {
			r.fault(n, "it has more than %d values, those behind aliases and references each time",
				maxReads)
		}
		switch {
		case n == nil, r.err != nil, n.Kind == 0, n.Kind == yaml.ScalarNode && n.Tag == "!!null":
			return nil
		case n.Kind != yaml.AliasNode:
			return n
		}
		n = n.Alias
	}
	r.fault(n, "an alias leads to itself")
	return nil
}

// referred is the value at a place, or that which its $ref names.
func (r *tree) referred(n *yaml.Node) *yaml.Node {
	for range maxHops {
		if n = r.value(n); n == nil || n.Kind != yaml.MappingNode {
			return n
		}
		at := r.member(n, "$ref")
		if at == nil {
			return n
		}
		n = r.named(at)
	}
	if n != nil {
		r.fault(n, "more than %d references, one behind the other", maxHops)
	}
	return nil
}

// named is the value that a reference names, by a JSON pointer into this document.
func (r *tree) named(ref *yaml.Node) *yaml.Node {
	pointer, own := strings.CutPrefix(ref.Value, "#")
	if !own {
		r.fault(ref, "it refers to another document, %.*q, and none is read: "+
			"bundle them into one file first", maxQuoted, ref.Value)
		return nil
	}
	n := r.root
	if unescaped, err := url.PathUnescape(pointer); err == nil {
		pointer = unescaped
	}
	_, steps, _ := strings.Cut(pointer, "/")
	for step := range strings.SplitSeq(steps, "/") {
		if n = r.value(n); n == nil {
			break
		}
		switch n.Kind {
		case yaml.MappingNode:
			n = r.indexed(n)[strings.NewReplacer("~1", "/", "~0", "~").Replace(step)]
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
				n = n.Content[i]
				continue
			}
			n = nil
		default:
			n = nil
		}
	}
	if n == nil {
		r.fault(ref, "it refers to %.*q, which is not there", maxQuoted, ref.Value)
	}
	return n
}

// members are the keys and values of a mapping at a place, or behind its reference. what names the
// place: anything else there is a fault, unless it is null or absent.
func (r *tree) members(n *yaml.Node, what string) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		if n = r.referred(n); n == nil {
			return
		}
		if n.Kind != yaml.MappingNode {
			r.fault(n, "%s: a mapping belongs here", what)
			return
		}
		r.each(n, map[string]bool{}, maxHops, yield)
	}
}

// each gives the members of a mapping that were not seen before, and then those that are merged
// into it by <<. It reports false where yield does.
func (r *tree) each(n *yaml.Node, seen map[string]bool, hops int,
	yield func(key, value *yaml.Node) bool) bool {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := r.value(n.Content[i]), n.Content[i+1]
		switch {
		case r.err != nil:
			return false
		case key == nil || key.Kind != yaml.ScalarNode || seen[key.Value]:
			continue
		case key.Tag == "!!merge":
			merged = append(merged, value)
			continue
		}
		seen[key.Value] = true
		if !yield(key, value) {
			return false
		}
	}
	for _, from := range merged {
		if from = r.value(from); from == nil || hops == 0 {
			continue
		}
		all := []*yaml.Node{from}
		if from.Kind == yaml.SequenceNode {
			all = from.Content
		}
		for _, one := range all {
			if one = r.value(one); one != nil && one.Kind == yaml.MappingNode &&
				!r.each(one, seen, hops-1, yield) {
				return false
			}
		}
	}
	return true
}

// member is the value of a key of a mapping; nil if there is none.
func (r *tree) member(mapping *yaml.Node, name string) *yaml.Node {
	var found *yaml.Node
	r.each(mapping, map[string]bool{}, maxHops, func(key, value *yaml.Node) bool {
		if key.Value == name {
			found = r.value(value)
		}
		return found == nil
	})
	return found
}

// indexed are the members of a mapping, which are read once.
func (r *tree) indexed(mapping *yaml.Node) map[string]*yaml.Node {
	if r.index[mapping] == nil {
		found := map[string]*yaml.Node{}
		r.each(mapping, map[string]bool{}, maxHops, func(key, value *yaml.Node) bool {
			found[key.Value] = value
			return true
		})
		if r.index == nil {
			r.index = map[*yaml.Node]map[string]*yaml.Node{}
		}
		r.index[mapping] = found
	}
	return r.index[mapping]
}

// items are those of a list.
func (r *tree) items(n *yaml.Node, what string) []*yaml.Node {
	if n = r.value(n); n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fault(n, "%s: a list belongs here", what)
		return nil
	}
	return n.Content
}

// text is a scalar; "" if there is none.
func (r *tree) text(n *yaml.Node, what string) string {
	if n = r.value(n); n == nil {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		r.fault(n, "%s: a text belongs here", what)
		return ""
	}
	return n.Value
}
