// Package collector takes traces as a collector of OpenTelemetry does: OTLP over HTTP, read by
// OpenTelemetry's own types.
package collector

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A Span is a span that came. Ids are in hexadecimal.
type Span struct {
	Trace, ID, Parent string // Parent is "" for the first of a trace
	State             string
	Remote            bool // the parent is in another process
	Name, Kind        string
	Attrs             map[string]any
	Resource          map[string]any
	Failed            bool
	Start, End        time.Time
}

// A Collector is a server that keeps the spans that it gets. It is safe for concurrent use.
type Collector struct {
	URL string

	mu     sync.Mutex
	spans  []Span
	fields []http.Header // of the posts
	more   chan struct{} // closed and replaced when spans come
	answer http.HandlerFunc
}

// Start starts a collector, which ends with the test.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{more: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		answer := c.answer
		c.fields = append(c.fields, r.Header)
		c.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		if err := c.take(r); err != nil {
			t.Errorf("the collector cannot read a post: %v", err)
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Answer makes the collector answer by f, and take nothing; nil: it takes all.
func (c *Collector) Answer(f http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// Posts are the header fields of the posts that came.
func (c *Collector) Posts() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.fields)
}

func (c *Collector) take(r *http.Request) error {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
		r.Header.Get("Content-Type") != "application/x-protobuf" {
		return fmt.Errorf("%s %s of %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = unpacked
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var data trace.TracesData // as an ExportTraceServiceRequest is on the wire
	if err := (proto.UnmarshalOptions{}).Unmarshal(content, &data); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range data.ResourceSpans {
		who := attrs(resource.Resource.Attributes)
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				if len(s.ProtoReflect().GetUnknown()) > 0 {
					return fmt.Errorf("a span has fields that nobody knows")
				}
				c.spans = append(c.spans, spanOf(s, who))
			}
		}
	}
	close(c.more)
	c.more = make(chan struct{})
	return nil
}

func spanOf(s *trace.Span, resource map[string]any) Span {
	return Span{
		Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId),
		Parent: hex.EncodeToString(s.ParentSpanId), State: s.TraceState,
		Remote: s.Flags&uint32(trace.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK) != 0,
		Name:   s.Name, Kind: strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")),
		Attrs: attrs(s.Attributes), Resource: resource,
		Failed: s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR,
		Start:  time.Unix(0, int64(s.StartTimeUnixNano)),
		End:    time.Unix(0, int64(s.EndTimeUnixNano)),
	}
}

func attrs(list []*common.KeyValue) map[string]any {
	out := map[string]any{}
	for _, a := range list {
		switch v := a.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.Key] = int(v.IntValue)
		case *common.AnyValue_BoolValue:
			out[a.Key] = v.BoolValue
		default:
			out[a.Key] = fmt.Sprintf("of another type: %v", v)
		}
	}
	return out
}

// Spans are those that came.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Await waits for a span that fits, and returns the first one.
func (c *Collector) Await(t testing.TB, what string, fits func(Span) bool) Span {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		c.mu.Lock()
		i, more := slices.IndexFunc(c.spans, fits), c.more
		var found Span
		if i >= 0 {
			found = c.spans[i]
		}
		c.mu.Unlock()
		if i >= 0 {
			return found
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("no span comes that is %s, but %+v", what, c.Spans())
		}
	}
}
