package tracing

import (
	"encoding/hex"
	"net/http"
	"time"
)

// A Kind is the kind of a span, with the numbers of OTLP.
type Kind int

// The kinds.
const (
	Internal Kind = iota + 1
	Server
	Client
	Producer
	Consumer
)

// A Span is a piece of work. One goroutine at a time uses it, until End; its name and place are
// safe to read for all. All methods may be called of a nil Span, and do nothing.
//
// A span that is not sampled is not recorded. It only says which context goes on.
type Span struct {
	tracer  *Tracer
	context Context
	parent  Context // zero: it is the first of its trace
	remote  bool    // the parent is in another process
	carried bool    // the trace came from another process
	passes  bool    // not sampled: the parent's fields go on as they came

	name       string
	kind       Kind
	start, end time.Time
	attrs      []Attr
	failed     bool
}

// Receive begins a span for a request with these fields, by the context that they carry. A nil
// Tracer begins none.
func (t *Tracer) Receive(kind Kind, fields http.Header, start time.Time) *Span {
	if t == nil {
		return nil
	}
	parent := ContextOf(fields)
	s := &Span{tracer: t, parent: parent, remote: true, carried: parent.Valid(), kind: kind,
		start: start}
	if s.context.Trace = parent.Trace; !s.carried {
		s.context.Trace = newTrace()
	}
	s.context.Flags, s.context.State = parent.Flags&flagRandom, parent.State
	if t.sampler(&parent, s.context.Trace) {
		s.context.Flags |= flagSampled
	} else if s.carried {
		s.passes = true
		return s
	}
	s.context.Span = newSpan()
	return s
}

// Child begins a span within s; nil if s is not recorded.
func (s *Span) Child(kind Kind, name string, start time.Time) *Span {
	if !s.Recorded() {
		return nil
	}
	child := &Span{
		tracer: s.tracer, context: s.context, parent: s.context, carried: s.carried,
		kind: kind, name: name, start: start,
	}
	child.context.Span = newSpan()
	return child
}

// Recorded reports whether the span is sampled.
func (s *Span) Recorded() bool { return s != nil && s.context.Sampled() }

// TraceID is the id of the trace in hexadecimal, for exemplars and the log; "" if the span is not
// recorded.
func (s *Span) TraceID() string {
	if !s.Recorded() {
		return ""
	}
	return hex.EncodeToString(s.context.Trace[:])
}

// Traceparent is the context of the span as a field; "" if it is not recorded.
func (s *Span) Traceparent() string {
	if !s.Recorded() {
		return ""
	}
	return s.context.header()
}

// Inject makes s the parent of a request with these fields, which have those that came to it. Where
// it is not sampled and came with a context, the fields stay as they are.
func (s *Span) Inject(fields http.Header) {
	if s == nil || s.passes {
		return
	}
	fields[traceparent] = []string{s.context.header()}
	if !s.carried {
		delete(fields, tracestate) // it is of another trace, or of none
	}
}

// Name names the span.
func (s *Span) Name(name string) {
	if s.Recorded() {
		s.name = name
	}
}

// Set adds attributes. One without a value is left out.
func (s *Span) Set(attrs ...Attr) {
	if !s.Recorded() {
		return
	}
	for _, a := range attrs {
		if a.kind != none {
			s.attrs = append(s.attrs, a)
		}
	}
}

// Fail marks the span as failed. class is from a short list: the attribute error.type.
func (s *Span) Fail(class string) {
	if s.Recorded() {
		s.failed = true
		s.Set(String("error.type", class))
	}
}

// End ends the span. It is called once.
func (s *Span) End(now time.Time) {
	if s.Recorded() {
		s.end = now
		s.tracer.take(s)
	}
}

// An Attr is an attribute. The zero Attr has no value.
type Attr struct {
	key  string
	kind attrKind
	text string
	n    int64
}

type attrKind int8

const (
	none attrKind = iota
	text
	number
	boolean
)

// maxText bounds the text of an attribute, in bytes.
const maxText = 512

// String is an attribute; none if the value is empty.
func String(key, value string) Attr {
	if value == "" {
		return Attr{}
	}
	return Attr{key: key, kind: text, text: value}
}

// Int is an attribute.
func Int(key string, value int64) Attr { return Attr{key: key, kind: number, n: value} }

// Positive is an attribute; none if the value is 0.
func Positive(key string, value int64) Attr {
	if value == 0 {
		return Attr{}
	}
	return Int(key, value)
}

// Flag is an attribute; none if the value is false.
func Flag(key string, value bool) Attr {
	if !value {
		return Attr{}
	}
	return Attr{key: key, kind: boolean, n: 1}
}

// A Method is that of a request, as the conventions for HTTP write it: one that is not known gets a
// short name, and is an attribute of its own.
type Method struct {
	Name     string // in the name of a span
	Attr     Attr   // http.request.method
	Original Attr   // http.request.method_original; none if the method is known
}

// MethodOf returns the method m.
func MethodOf(m string) Method {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect, "QUERY":
		return Method{Name: m, Attr: String("http.request.method", m)}
	}
	return Method{
		Name: "HTTP", Attr: String("http.request.method", "_OTHER"),
		Original: String("http.request.method_original", m),
	}
}
