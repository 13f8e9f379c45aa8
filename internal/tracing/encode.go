package tracing

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields of opentelemetry.proto.trace.v1, as far as they are written.
const (
	requestResourceSpans = 1 // of ExportTraceServiceRequest

	resourceSpansResource = 1
	resourceSpansScopes   = 2
	resourceAttributes    = 1

	scopeSpansScope = 1
	scopeSpansSpans = 2
	scopeName       = 1
	scopeVersion    = 2

	spanTrace      = 1
	spanID         = 2
	spanState      = 3
	spanParent     = 4
	spanName       = 5
	spanKindField  = 6
	spanStart      = 7
	spanEnd        = 8
	spanAttributes = 9
	spanStatus     = 15
	spanFlags      = 16

	statusCode  = 3
	statusError = 2

	keyValueKey   = 1
	keyValueValue = 2
	valueString   = 1
	valueBool     = 2
	valueInt      = 3

	responsePartial = 1 // of ExportTraceServiceResponse
	partialRejected = 1
	partialMessage  = 2
)

// Bits of the field flags above those of the trace.
const (
	hasRemote = 1 << 8
	isRemote  = 1 << 9
)

// encode returns an ExportTraceServiceRequest of the spans. head is the same in each one.
func encode(head requestHead, spans []*Span) []byte {
	scope := append([]byte(nil), head.scope...)
	for _, s := range spans {
		scope = appendMessage(scope, scopeSpansSpans, s.encode())
	}
	resource := appendMessage(nil, resourceSpansResource, head.resource)
	resource = appendMessage(resource, resourceSpansScopes, scope)
	return appendMessage(nil, requestResourceSpans, resource)
}

// A requestHead has the encoded parts that are the same in each request.
type requestHead struct{ resource, scope []byte }

func newRequestHead(o Options) (h requestHead) {
	for _, a := range o.Resource {
		if a.kind != none {
			h.resource = appendMessage(h.resource, resourceAttributes, a.encode())
		}
	}
	scope := appendText(nil, scopeName, o.Scope)
	h.scope = appendMessage(nil, scopeSpansScope, appendText(scope, scopeVersion, o.Version))
	return h
}

func (s *Span) encode() []byte {
	b := appendMessage(make([]byte, 0, 512), spanTrace, s.context.Trace[:])
	b = appendMessage(b, spanID, s.context.Span[:])
	b = appendText(b, spanState, s.context.State)
	flags := uint32(s.context.Flags) | hasRemote
	if s.parent.Valid() {
		b = appendMessage(b, spanParent, s.parent.Span[:])
		if s.remote {
			flags |= isRemote
		}
	}
	b = appendText(b, spanName, s.name)
	b = appendNumber(b, spanKindField, uint64(s.kind))
	b = appendTime(b, spanStart, s.start)
	b = appendTime(b, spanEnd, s.end)
	for _, a := range s.attrs {
		b = appendMessage(b, spanAttributes, a.encode())
	}
	if s.failed {
		b = appendMessage(b, spanStatus, appendNumber(nil, statusCode, statusError))
	}
	b = protowire.AppendTag(b, spanFlags, protowire.Fixed32Type)
	return protowire.AppendFixed32(b, flags)
}

func (a Attr) encode() []byte {
	var value []byte
	switch a.kind {
	case text:
		// not left out where it is empty: it would be no value
		value = protowire.AppendTag(nil, valueString, protowire.BytesType)
		value = protowire.AppendString(value, bounded(a.text))
	case number:
		value = appendNumber(nil, valueInt, uint64(a.n))
	case boolean:
		value = appendNumber(nil, valueBool, uint64(a.n))
	}
	return appendMessage(appendText(nil, keyValueKey, a.key), keyValueValue, value)
}

// bounded is s in UTF-8, cut off after maxText bytes.
func bounded(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.ToValidUTF8(s, "")
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), bounded(s))
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	b = protowire.AppendTag(b, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, uint64(max(0, t.UnixNano())))
}

// refusalOf is what an ExportTraceServiceResponse says of spans that were not taken; zero where it
// cannot be read.
func refusalOf(response []byte) (r refusal) {
	partial := field(response, responsePartial, protowire.BytesType)
	n, _ := protowire.ConsumeVarint(field(partial, partialRejected, protowire.VarintType))
	r.spans = min(n, math.MaxInt64)
	message := field(partial, partialMessage, protowire.BytesType)
	r.message = strings.ToValidUTF8(string(message[:min(len(message), maxMessage)]), "")
	return r
}

// field is the value of the first such field of a message: its content, or for a number the bytes
// from there on; nil if there is none.
func field(message []byte, want protowire.Number, kind protowire.Type) []byte {
	for len(message) > 0 {
		number, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		if number == want && typ == kind {
			if kind == protowire.BytesType {
				content, _ := protowire.ConsumeBytes(message)
				return content
			}
			return message
		}
		if n = protowire.ConsumeFieldValue(number, typ, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}
