package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/test/collector"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "traceparent: 00-" + traceID + "-b7ad6b7169203331-01"
)

const tracedPolicies = `version: 1
routes:
  - {name: item, match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}
  - {name: change, match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// echo answers with the traceparent that it gets.
func echo(t *testing.T) string {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("traceparent"))
	}))
	t.Cleanup(api.Close)
	return api.URL
}

// A trace goes through the sidecar by OpenTelemetry's own variables, and its end is in what the
// sidecar sends last.
func TestATraceGoesThroughTheSidecar(t *testing.T) {
	t.Parallel()
	c := collector.Start(t)
	s := startBefore(t, echo(t), policiesFile(t, tracedPolicies),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_SERVICE_NAME=game",
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test,service.name=other",
		"OTEL_TRACES_SAMPLER=parentbased_always_off", "OTEL_BSP_SCHEDULE_DELAY=600000",
		"OTEL_EXPORTER_OTLP_HEADERS=x-key=a%20b", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip")
	got := do(t, "GET", s.url+"/items/1", nil, traceparent)
	hit := do(t, "GET", s.url+"/items/1", nil, traceparent)
	other := string(do(t, "GET", s.url+"/items/2", nil).body)
	write := do(t, "PUT", s.url+"/items/1", "{}", traceparent)
	if !hit.hit() || !strings.HasSuffix(other, "-00") {
		t.Errorf("%q, and the API gets %q where nothing is sampled", hit.cache(), other)
	}
	if len(c.Posts()) > 0 {
		t.Error("something was posted before its time")
	}
	// the trace is an exemplar of the durations, for who asks for OpenMetrics
	open := string(do(t, "GET", s.ops+"/metrics", nil,
		"Accept: application/openmetrics-text; version=1.0.0").body)
	for _, series := range []string{
		`sidecar_request_duration_seconds_bucket{result="miss",route="item"`,
		`sidecar_request_duration_seconds_bucket{result="write",route="change"`,
		`sidecar_backend_request_duration_seconds_bucket{status="2xx"`,
	} {
		if !regexp.MustCompile(regexp.QuoteMeta(series) + `,le="[^"]*"} \d+ # {trace_id="` +
			traceID + `"} `).MatchString(open) {
			t.Errorf("%s has no exemplar in\n%s", series, open)
		}
	}
	if plain := string(do(t, "GET", s.ops+"/metrics", nil).body); !strings.HasSuffix(open,
		"# EOF\n") || strings.Contains(plain, "trace_id") {
		t.Error("OpenMetrics is for nobody, or for all")
	}
	s.sidecar.Signal(syscall.SIGTERM)
	if status := s.sidecar.Wait(60 * time.Second); status != 0 {
		t.Errorf("it ends with %d", status)
	}
	byID := map[string]collector.Span{}
	var servers []string
	for _, span := range c.Spans() {
		byID[span.ID] = span
		if span.Kind == "server" {
			servers = append(servers, fmt.Sprint(span.Name, " ", span.Attrs["sidecar.result"]))
		}
		if span.Trace != traceID || span.Resource["service.name"] != "game" ||
			span.Resource["deployment.environment.name"] != "test" ||
			span.Resource["service.version"] == nil {
			t.Errorf("%+v", span)
		}
	}
	if got := strings.Join(servers, ", "); got != "GET /items/{id} miss, GET /items/{id} hit, "+
		"PUT /items/{id} write" {
		t.Errorf("the requests are %s", got)
	}
	for _, a := range []answer{got, write} {
		parts := strings.Split(string(a.body), "-")
		out := byID[parts[2]]
		if parts[1] != traceID || out.Kind != "client" || byID[out.Parent].Kind != "server" ||
			byID[out.Parent].Parent != "b7ad6b7169203331" {
			t.Errorf("the API gets %s, which is %+v", a.body, out)
		}
	}
	if post := c.Posts()[0]; post.Get("X-Key") != "a b" || post.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", post)
	}
}

// A collector that takes connections and is silent, or refuses them, slows no request down, and
// the process ends in its time.
func TestACollectorThatIsAwayHoldsUpNothing(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := startBefore(t, echo(t), policiesFile(t, tracedPolicies),
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:geheim@"+silent.Addr().String(),
		"OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=10", "SHUTDOWN_TIMEOUT=5s",
		"OTEL_EXPORTER_OTLP_TIMEOUT=100", "OTEL_BSP_EXPORT_TIMEOUT=200")
	for i := range 300 {
		if a := do(t, "GET", s.url+fmt.Sprint("/items/", i), nil); a.status != 200 {
			t.Fatalf("%d, %s", a.status, a.body)
		}
	}
	proc.Await(t, 60*time.Second, func() error {
		metrics := string(do(t, "GET", s.ops+"/metrics", nil).body)
		for _, result := range []string{"failed", "dropped"} {
			if strings.Contains(metrics, `sidecar_trace_spans_total{result="`+result+`"} 0`) ||
				!strings.Contains(metrics, `sidecar_trace_spans_total{result="`+result+`"}`) {
				return fmt.Errorf("no spans have %s", result)
			}
		}
		return nil
	})
	asked, late := time.Now(), proc.Late(t)
	s.sidecar.Signal(syscall.SIGTERM)
	if status := s.sidecar.Wait(60 * time.Second); status != 0 {
		t.Errorf("it ends with %d", status)
	}
	if took := time.Since(asked) - late(); took > 5*time.Second {
		t.Errorf("it ends after %v", took)
	}
	log := strings.Join(s.sidecar.Lines(), "\n")
	if n := strings.Count(log, `"level":"WARN","msg":"traces cannot be sent`); n != 1 ||
		strings.Contains(log, "geheim") {
		t.Errorf("%d warnings in\n%s", n, log)
	}
}

const tracedJobs = `version: 1
routes:
  - {name: work, match: "POST /work", job: {mode: always}, invalidate: ["work"]}
  - {name: soon, match: "POST /soon", job: {mode: after, after: 30s}}
  - {match: "GET /work", cache: {scope: shared, ttl: 1h, tags: ["work"]}}
`

// A trace goes across the queue: a sidecar takes the job, another one runs it. Whether it is
// sampled was decided when it was taken. A job from before there were traces begins one.
func TestATraceGoesAcrossTheQueue(t *testing.T) {
	t.Parallel()
	c, redis := collector.Start(t), redisd.Start(t)
	came := make(chan http.Header, 10)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- r.Header.Clone()
	}))
	t.Cleanup(api.Close)
	policies := policiesFile(t, tracedJobs)
	begin := func(service string, env ...string) string {
		_, url, ops := startSidecar(t, api.URL, redis.Addr(), policies, append(env,
			"OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_SERVICE_NAME="+service,
			"OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_TRACES_SAMPLER=parentbased_traceidratio")...)
		(&stack{t: t, ops: ops}).awaitCaching()
		return url
	}
	submit := func(url, path string, fields ...string) {
		t.Helper()
		if a := do(t, "POST", url+path, "{}", append(fields, "Authorization: Bearer a")...); path ==
			"/work" && a.status != http.StatusAccepted {
			t.Fatalf("%d: %s", a.status, a.body)
		}
	}
	untraced := begin("untraced", "JOBS_CONCURRENCY=0", "OTEL_SDK_DISABLED=true")
	submit(untraced, "/work", "X-Job: before")
	submit(untraced, "/work", traceparent, "X-Job: carried")
	taker := begin("taker", "JOBS_CONCURRENCY=0", "OTEL_TRACES_SAMPLER_ARG=0")
	submit(taker, "/work", traceparent, "tracestate: a=1", "X-Job: traced")
	submit(taker, "/work", "X-Job: unsampled")
	begin("worker", "OTEL_TRACES_SAMPLER_ARG=1")
	submit(taker, "/soon", traceparent, "X-Job: direct")

	got := map[string]http.Header{}
	for range 5 {
		select {
		case fields := <-came:
			got[fields.Get("X-Job")] = fields
		case <-time.After(60 * time.Second):
			t.Fatalf("%d jobs ran", len(got))
		}
	}
	if u := got["unsampled"].Get("Traceparent"); !strings.HasSuffix(u, "-00") {
		t.Errorf("the API gets %q for a job that is not sampled", u)
	}
	for job, want := range map[string]string{
		"before": "client < consumer", "carried": "client < consumer < the client",
		"traced": "client < consumer < producer < server < the client",
		"direct": "client < consumer < producer < server < the client",
	} {
		parts := strings.Split(got[job].Get("Traceparent"), "-")
		if len(parts) != 4 || (parts[1] == traceID) != (job != "before") || parts[3] != "01" {
			t.Errorf("%s: the API gets %q", job, got[job].Get("Traceparent"))
			continue
		}
		var line []string
		for id := parts[2]; id != ""; {
			if id == "b7ad6b7169203331" {
				line = append(line, "the client")
				break
			}
			span := c.Await(t, job+", "+id, func(s collector.Span) bool { return s.ID == id })
			line, id = append(line, span.Kind), span.Parent
			switch service := span.Resource["service.name"]; {
			case span.Kind == "consumer" && (span.Name != "process default" ||
				span.Attrs["messaging.message.id"] == nil || span.Attrs["sidecar.result"] != "2xx"),
				span.Kind == "producer" && (span.Name != "send default" || service != "taker"),
				job != "direct" && span.Kind == "consumer" && service != "worker", span.Failed:
				t.Errorf("%s: %+v", job, span)
			}
		}
		if chain := strings.Join(line, " < "); chain != want {
			t.Errorf("%s: %s, want %s", job, chain, want)
		}
	}
	if got["traced"].Get("Tracestate") != "a=1" {
		t.Errorf("the state is lost: %v", got["traced"])
	}
	// what Redis does at the submission, and at the end of the attempt
	c.Await(t, "the enqueue", func(s collector.Span) bool {
		return s.Attrs["sidecar.operation"] == "enqueue" && s.Trace == traceID
	})
	c.Await(t, "the invalidation", func(s collector.Span) bool {
		return s.Attrs["sidecar.operation"] == "end" && s.Trace == traceID
	})
}
