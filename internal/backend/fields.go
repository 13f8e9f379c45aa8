package backend

import (
	"iter"
	"net/http"
	"net/netip"
	"strings"

	"sidecar/internal/httpfield"
)

// Fields is the field section of a request as it is sent to the backend: a view of the request
// that came, which makes only the fields that are asked for. Outgoing sends these fields, and the
// keys of the cache compare them. It implements httpfield.Fields.
//
// Hop-by-hop fields end here (RFC 9110 §7.6.1). Forwarding fields pass unchanged from a trusted
// peer, and those that are absent are set; those of any other peer are replaced. Via gets one more
// member. The conditions by which the cache validates are not part of it, nor is the framing.
type Fields struct {
	backend *Backend
	request *http.Request
	peer    netip.Addr // see peerOf
}

// Fields returns the fields of r, a request as a server received it, as they are sent on. r must
// not change while the result is in use.
func (b *Backend) Fields(r *http.Request) Fields {
	return Fields{backend: b, request: r, peer: peerOf(r.RemoteAddr)}
}

// Values implements httpfield.Fields.
func (f *Fields) Values(name string) []string {
	if isSet(name) {
		o := f.source()
		return f.set(name, &o, nil)
	}
	came := f.request.Header[name]
	if len(came) == 0 || !f.passes(name, f.hop()) {
		return nil
	}
	return came
}

// All implements httpfield.Fields.
func (f *Fields) All() iter.Seq2[string, []string] {
	return f.all
}

func (f *Fields) all(yield func(string, []string) bool) {
	hop := f.hop()
	for name, values := range f.request.Header {
		if !isSet(name) && f.passes(name, hop) && !yield(name, values) {
			return
		}
	}
	o, room := f.source(), make([]string, len(setFields))
	for i, name := range setFields {
		if v := f.set(name, &o, room[i:i:i+1]); len(v) > 0 && !yield(name, v) {
			return
		}
	}
}

// sent calls yield for all fields as they are written in a request.
//
// Two have a spelling of their own: net/http's transport would send an unsafe request a second time
// when a connection breaks, where it finds an Idempotency-Key by this spelling. Field names are
// case-insensitive (RFC 9110 §5.1), to everybody else.
func (f *Fields) sent(yield func(name string, values []string)) {
	via := f.backend.options.Via
	f.all(func(name string, values []string) bool {
		switch {
		case name == "Idempotency-Key", name == "X-Idempotency-Key":
			name = strings.ToLower(name)
		case name == passedField && !via:
			return true
		}
		yield(name, values)
		return true
	})
	if !via {
		yield(passedField, f.backend.passed(f.request))
	}
}

// setFields are the fields that the sidecar may set or extend.
var setFields = [...]string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	"X-Real-Ip", "Via", "Te",
}

func isSet(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Real-Ip", "Via", "Te":
		return true
	}
	return false
}

func (f *Fields) hop() httpfield.Hop { return httpfield.HopOf(httpfield.Header(f.request.Header)) }

// passes reports whether a field that the sidecar does not set is sent on as it came.
func (f *Fields) passes(name string, hop httpfield.Hop) bool {
	switch {
	case hop.Has(name), name == "Trailer":
		return false
	case !httpfield.IsPlainName(name) && isTwin(name):
		return false
	}
	return !isForwarding(name) || f.trusted()
}

// set is one of setFields as it is sent. A value that is made is appended to room.
func (f *Fields) set(name string, o *source, room []string) []string {
	switch name {
	case "Via":
		return f.via()
	case "Te": // for this hop, anew
		if httpfield.AcceptsTrailers(httpfield.Header(f.request.Header)) {
			return append(room, "trailers")
		}
		return nil
	}
	return f.forwarding(name, o, room)
}

func (f *Fields) via() []string {
	came := f.came("Via")
	if !f.backend.options.Via {
		return came
	}
	version := "1.1 "
	switch r := f.request; {
	case r.ProtoMajor == 2:
		version = "2.0 "
	case r.ProtoMajor == 1 && r.ProtoMinor == 0:
		version = "1.0 "
	}
	return append(came[:len(came):len(came)], version+f.backend.pseudonym)
}

// came are the values of an end-to-end field of the request.
func (f *Fields) came(name string) []string {
	came := f.request.Header[name]
	if len(came) == 0 || f.hop().Has(name) {
		return nil
	}
	return came
}

// trusted reports whether the forwarding fields of the request are believed.
func (f *Fields) trusted() bool { return f.backend.trusts(f.peer) }
