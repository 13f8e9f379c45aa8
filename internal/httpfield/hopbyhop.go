package httpfield

import (
	"net/http"
	"slices"
)

// A Hop tells which fields of one message are for the next recipient alone (RFC 9110 §7.6.1): neither forwarded nor stored.
// Those are the fields that Connection names, and always:
//
//   - Connection, Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade;
//   - TE: a sender with trailers to receive says so in a TE of its own, see AcceptsTrailers;
//   - Proxy-Authenticate, Proxy-Authentication-Info, Proxy-Authorization (§11.7), which concern a proxy that the client chose.
//
// Trailer is none of them: it announces fields that travel end to end, and belongs to whoever frames the message.
// The zero value is that of a message without Connection.
type Hop struct {
	named  []string // canonical
	broken bool     // Connection has something that is no token
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

// isPlainOption recognises what nearly every Connection field says, and what takes out nothing more.
func isPlainOption(s string) bool { return s == "keep-alive" || s == "Keep-Alive" || s == "close" }

// Has reports whether the field with this canonical name is for the next hop alone.
func (h Hop) Has(name string) bool { return IsHopByHop(name) || slices.Contains(h.named, name) }

// NamesOthers reports whether Connection names a field that is not hop-by-hop by itself, or something that cannot be
// read. "close" is neither: it is an option without a field.
func (h Hop) NamesOthers() bool {
	return h.broken || slices.ContainsFunc(h.named, func(name string) bool { return name != "Close" && !IsHopByHop(name) })
}

// Strip takes them out of fields, which need not be those that h was read from.
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

// IsHopByHop reports whether the field with this canonical name is always for the next hop alone.
func IsHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization":
		return true
	}
	return false
}

// AcceptsTrailers reports whether the request's TE says "trailers" (RFC 9110 §10.1.4). It is answered for this hop only:
// who forwards the request and can take trailers sends `TE: trailers` anew, and nothing else of TE.
func AcceptsTrailers(f Fields) bool {
	members, _ := Members(f.Values("Te"))
	return slices.ContainsFunc(members, func(m string) bool { return http.CanonicalHeaderKey(m) == "Trailers" })
}
