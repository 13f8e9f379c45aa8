package proxy_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/internal/tracing"
	"sidecar/test/collector"
	"sidecar/test/redisd"
)

const (
	clientTrace   = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan    = "00f067aa0ba902b7"
	sampledFields = "Traceparent: 00-" + clientTrace + "-" + clientSpan + "-01"
	otherFields   = "Traceparent: 00-" + clientTrace + "-" + clientSpan + "-00"
)

// traceTo sends the spans of a sidecar to the collector.
func traceTo(t testing.TB, c *collector.Collector, sampler string) func(*setup) {
	sampled, err := tracing.ParseSampler(sampler, "")
	check(t, err)
	tracer := tracing.New(tracing.Options{
		Endpoint: c.URL + "/v1/traces", Sampler: sampled, Timeout: 10 * time.Second,
		Delay: 5 * time.Millisecond, BatchTime: 20 * time.Second, Queue: 2000, Batch: 100,
	})
	t.Cleanup(func() { tracer.Shutdown(context.Background()) })
	return func(o *setup) { o.tracer = tracer }
}

// contexts is an API that notes the trace context of each request.
type contexts struct {
	mu   sync.Mutex
	last http.Header
}

func (c *contexts) answer(w http.ResponseWriter, r *http.Request, _ int) {
	c.mu.Lock()
	c.last = r.Header.Clone()
	c.mu.Unlock()
	w.Header().Set("Cache-Control", "max-age=1000")
	if strings.HasSuffix(r.URL.Path, "/broken") {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(w, "body")
}

// of are the values of a field of the last request.
func (c *contexts) of(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.last[name], ";")
}

const traced = `caller: {credentials: ["header:Authorization"]}
routes:
  - {name: item, match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, memory: 1h, tags: ["item:{id}"]}}
  - {name: soon, match: "GET /soon/{id}", cache: {scope: shared, ttl: 1s, stale_while_revalidate: 1h, response_directives: ignore}}
  - {name: change, match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// of says that a span is of this kind and begins so.
func of(kind, name string) func(collector.Span) bool {
	return func(s collector.Span) bool { return s.Kind == kind && strings.HasPrefix(s.Name, name) }
}

func TestAMissIsASpanAndItsBackendRequestOneWithinIt(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	b := backendThat(t, api.answer)
	s := start(t, b, traced, traceTo(t, c, "parentbased_always_on"))
	s.get("/items/1?token=geheim", sampledFields, "Tracestate: a=1", "Tracestate: b=2",
		"Authorization: Bearer geheim", "Cookie: a=geheim")
	server := c.Await(t, "of the request", of("server", ""))
	out := c.Await(t, "of the backend's", of("client", "GET"))
	if server.Trace != clientTrace || server.Parent != clientSpan || !server.Remote ||
		server.State != "a=1,b=2" || server.Failed || server.Name != "GET /items/{id}" {
		t.Errorf("%+v", server)
	}
	for key, want := range map[string]any{
		"http.request.method": "GET", "http.route": "/items/{id}", "url.path": "/items/1",
		"url.scheme": "http", "http.response.status_code": 200, "client.address": "127.0.0.1",
		"network.protocol.version": "1.1", "server.address": "127.0.0.1",
		"server.port": portOf(t, s.url), "http.request.method_original": nil,
		"http.response.body.size": 4, "sidecar.route": "item", "sidecar.result": "miss",
		"sidecar.reason": "uri-miss", "sidecar.not_stored": "authorization",
	} {
		if server.Attrs[key] != want {
			t.Errorf("%s is %v", key, server.Attrs[key])
		}
	}
	if out.Trace != clientTrace || out.Parent != server.ID || out.Remote || out.Failed ||
		out.Start.Before(server.Start) || out.End.After(server.End) {
		t.Errorf("%+v", out)
	}
	for key, want := range map[string]any{
		"http.request.method": "GET", "http.response.status_code": 200,
		"url.full": b.URL + "/items/1", "server.address": "127.0.0.1",
		"network.protocol.version": "1.1",
	} {
		if out.Attrs[key] != want {
			t.Errorf("%s is %v", key, out.Attrs[key])
		}
	}
	if got := api.of("Traceparent"); got != "00-"+clientTrace+"-"+out.ID+"-01" ||
		api.of("Tracestate") != "a=1;b=2" {
		t.Errorf("the API gets %q, %q", got, api.of("Tracestate"))
	}
	if all := fmt.Sprintf("%+v", c.Spans()); strings.Contains(all, "geheim") {
		t.Errorf("a secret is in %s", all)
	}
}

func portOf(t *testing.T, address string) int {
	u, err := url.Parse(address)
	check(t, err)
	port, err := strconv.Atoi(u.Port())
	check(t, err)
	return port
}

// Host and scheme are those that the client asked: before an ingress that is believed, its own.
func TestASpanHasTheURLThatTheClientAsked(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	s := start(t, backendThat(t, api.answer), traced, traceTo(t, c, "always_on"), trusting)
	for i, of := range []struct {
		fields []string
		want   string // scheme, address and port
	}{
		{[]string{"Host: api.example"}, "http api.example <nil>"},
		{[]string{"Host: api.example:8080"}, "http api.example 8080"},
		{[]string{"Host: [::1]:8080"}, "http ::1 8080"},
		{[]string{"Host: [::1]"}, "http ::1 <nil>"},
		{[]string{"X-Forwarded-Host: api.example", "X-Forwarded-Proto: HTTPS"},
			"https api.example <nil>"},
	} {
		path := fmt.Sprint("/items/", i)
		s.get(path, of.fields...)
		got := c.Await(t, path, func(s collector.Span) bool {
			return s.Kind == "server" && s.Attrs["url.path"] == path
		}).Attrs
		if got := fmt.Sprint(got["url.scheme"], " ", got["server.address"], " ",
			got["server.port"]); got != of.want {
			t.Errorf("%v: %s", of.fields, got)
		}
	}
}

// An unknown method is in no name of a span.
func TestAnUnknownMethodIsAnAttribute(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	s := start(t, backendThat(t, api.answer), traced, traceTo(t, c, "always_on"))
	s.do(t.Context(), "FETCH", "/items/1", nil)
	for _, kind := range []string{"server", "client"} {
		got := c.Await(t, kind, of(kind, "HTTP"))
		if got.Name != "HTTP" || got.Attrs["http.request.method"] != "_OTHER" ||
			got.Attrs["http.request.method_original"] != "FETCH" {
			t.Errorf("%+v", got)
		}
	}
}

func TestAnErrorIsAFailedSpan(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	b := backendThat(t, api.answer)
	s := start(t, b, traced, traceTo(t, c, "always_on"))
	s.get("/other/broken")
	for _, kind := range []string{"server", "client"} {
		if got := c.Await(t, kind, of(kind, "GET")); !got.Failed ||
			got.Attrs["error.type"] != "503" || got.Attrs["http.route"] != nil {
			t.Errorf("%+v", got)
		}
	}
	b.Close()
	s.get("/other/away")
	got := c.Await(t, "not answered", func(s collector.Span) bool {
		return s.Attrs["error.type"] == "unsent"
	})
	if !got.Failed || got.Kind != "client" {
		t.Errorf("%+v", got)
	}
}

// Where nothing is recorded, the client's fields go on as they came, and where there is no tracer,
// those that nobody can read, too.
func TestAnUnsampledContextPassesUntouched(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	b := backendThat(t, api.answer)
	on := start(t, b, traced, traceTo(t, c, "parentbased_always_on"))
	off := start(t, b, traced)
	const garbage = "00-Garbage,  \tof a client"
	for _, r := range []struct {
		to          *sidecar
		traceparent string
		want        string
	}{
		{on, strings.TrimPrefix(otherFields, "Traceparent: "), ""},
		{off, strings.TrimPrefix(otherFields, "Traceparent: "), ""},
		{off, strings.TrimPrefix(sampledFields, "Traceparent: "), ""},
		{off, garbage, ""},
	} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			r.to.do(t.Context(), method, "/items/"+fmt.Sprint(prefixes.Add(1)), nil,
				"Traceparent: "+r.traceparent, "Tracestate: ,x", "Tracestate: y")
			if got := api.of("Traceparent"); got != r.traceparent ||
				api.of("Tracestate") != ",x;y" {
				t.Errorf("%s: the API gets %q, %q for %q", method, got, api.of("Tracestate"),
					r.traceparent)
			}
		}
	}
	off.get("/items/none")
	if got := api.of("Traceparent"); got != "" {
		t.Errorf("the API gets %q without a tracer", got)
	}
	// the order of spans is that of requests
	on.get("/items/last", sampledFields)
	c.Await(t, "of the last request", of("server", ""))
	for _, s := range c.Spans() {
		if s.Kind == "server" && s.Attrs["url.path"] != "/items/last" {
			t.Errorf("%+v", s)
		}
	}
}

// The context is in no key: requests of different traces share an entry.
func TestAHitIsASpanWhereItsContextIsSampled(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	b := backendThat(t, api.answer)
	s := start(t, b, traced, traceTo(t, c, "parentbased_always_off"))
	s.remember("GET /items/1\n" + otherFields)
	asked := b.requests.Load()
	r := requestOf(t, "GET /items/1\n"+sampledFields)
	taken, ok := s.proxy.Take(r, nil)
	if !ok {
		t.Fatal("it is not answered below net/http")
	}
	s.proxy.Answer(httptest.NewRecorder(), taken, t.Context)
	hit := c.Await(t, "of the hit", of("server", "GET /items/{id}"))
	if hit.Trace != clientTrace || hit.Parent != clientSpan ||
		hit.Attrs["sidecar.result"] != "hit" ||
		hit.Attrs["sidecar.detail"] != "memory" {
		t.Errorf("%+v", hit)
	}
	if taken, ok = s.proxy.Take(r, taken); !ok {
		t.Fatal("it is not answered the second time")
	}
	s.proxy.Answer(httptest.NewRecorder(), taken, t.Context)
	again := c.Await(t, "of the hit that is repeated", func(s collector.Span) bool {
		return s.Kind == "server" && s.ID != hit.ID
	})
	if again.Parent != clientSpan || again.Name != hit.Name {
		t.Errorf("%+v", again)
	}
	if b.requests.Load() != asked {
		t.Error("the API was asked for a request of another trace")
	}
}

// A miss is one span below net/http, too.
func TestAMissBelowNetHTTPIsASpan(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	s := start(t, backendThat(t, api.answer), traced, traceTo(t, c, "always_on"))
	for _, target := range []string{"/items/1", "/elsewhere"} {
		taken, ok := s.proxy.Take(requestOf(t, "GET "+target), nil)
		if !ok {
			t.Fatal("it is not answered below net/http")
		}
		s.proxy.Answer(httptest.NewRecorder(), taken, t.Context)
		server := c.Await(t, "of the request", func(s collector.Span) bool {
			return s.Kind == "server" && s.Attrs["url.path"] == target
		})
		out := c.Await(t, "of the backend's", func(s collector.Span) bool {
			return s.Name == "GET" && s.Parent == server.ID
		})
		if got := api.of("Traceparent"); got != "00-"+out.Trace+"-"+out.ID+"-01" {
			t.Errorf("the API gets %q, want %s", got, out.ID)
		}
	}
}

func TestWhatGoesOnBehindAnAnswerIsWithinItsTrace(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	s := start(t, backendThat(t, api.answer), traced, traceTo(t, c, "parentbased_always_off"))
	s.get("/soon/1")
	await(t, "it is served stale", func() bool {
		return strings.Contains(s.get("/soon/1", sampledFields).cache(), "ttl=-")
	})
	refresh := c.Await(t, "of the refresh", of("internal", "refresh"))
	out := c.Await(t, "of its request", func(s collector.Span) bool {
		return s.Name == "GET" && s.Parent == refresh.ID
	})
	server := c.Await(t, "of the request", func(s collector.Span) bool {
		return s.ID == refresh.Parent
	})
	if refresh.Trace != clientTrace || out.Kind != "client" || out.Trace != clientTrace ||
		server.Attrs["sidecar.result"] != "stale" || refresh.Attrs["sidecar.route"] != "soon" {
		t.Errorf("%+v\n%+v\n%+v", server, refresh, out)
	}
}

// A hit costs no allocation more for traces that are off, and one that is not sampled little.
func TestTracesThatAreOffCostAHitNothing(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	b := backendThat(t, api.answer)
	allocations := func(s *sidecar) (n float64) {
		await(t, "memory answers all the time", func() bool {
			s.remember("GET /items/1")
			r, w := requestOf(t, "GET /items/1"), nowhere{http.Header{}}
			kept, all := any(nil), true
			live := func() context.Context { all = false; return t.Context() }
			n = testing.AllocsPerRun(1000, func() {
				clear(w.header)
				kept, _ = s.proxy.Take(r, kept)
				s.proxy.Answer(w, kept, live)
			})
			return all
		})
		return n
	}
	off := allocations(start(t, b, traced))
	on := allocations(start(t, b, traced, traceTo(t, c, "always_off")))
	// of the budget and of the answer, as before there were traces
	if off > 8 || on <= off {
		t.Errorf("%v allocations without traces, %v with them", off, on)
	}
}

// remember sends a request until memory answers it.
func (s *sidecar) remember(request string) {
	s.t.Helper()
	await(s.t, "it is in memory", func() bool {
		w := httptest.NewRecorder()
		s.proxy.ServeHTTP(w, requestOf(s.t, request))
		return strings.HasSuffix(w.Header().Get("Cache-Status"), "detail=memory")
	})
}

// What Redis is asked for a request is within its span, named by command and operation, and has
// neither keys nor values.
func TestWhatRedisIsAskedIsWithinTheSpanOfTheRequest(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	s := start(t, backendThat(t, api.answer), traced, traceTo(t, c, "parentbased_always_off"))
	s.get("/items/geheim", sampledFields)
	await(t, "it is stored", func() bool { return s.operations("store") > 0 })
	s.do(t.Context(), "PUT", "/items/geheim", nil, sampledFields)
	for name, of := range map[string]string{
		"MGET lookup": "miss", "PIPELINE open": "miss", "PIPELINE store": "miss",
		"EVALSHA end": "write",
	} {
		got := c.Await(t, name, func(s collector.Span) bool { return s.Name == name })
		command, op, _ := strings.Cut(name, " ")
		for key, want := range map[string]any{
			"db.system.name": "redis", "db.operation.name": command, "sidecar.operation": op,
			"db.namespace": "0", "server.address": s.redis.Host(), "sidecar.redis": "cache",
		} {
			if got.Attrs[key] != want {
				t.Errorf("%s of %s is %v", key, name, got.Attrs[key])
			}
		}
		server := c.Await(t, "of the request", func(s collector.Span) bool {
			return s.ID == got.Parent
		})
		if server.Kind != "server" || server.Attrs["sidecar.result"] != of || got.Failed ||
			got.Kind != "client" || got.Trace != clientTrace {
			t.Errorf("%+v is within %+v", got, server)
		}
	}
	for _, span := range c.Spans() {
		if span.Attrs["db.system.name"] != nil && strings.Contains(fmt.Sprint(span), "geheim") {
			t.Errorf("a key is in %+v", span)
		}
	}
}

func TestARedisThatDoesNotAnswerIsAFailedSpan(t *testing.T) {
	c, api := collector.Start(t), &contexts{}
	redis := redisd.Start(t)
	s := start(t, backendThat(t, api.answer), traced, traceTo(t, c, "always_on"),
		func(o *setup) { o.redis, o.budget = redis, 100*time.Millisecond })
	redis.Freeze()
	t.Cleanup(redis.Thaw)
	s.get("/items/1")
	got := c.Await(t, "of Redis", func(s collector.Span) bool {
		return s.Attrs["db.system.name"] == "redis" && s.Failed
	})
	if got.Attrs["error.type"] != "redis-timeout" || got.Attrs["sidecar.operation"] != "lookup" {
		t.Errorf("%+v", got)
	}
}
