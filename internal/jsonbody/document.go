// Package jsonbody looks up paths in the JSON body of a request or a response. A body is unpacked
// and checked once, however many paths are looked up in it.
//
// A value is given only where every parser reads the same one: the content is JSON in UTF-8, no
// object has two names that some parser takes for one, and numbers are compared by value. Memory
// and work are bounded by the size of the body; the number of values is bounded by the caller.
//
// The package is pure.
package jsonbody

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// A Document is a JSON text that was checked. The zero value, and nil, hold no certain value. It is
// not safe for concurrent use.
type Document struct {
	text  string
	found map[string]list // the values of paths that were looked up
}

// list are the values of a path.
type list struct {
	values []string
	more   bool // there are more than were asked for
	ok     bool
}

// Parse checks a text without a content coding. It returns nil for a text that two parsers may read
// differently.
func Parse(content []byte) *Document {
	if !certain(content) {
		return nil
	}
	return &Document{text: string(content), found: map[string]list{}}
}

// Values are the values at a path in gjson syntax: one for a scalar, one for each element of a
// list. ok is false if there is no value, or one that names nothing (null, an object, a list in a
// list, a number that some parsers round).
//
// After more than limit values it stops: then there are limit+1 values, and the rest of the list
// was not looked at.
func (d *Document) Values(path string, limit int) (values []string, ok bool) {
	if d == nil {
		return nil, false
	}
	known, again := d.found[path]
	if !again || known.more && len(known.values) <= limit {
		known = d.lookUp(path, limit)
		d.found[path] = known
	}
	if len(known.values) > limit+1 {
		return known.values[:limit+1], known.ok
	}
	return known.values, known.ok
}

func (d *Document) lookUp(path string, limit int) list {
	found := gjson.Get(d.text, path)
	if !found.Exists() {
		return list{}
	}
	if !found.IsArray() {
		text, ok := scalar(found)
		return list{values: []string{text}, ok: ok}
	}
	out := list{values: []string{}, ok: true}
	found.ForEach(func(_, element gjson.Result) bool {
		text, ok := scalar(element)
		if !ok {
			out = list{}
			return false
		}
		out.values = append(out.values, text)
		out.more = len(out.values) > limit
		return !out.more
	})
	return out
}

// scalar is the text of a value that can name something.
func scalar(v gjson.Result) (text string, ok bool) {
	switch v.Type {
	case gjson.String:
		// An escape that is no character reads differently in different parsers.
		return v.Str, !strings.ContainsRune(v.Str, utf8.RuneError)
	case gjson.Number:
		return number(v.Raw)
	case gjson.True, gjson.False:
		return v.Raw, true
	}
	return "", false
}
