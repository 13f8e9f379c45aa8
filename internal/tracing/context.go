package tracing

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
)

// The fields of W3C Trace Context, in canonical form.
const (
	traceparent = "Traceparent"
	tracestate  = "Tracestate"
)

// Flags of a traceparent (Trace Context §3.2.2.5; the second is of Level 2).
const (
	flagSampled = 1 << 0
	flagRandom  = 1 << 1
)

// A Context names a span, here or in another process.
type Context struct {
	Trace [16]byte
	Span  [8]byte
	Flags byte
	State string // tracestate; "" for none
}

// Valid reports whether it names a span.
func (c *Context) Valid() bool { return c.Trace != [16]byte{} && c.Span != [8]byte{} }

// Sampled reports whether the span is recorded, by its own process.
func (c *Context) Sampled() bool { return c.Flags&flagSampled != 0 }

// maxState bounds a tracestate that is recorded, in bytes (Trace Context §3.3.1.5).
const maxState = 512

// ContextOf reads the context of a request's fields; the zero Context where they have none that can
// be read.
func ContextOf(fields http.Header) (c Context) {
	values := fields[traceparent]
	if len(values) == 0 {
		return c
	}
	if len(values) != 1 || !c.parse(strings.Trim(values[0], " \t")) {
		return Context{}
	}
	if state := strings.Join(fields[tracestate], ","); len(state) <= maxState {
		c.State = state
	}
	return c
}

// traceparentLength is that of version 00.
const traceparentLength = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00")

// parse reads a traceparent. One of a later version may have more at its end (§3.2.2.1).
func (c *Context) parse(s string) bool {
	if len(s) < traceparentLength || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	var version, flags [1]byte
	if !unhex(version[:], s[:2]) || version[0] == 0xff ||
		len(s) > traceparentLength && (version[0] == 0 || s[traceparentLength] != '-') {
		return false
	}
	if !unhex(c.Trace[:], s[3:35]) || !unhex(c.Span[:], s[36:52]) || !unhex(flags[:], s[53:55]) {
		return false
	}
	c.Flags = flags[0] & (flagSampled | flagRandom)
	return c.Valid()
}

// unhex reads lower-case hexadecimal digits.
func unhex(to []byte, s string) bool {
	if strings.ContainsAny(s, "ABCDEF") {
		return false
	}
	_, err := hex.Decode(to, []byte(s))
	return err == nil
}

// header is the traceparent of the context.
func (c *Context) header() string {
	b := make([]byte, 0, traceparentLength)
	b = append(b, "00-"...)
	b = append(hex.AppendEncode(b, c.Trace[:]), '-')
	b = append(hex.AppendEncode(b, c.Span[:]), '-')
	return string(hex.AppendEncode(b, []byte{c.Flags}))
}

func newTrace() (id [16]byte) {
	for id == [16]byte{} {
		random(id[:8])
		random(id[8:])
	}
	return id
}

func newSpan() (id [8]byte) {
	for id == [8]byte{} {
		random(id[:])
	}
	return id
}

func random(b []byte) {
	n := rand.Uint64()
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
}

type spanKey struct{}

// With returns a context with the span; ctx itself for a nil span.
func With(ctx context.Context, s *Span) context.Context {
	if s == nil {
		return ctx
	}
	return context.WithValue(ctx, spanKey{}, s)
}

// From is the span of a context; nil: it has none.
func From(ctx context.Context) *Span {
	s, _ := ctx.Value(spanKey{}).(*Span)
	return s
}
