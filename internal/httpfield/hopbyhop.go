package httpfield

import (
	"net/http"
	"slices"
)

// A Hop is the set of hop-by-hop fields of one message, which are neither forwarded nor stored (RFC
// 9110 §7.6.1). It has the fields that Connection names, and always:
//
//   - Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade;
//   - TE, which each sender writes for itself; see AcceptsTrailers;
//   - Proxy-Authenticate, Proxy-Authentication-Info, Proxy-Authorization (§11.7), which concern a
//     proxy that the client chose.
//
// Trailer is not among them: it announces end-to-end fields, and the framing of the message decides
// about it. The zero value is that of a message without Connection.
type Hop struct {
	named  []string // canonical
	broken bool     // Connection has a member that is no token
}

// HopOf reads the Connection field of f.
func HopOf(f Fields) Hop {
	values := f.Values("Connection")
	if len(values) == 0 || len(values) == 1 && isPlainOption(values[0]) {
		return Hop{}
	}
	names, ok := FieldNames(values)
	return Hop{named: names, broken: !ok}
}

// isPlainOption recognises the usual Connection options, which remove no further field.
func isPlainOption(s string) bool { return s == "keep-alive" || s == "Keep-Alive" || s == "close" }

// Has reports whether the field with this canonical name is hop-by-hop.
func (h Hop) Has(name string) bool { return IsHopByHop(name) || slices.Contains(h.named, name) }

// NamesOthers reports whether Connection names a field that is otherwise end-to-end, or is
// malformed. "close" is an option without a field.
func (h Hop) NamesOthers() bool {
	return h.broken || slices.ContainsFunc(h.named,
		func(name string) bool { return name != "Close" && !IsHopByHop(name) })
}

// Strip removes them from fields, which need not be those that h was read from.
func (h Hop) Strip(fields http.Header) {
	for _, name := range h.named {
		delete(fields, name)
	}
	for name := range fields {
		if IsHopByHop(name) {
			delete(fields, name)
		}
	}
}

// IsHopByHop reports whether the field with this canonical name is always hop-by-hop.
func IsHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}

// AcceptsTrailers reports whether the request's TE has "trailers" (RFC 9110 §10.1.4). It holds for
// this hop only: a forwarder that can take trailers sends its own `TE: trailers`.
func AcceptsTrailers(f Fields) bool {
	members, _ := Members(f.Values("Te"))
	return slices.ContainsFunc(members, func(m string) bool {
		return http.CanonicalHeaderKey(m) == "Trailers"
	})
}
