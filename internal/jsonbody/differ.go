package jsonbody

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Pattern selects places in JSON texts: names and list elements, separated by dots. `*` is any
// name, `#` any element, a number one element; a backslash makes the next character a plain one.
// It selects a value with everything in it.
type Pattern []segment

type segment struct {
	text    string
	literal bool // it was written with a backslash, so `*` and `#` mean themselves
}

var errPattern = errors.New("it is names and # for list elements, separated by dots")

// ParsePattern parses a pattern like `items.#.updated_at`.
func ParsePattern(text string) (Pattern, error) {
	var p Pattern
	s := segment{}
	end := func() error {
		if s.text == "" {
			return errPattern
		}
		p, s = append(p, s), segment{}
		return nil
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 == len(text):
			return nil, errPattern
		case c == '\\':
			i++
			s.text, s.literal = s.text+text[i:i+1], true
		case c == '.':
			if err := end(); err != nil {
				return nil, err
			}
		default:
			s.text += text[i : i+1]
		}
	}
	if err := end(); err != nil {
		return nil, err
	}
	return p, nil
}

// A step leads from a value to one in it.
type step struct {
	name  string
	index int // of a list element; -1: a name

	hidden bool // the name may be data
}

func (s segment) selects(at step) bool {
	switch {
	case at.index >= 0:
		return !s.literal && s.text == "#" || s.text == strconv.Itoa(at.index)
	case !s.literal && s.text == "*":
		return true
	}
	return s.text == at.name
}

func (p Pattern) selects(path []step) bool {
	if len(p) != len(path) {
		return false
	}
	for i, at := range path {
		if !p[i].selects(at) {
			return false
		}
	}
	return true
}

// text is the path as a pattern that selects it, in every element of a list, with `*` for a name
// that may be data. It is "" for the whole text.
func text(path []step) string {
	parts := make([]string, len(path))
	for i, at := range path {
		switch name := at.name; {
		case at.index >= 0:
			parts[i] = "#"
		case at.hidden:
			parts[i] = "*"
		default:
			parts[i] = plain.Replace(name)
		}
	}
	return strings.Join(parts, ".")
}

var plain = strings.NewReplacer(`\`, `\\`, `.`, `\.`, `*`, `\*`, `#`, `\#`)

// Differences are the places where two JSON texts differ, as patterns, at most limit of them; "" is
// the whole text. A list that is longer in one of them is one place. Numbers are compared by value,
// and the order of names does not count. Values that ignored selects are left out. A name that may
// be data, or that isValue knows to be some (nil: it knows none), is `*` in a path. ok is false if
// one of them is no JSON text.
func Differences(a, b []byte, ignored []Pattern, limit int, isValue func(name string) bool) (
	paths []string, ok bool) {
	left, ok1 := decode(a)
	right, ok2 := decode(b)
	if !ok1 || !ok2 {
		return nil, false
	}
	c := comparison{ignored: ignored, limit: limit, isValue: isValue}
	c.compare(left, right)
	return c.found, true
}

func decode(content []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF)
}

// A comparison is one walk through two texts.
type comparison struct {
	ignored []Pattern
	limit   int
	isValue func(name string) bool
	path    []step
	found   []string
}

func (c *comparison) compare(a, b any) {
	if len(c.found) >= c.limit || c.isIgnored() {
		return
	}
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			c.objects(a, b)
			return
		}
	case []any:
		if b, ok := b.([]any); ok {
			c.lists(a, b)
			return
		}
	case json.Number:
		if b, ok := b.(json.Number); ok && sameNumber(a, b) {
			return
		}
	default: // a string, true, false or null
		if b == a {
			return
		}
	}
	c.report()
}

func (c *comparison) objects(a, b map[string]any) {
	kind := kindOf(a, b)
	for _, name := range slices.Sorted(maps.Keys(a)) {
		other, ok := b[name]
		c.enter(name, kind.isMap || kind.alike && !ok)
		if ok {
			c.compare(a[name], other)
		} else {
			c.report()
		}
		c.path = c.path[:len(c.path)-1]
	}
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[name]; !ok {
			c.enter(name, kind.alike)
			c.report()
			c.path = c.path[:len(c.path)-1]
		}
	}
}

// enter makes a member the present place.
func (c *comparison) enter(name string, hidden bool) {
	hidden = hidden || isData(name) || c.isValue != nil && c.isValue(name)
	c.path = append(c.path, step{name: name, index: -1, hidden: hidden})
}

func (c *comparison) lists(a, b []any) {
	if len(a) != len(b) {
		c.report()
		return
	}
	for i := range a {
		c.path = append(c.path, step{index: i})
		c.compare(a[i], b[i])
		c.path = c.path[:len(c.path)-1]
	}
}

func (c *comparison) isIgnored() bool {
	return slices.ContainsFunc(c.ignored, func(p Pattern) bool { return p.selects(c.path) })
}

// report notes the present place.
func (c *comparison) report() {
	at := text(c.path)
	if len(c.found) < c.limit && !c.isIgnored() && !slices.Contains(c.found, at) {
		c.found = append(c.found, at)
	}
}

// sameNumber compares by value; numbers that a double does not hold, digit by digit.
func sameNumber(a, b json.Number) bool {
	if a == b {
		return true
	}
	left, ok1 := number(string(a))
	right, ok2 := number(string(b))
	return ok1 && ok2 && left == right
}
