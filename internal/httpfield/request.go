// Package httpfield holds strict parsers and writers of HTTP fields (RFC 9110 §5), and the small view of a
// request that matching, planning and the caching rules take instead of *http.Request.
//
// Everything here is pure: no I/O, no clock, no state. What a parser cannot read for certain it reports as
// invalid, and never guesses.
package httpfield

import (
	"iter"
	"net/http"
)

// Fields is a read-only field section (RFC 9110 §5). Implementations are safe for concurrent readers.
type Fields interface {
	// Values returns the values of the field lines named name, in the order received. The result must not be changed.
	// name is in the canonical form of http.CanonicalHeaderKey.
	Values(name string) []string
	// All yields every field name, canonical, with its values, in no particular order.
	All() iter.Seq2[string, []string]
}

// Header makes an http.Header a Fields.
type Header http.Header

// Values implements Fields.
func (h Header) Values(name string) []string { return h[name] }

// All implements Fields.
func (h Header) All() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for name, values := range h {
			if !yield(name, values) {
				return
			}
		}
	}
}

// First returns the first value of the named field, or "" if it is absent. name is canonical.
func First(f Fields, name string) string {
	if v := f.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Request is what matching, planning and the caching rules see of a request.
type Request struct {
	Method    string // as sent, case-sensitive
	Authority string // the absolute target's authority if there is one, else Host; lower case
	Path      string // as sent: neither decoded nor cleaned; "*" for an asterisk-form target
	Query     string // as sent, without '?'
	HasQuery  bool   // tells "/a?" from "/a"
	Fields    Fields // end-to-end and hop-by-hop fields alike; Host is in Authority only
	HasBody   bool   // content, or framing that may bring some (Content-Length over 0, or Transfer-Encoding)
}
