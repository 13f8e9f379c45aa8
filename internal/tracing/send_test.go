package tracing_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"sidecar/internal/tracing"
	"sidecar/test/collector"
)

func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// options are those of a tracer of everything.
func options(c *collector.Collector) tracing.Options {
	all, _ := tracing.ParseSampler("always_on", "")
	return tracing.Options{
		Endpoint: c.URL + "/v1/traces", Sampler: all, Timeout: 10 * time.Second,
		Scope: "sidecar", Version: "1",
		Resource: []tracing.Attr{tracing.String("service.name", "a")},
		Delay:    10 * time.Millisecond, BatchTime: 20 * time.Second, Queue: 1000, Batch: 100,
		Log: slog.New(slog.DiscardHandler),
	}
}

func started(t *testing.T, o tracing.Options) *tracing.Tracer {
	tr := tracing.New(o)
	t.Cleanup(func() { tr.Shutdown(done()) })
	return tr
}

func TestASpanComesAsItWasMade(t *testing.T) {
	for _, packed := range []bool{false, true} {
		c := collector.Start(t)
		o := options(c)
		o.Gzip = packed
		o.Headers = func() (http.Header, error) { return http.Header{"X-Key": {"geheim"}}, nil }
		tr := started(t, o)
		began := time.Now()
		span := tr.Receive(tracing.Server, http.Header{
			"Traceparent": {"00-" + trace + "-" + parent + "-01"}, "Tracestate": {"a=1", "b=2"},
		}, began)
		span.Name("GET /a")
		child := span.Child(tracing.Client, "GET", began)
		child.Set(tracing.String("text", "a\xff"+strings.Repeat("b", 1000)),
			tracing.String("empty", ""), tracing.Int("zero", 0), tracing.Positive("none", 0),
			tracing.Int("less", -5), tracing.Flag("yes", true), tracing.Flag("no", false))
		child.Fail("timeout")
		child.End(began.Add(time.Second))
		span.End(began.Add(2 * time.Second))

		outer := c.Await(t, "GET /a", func(s collector.Span) bool { return s.Name == "GET /a" })
		inner := c.Await(t, "GET", func(s collector.Span) bool { return s.Name == "GET" })
		if outer.Trace != trace || outer.Parent != parent || !outer.Remote || outer.Failed ||
			outer.State != "a=1,b=2" || outer.Kind != "server" || len(outer.Attrs) != 0 ||
			outer.Start.UnixNano() != began.UnixNano() || outer.Resource["service.name"] != "a" {
			t.Errorf("%+v", outer)
		}
		if inner.Trace != trace || inner.Parent != outer.ID || inner.Remote || !inner.Failed ||
			inner.Kind != "client" || inner.End.Sub(inner.Start) != time.Second {
			t.Errorf("%+v", inner)
		}
		want := map[string]any{"text": "a" + strings.Repeat("b", 510), "zero": 0, "less": -5,
			"yes": true, "error.type": "timeout"}
		if fmt.Sprint(inner.Attrs) != fmt.Sprint(want) {
			t.Errorf("%v", inner.Attrs)
		}
		post := c.Posts()[0]
		if post.Get("X-Key") != "geheim" || (post.Get("Content-Encoding") == "gzip") != packed {
			t.Errorf("%v", post)
		}
	}
}

func TestAPostIsRepeatedWhereThatMayHelp(t *testing.T) {
	for status, want := range map[int]int{503: 2, 429: 2, 400: 1, 302: 1} {
		c := collector.Start(t)
		c.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			c.Answer(nil)
		})
		tr := started(t, options(c))
		tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
		await(t, "the post is over", func() bool {
			s := tr.Stats()
			return s.Exported+s.Failed == 1
		})
		if got := len(c.Posts()); got != want || (tr.Stats().Exported == 1) != (want == 2) {
			t.Errorf("%d: %d posts, %+v", status, got, tr.Stats())
		}
	}
}

func TestSpansThatTheCollectorRefusesAreCounted(t *testing.T) {
	c := collector.Start(t)
	c.Answer(func(w http.ResponseWriter, _ *http.Request) {
		partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
		partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType),
			"why")
		_, _ = w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType),
			partial))
	})
	var said lines
	o := options(c)
	o.Delay, o.Log = time.Hour, slog.New(slog.NewTextHandler(&said, nil))
	tr := tracing.New(o)
	for range 3 {
		tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	}
	tr.Shutdown(t.Context())
	if got := tr.Stats(); got != (tracing.Stats{Exported: 2, Failed: 1}) {
		t.Errorf("%+v", got)
	}
	if text := said.String(); !strings.Contains(text, "lost_spans=1") ||
		!strings.Contains(text, "refused some: why") {
		t.Errorf("the log is\n%s", text)
	}
}

// Shutdown sends the spans that wait, more than one batch of them.
func TestTheLastSpansAreSent(t *testing.T) {
	c := collector.Start(t)
	o := options(c)
	o.Delay = time.Hour
	tr := tracing.New(o)
	for range 250 {
		tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	}
	tr.Shutdown(t.Context())
	if got := len(c.Spans()); got != 250 {
		t.Errorf("%d came: %+v", got, tr.Stats())
	}
	tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	if got := tr.Stats(); got != (tracing.Stats{Exported: 250, Dropped: 1}) {
		t.Errorf("%+v", got)
	}
}

// A collector that takes a connection and is silent holds up nothing: what finds the queue full is
// dropped, the log has one line, and Shutdown ends with its context.
func TestASilentCollectorHoldsUpNothing(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var said lines
	all, _ := tracing.ParseSampler("always_on", "")
	tr := tracing.New(tracing.Options{
		Endpoint: "http://user:geheim@" + silent.Addr().String(), Sampler: all,
		Timeout: 50 * time.Millisecond, BatchTime: 100 * time.Millisecond, Delay: time.Millisecond,
		Queue: 10, Batch: 5, Log: slog.New(slog.NewTextHandler(&said, nil)),
	})
	for tr.Stats().Failed < 20 {
		tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	}
	if tr.Stats().Dropped == 0 {
		t.Error("the queue has no bound")
	}
	tr.Shutdown(done())
	if text := said.String(); strings.Count(text, "level=WARN") != 1 ||
		strings.Contains(text, "geheim") {
		t.Errorf("the log is\n%s", text)
	}
}

// The end of the context cuts a post off that would go on for long.
func TestShutdownEndsWithItsContext(t *testing.T) {
	c := collector.Start(t)
	held := make(chan struct{})
	c.Answer(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server then sees that the client leaves
		close(held)
		<-r.Context().Done()
	})
	o := options(c)
	o.Timeout, o.BatchTime = time.Hour, time.Hour
	tr := tracing.New(o)
	tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	<-held
	ended := make(chan struct{})
	go func() { defer close(ended); tr.Shutdown(done()) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	if got := tr.Stats(); got != (tracing.Stats{Failed: 1}) {
		t.Errorf("%+v", got)
	}
}

func TestAFaultOfTheHeadersIsTold(t *testing.T) {
	c := collector.Start(t)
	var said lines
	o := options(c)
	o.Log = slog.New(slog.NewTextHandler(&said, nil))
	o.Headers = func() (http.Header, error) { return nil, errors.New("the file is missing") }
	tr := started(t, o)
	tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	await(t, "the fault is told", func() bool {
		return strings.Contains(said.String(), "the file is missing")
	})
}

// The port of gRPC is a common mistake: what it sends first is no answer of HTTP/1.1.
func TestThePortOfGRPCIsNamed(t *testing.T) {
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	go func() { // ends with the listener
		for {
			conn, err := port.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1))
			_, _ = conn.Write([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00"))
			_ = conn.Close()
		}
	}()
	var said lines
	all, _ := tracing.ParseSampler("always_on", "")
	tr := started(t, tracing.Options{
		Endpoint: "http://" + port.Addr().String(), Sampler: all, Timeout: 10 * time.Second,
		BatchTime: time.Millisecond, Delay: time.Millisecond, Queue: 10, Batch: 5,
		Log: slog.New(slog.NewTextHandler(&said, nil)),
	})
	tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	await(t, "it is told", func() bool { return strings.Contains(said.String(), "WARN") })
	if !strings.Contains(said.String(), "port of gRPC") {
		t.Errorf("the log is\n%s", said.String())
	}
}

func TestIDsAreRandom(t *testing.T) {
	c := collector.Start(t)
	tr := tracing.New(options(c))
	for range 100 {
		tr.Receive(tracing.Server, nil, time.Now()).End(time.Now())
	}
	tr.Shutdown(t.Context())
	seen := map[string]bool{}
	for _, s := range c.Spans() {
		if b, err := hex.DecodeString(s.Trace + s.ID); err != nil || len(b) != 24 {
			t.Errorf("%+v", s)
		}
		seen[s.Trace], seen[s.ID] = true, true
	}
	if len(seen) != 200 {
		t.Errorf("%d ids of 200", len(seen))
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(60 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal(what, ": not within a minute")
		}
	}
}
