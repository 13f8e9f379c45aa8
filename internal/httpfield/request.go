// Package httpfield has strict parsers and writers of HTTP fields (RFC 9110 §5), and the small view
// of a request that matching, planning and the caching rules take instead of *http.Request.
//
// It is pure: no I/O, no clock, no state. A parser reports a field that it cannot read for certain
// as invalid, and never guesses.
package httpfield

import (
	"iter"
	"net/http"
)

// Fields is a read-only field section (RFC 9110 §5). Implementations are safe for concurrent
// readers.
type Fields interface {
	// Values returns the values of the field lines named name, in the order received. The result
	// must not be changed. name is in the canonical form of http.CanonicalHeaderKey.
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

// Request is the view of a request for matching, planning and the caching rules.
type Request struct {
	Method    string // as sent, case-sensitive
	Authority string // of an absolute target, else Host; as sent
	Path      string // as sent: neither decoded nor cleaned; "*" for an asterisk-form target
	Query     string // as sent, without '?'
	HasQuery  bool   // tells "/a?" from "/a"
	Fields    Fields // end-to-end and hop-by-hop; Host is in Authority only
	HasBody   bool   // content, or framing that announces some
	// Sent are the fields as they are sent to the backend: without those that end here, and with
	// those that the sidecar sets. nil: as they came.
	Sent Fields
}

// Outgoing returns the fields as they are sent to the backend.
func (r *Request) Outgoing() Fields {
	if r.Sent == nil {
		return r.Fields
	}
	return r.Sent
}
