package jsonbody

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"sidecar/internal/httpfield"
)

// maxDepth bounds how deeply a document may be nested.
const maxDepth = 1000

// certain reports whether content is one JSON text in UTF-8 in which no object has two names that
// some parser takes for one: of two equal names one parser takes the first and another the last,
// and some compare them without regard to case.
func certain(content []byte) bool {
	return utf8.Valid(content) && json.Valid(content) && uniqueNames(string(content))
}

// fewNames is up to how many names of one object are compared one by one.
const fewNames = 16

// An object is an object that is read, or a list.
type object struct {
	isList bool
	named  bool            // the next value belongs to a name
	first  int             // where its names begin in scan.names
	set    map[string]bool // its names, if they are many
}

// scan reads a valid JSON text once.
type scan struct {
	open  []object
	names []string // of the open objects, folded, but for those in a set
}

// uniqueNames reports whether the names in each object of a valid text are different when folded,
// and the text is not nested too deeply.
func uniqueNames(text string) bool {
	var s scan
	for i := 0; i < len(text); {
		switch text[i] {
		case '{', '[':
			if len(s.open) == maxDepth {
				return false
			}
			s.open = append(s.open, object{isList: text[i] == '[', first: len(s.names)})
			i++
		case '}', ']':
			s.names = s.names[:s.open[len(s.open)-1].first]
			s.open = s.open[:len(s.open)-1]
			i++
		case ',':
			s.open[len(s.open)-1].named = false
			i++
		case '"':
			end := endOfString(text, i)
			if !s.takes(text[i:end]) {
				return false
			}
			i = end
		default:
			i++
		}
	}
	return true
}

// endOfString is the offset after the string that begins at start.
func endOfString(text string, start int) int {
	for i := start + 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}

// takes notes a string, quoted, if it is a name. It reports false if its object has the name
// already.
func (s *scan) takes(quoted string) bool {
	if len(s.open) == 0 {
		return true
	}
	o := &s.open[len(s.open)-1]
	if o.isList || o.named {
		return true
	}
	o.named = true
	name, ok := folded(quoted)
	if !ok {
		return false
	}
	if o.set == nil && len(s.names)-o.first == fewNames {
		o.set = make(map[string]bool, 4*fewNames)
		for _, n := range s.names[o.first:] {
			o.set[n] = true
		}
	}
	if o.set != nil {
		if o.set[name] {
			return false
		}
		o.set[name] = true
		return true
	}
	for _, n := range s.names[o.first:] {
		if n == name {
			return false
		}
	}
	s.names = append(s.names, name)
	return true
}

// folded is a name, quoted, in the form in which parsers that ignore case compare it.
func folded(quoted string) (name string, ok bool) {
	name = quoted[1 : len(quoted)-1]
	if strings.Contains(name, `\`) {
		if json.Unmarshal([]byte(quoted), &name) != nil {
			return "", false
		}
	}
	return httpfield.Fold(name), true
}
