package telemetry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"sidecar/internal/reason"
)

// recorder notes the names that are registered.
type recorder struct {
	*prometheus.Registry
	names map[string]bool
}

// MustRegister implements prometheus.Registerer.
func (r recorder) MustRegister(collectors ...prometheus.Collector) {
	for _, c := range collectors {
		descs := make(chan *prometheus.Desc, 100)
		c.Describe(descs)
		close(descs)
		for d := range descs {
			r.names[strings.Split(d.String(), `"`)[1]] = true
		}
	}
	r.Registry.MustRegister(collectors...)
}

// exercised has at least one series of every metric.
func exercised(t *testing.T) recorder {
	t.Helper()
	registry := recorder{prometheus.NewRegistry(), map[string]bool{}}
	m := New(registry)
	start := time.Unix(1000, 0)
	m.Finished(&Outcome{
		Start: start, Method: "GET", Route: "character", Result: ResultHit,
		Status: 200, BytesOut: 5,
	}, start.Add(time.Millisecond))
	m.Finished(&Outcome{
		Start: start, Method: "GET", Route: "character", Result: ResultMiss, Status: 200,
	}, start.Add(time.Second))
	m.Stored("character")
	m.NotStored("character", reason.SetCookie)
	m.Finished(&Outcome{Start: start, Method: "GET", Result: ResultBypass, Reason: reason.NoRoute},
		start)
	m.Verified("character", VerifiedMatch)
	m.Inconclusive("character", InconclusiveWritten)
	m.Invalidated("character", 3, nil)
	m.JobQueued("npc_generation", "default")
	m.JobProcessed("npc_generation", "succeeded")
	m.JobBegun("npc_generation", time.Second)
	m.JobAttempted("npc_generation", "2xx", time.Second)
	m.Slots(func() map[string]int { return map[string]int{"npc_generation": 2} })
	m.AuthFailed(AuthFailureJob)
	m.PolicyReload(nil)
	m.BackendAsked("2xx", time.Millisecond, "")
	m.Backend(func() (up, known bool) { return true, true })
	m.Build("1.0", "abc", "go1.26")
	r := m.Redis("cache")
	r.Breaker(BreakerClosed)
	r.Operation("lookup", time.Millisecond, false)
	r.Pool(func() PoolStats {
		return PoolStats{
			Hits: 1, Misses: 2, Timeouts: 3, Stale: 4, Connections: 5, Idle: 6, Limit: 7, Open: 8,
		}
	})
	m.Queues(func() []QueueStats {
		return []QueueStats{{Queue: "default", Pending: 2, Oldest: time.Minute}}
	})
	return registry
}

// TestMetricNames pins the names that dashboards and alerts use.
func TestMetricNames(t *testing.T) {
	registry := exercised(t)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		fmt.Fprintf(&got, "%s %s{%s}\n",
			strings.ToLower(f.GetType().String()), f.GetName(), strings.Join(labels, ","))
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", f.GetName())
		}
		delete(registry.names, f.GetName())
	}
	if len(registry.names) > 0 {
		t.Errorf("this test makes no series of %v", registry.names)
	}
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the metrics are\n%s\nand testdata/metrics.txt has\n%s", got.String(), want)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	registry := exercised(t)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// value is the sum of the series of a metric that have these labels, "route=character,result=hit";
// of a histogram the number of observations.
func value(t *testing.T, registry prometheus.Gatherer, name, labels string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, series := range f.GetMetric() {
			has := map[string]bool{"": true}
			for _, l := range series.GetLabel() {
				has[l.GetName()+"="+l.GetValue()] = true
			}
			if slices.ContainsFunc(strings.Split(labels, ","),
				func(l string) bool { return !has[l] }) {
				continue
			}
			sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() +
				float64(series.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func TestBypassesAreCountedByRouteAndReason(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		out    Outcome
		labels string // "" if it is not counted
	}{
		{"no route", Outcome{Result: ResultBypass, Reason: reason.NoRoute},
			"route=none,reason=no-route"},
		{"a cached route",
			Outcome{Route: "character", Result: ResultBypass, Reason: reason.TokenInvalid},
			"route=character,reason=token-invalid"},
		{"a GET that counts as a write", Outcome{Route: "character", Result: ResultWrite,
			Reason: reason.RequestBody}, "route=character,reason=request-body"},
		{"a write", Outcome{Route: "character", Result: ResultWrite}, ""},
		{"a write that is no job", Outcome{Route: "npc", Result: ResultWrite,
			Reason: reason.JobStoreAway}, ""},
		{"a miss", Outcome{Route: "character", Result: ResultMiss, Reason: reason.Stale}, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			New(registry).Finished(&tt.out, time.Now())
			want := 0.0
			if tt.labels != "" {
				want = 1
			}
			if got := value(t, registry, "sidecar_bypasses_total", tt.labels); got != want {
				t.Errorf("%v with %q, want %v", got, tt.labels, want)
			}
			if got := value(t, registry, "sidecar_bypasses_total", ""); got != want {
				t.Errorf("%v in all, want %v", got, want)
			}
		})
	}
}

func TestResultsCountAsHitsOrMisses(t *testing.T) {
	for _, tt := range []struct {
		result       Result
		hits, misses float64
	}{
		{ResultHit, 1, 0}, {ResultStale, 1, 0}, {ResultMiss, 0, 1},
		{ResultBypass, 0, 0}, {ResultWrite, 0, 0}, {ResultJob, 0, 0}, {ResultDeny, 0, 0},
		{ResultRefused, 0, 0},
	} {
		t.Run(string(tt.result), func(t *testing.T) {
			registry := prometheus.NewRegistry()
			m := New(registry)
			for range 2 { // the second finds its series made
				m.Finished(&Outcome{Route: "character", Result: tt.result}, time.Time{})
			}
			if got := value(t, registry, "cache_hits_total",
				"cache_name=character"); got != 2*tt.hits {
				t.Errorf("%v hits", got)
			}
			if got := value(t, registry, "cache_misses_total",
				"cache_name=character"); got != 2*tt.misses {
				t.Errorf("%v misses", got)
			}
			if got := value(t, registry, "sidecar_request_duration_seconds",
				"route=character,result="+string(tt.result)); got != 2 {
				t.Errorf("%v durations", got)
			}
		})
	}
}

func TestARouteThatIsNeverHitHasItsHitsAndOneAlwaysHitItsMisses(t *testing.T) {
	for result, other := range map[Result]string{
		ResultMiss: "cache_hits_total", ResultHit: "cache_misses_total",
		ResultStale: "cache_misses_total",
	} {
		registry := prometheus.NewRegistry()
		New(registry).Finished(&Outcome{Route: "character", Result: result}, time.Time{})
		var text strings.Builder
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			fmt.Fprintln(&text, f)
		}
		if !strings.Contains(text.String(), `"`+other+`"`) || value(t, registry, other, "") != 0 {
			t.Errorf("after a %s there is no %s of 0", result, other)
		}
	}
}

func TestEveryResultHasASlotOfItsOwn(t *testing.T) {
	all := []Result{
		ResultHit, ResultMiss, ResultStale, ResultBypass, ResultWrite, ResultJob,
		ResultDeny, ResultRefused,
	}
	seen := map[int]bool{}
	for _, r := range all {
		i, text := resultLabel(r)
		if seen[i] || i >= results || text != string(r) {
			t.Errorf("%s: slot %d, label %q", r, i, text)
		}
		seen[i] = true
	}
	if len(seen) != results {
		t.Errorf("%d slots for %d results", results, len(seen))
	}
}

func TestLabelsTakeNoValueThatAClientChooses(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	for i := range 1000 {
		m.Finished(&Outcome{
			Method: fmt.Sprintf("HOSTILE-%d", i), Result: Result(fmt.Sprint(i)), Status: i,
		}, time.Time{})
	}
	n, err := testutil.GatherAndCount(registry, "sidecar_requests_total",
		"sidecar_request_duration_seconds", "sidecar_request_bytes_total")
	if err != nil {
		t.Fatal(err)
	}
	if n > statuses+1+1 {
		t.Errorf("%d series", n)
	}
	for labels, want := range map[string]float64{
		"method=other": 1000, "route=none": 1000, "status=none": 100, "status=2xx": 100,
		"status=5xx": 500,
	} {
		if got := value(t, registry, "sidecar_requests_total", labels); got != want {
			t.Errorf("%s: %v; want %v", labels, got, want)
		}
	}
}

func TestMethodsAreKnownByTheirExactName(t *testing.T) { // RFC 9110 §9.1: case-sensitive
	seen := map[int]bool{}
	for _, method := range []string{
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
	} {
		i, text := methodLabel(method)
		if seen[i] || i == 0 || i >= methods || text != method {
			t.Errorf("%s: slot %d, label %q", method, i, text)
		}
		seen[i] = true
	}
	if i, text := methodLabel("get"); i != 0 || text != "other" {
		t.Errorf("get: slot %d, label %q", i, text)
	}
}

func TestNumbersOfARequest(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	start := time.Unix(1000, 0)
	m.Finished(&Outcome{
		Start: start, Method: "PUT", Route: "r", Result: ResultWrite, Status: 201,
		BytesIn: 7, BytesOut: 11,
	}, start.Add(-time.Hour))
	m.Invalidated("r", 3, nil)
	m.Invalidated("r", 2, errors.New("away"))
	m.Invalidated("", 1, nil)
	m.Stored("")
	for _, tt := range []struct {
		name, labels string
		want         float64
	}{
		{"sidecar_requests_total", "route=r,method=PUT,status=2xx", 1},
		{"sidecar_request_bytes_total", "route=r", 7},
		{"sidecar_response_bytes_total", "route=r", 11},
		{"sidecar_invalidations_total", "route=r,result=done", 1},
		{"sidecar_invalidations_total", "route=r,result=deferred", 1},
		{"sidecar_invalidated_tags_total", "route=r", 5},
		{"sidecar_invalidated_tags_total", "route=none", 1},
		{"sidecar_stored_responses_total", "route=none", 1},
	} {
		if got := value(t, registry, tt.name, tt.labels); got != tt.want {
			t.Errorf("%s{%s} is %v; want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	if got := (&Outcome{Start: start}).Duration(start.Add(-time.Hour)); got != 0 {
		t.Errorf("a clock that went back gave %v", got)
	}
}

func TestAlarmsStartAtZero(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	m.Redis("cache")
	for name, want := range map[string]int{
		"sidecar_auth_failures_total": 3, "sidecar_policy_reloads_total": 2,
		"sidecar_breaker_trips_total": 1,
	} {
		if n, err := testutil.GatherAndCount(registry, name); err != nil || n != want {
			t.Errorf("%s has %d series, %v; want %d", name, n, err, want)
		}
	}
	m.PolicyReload(errors.New("bad"))
	m.AuthFailed(AuthFailureAdmin)
	if got := value(t, registry, "sidecar_policy_reloads_total", "result=refused"); got != 1 {
		t.Errorf("%v reloads refused", got)
	}
	if got := value(t, registry, "sidecar_auth_failures_total", "kind=admin_401"); got != 1 {
		t.Errorf("%v failures", got)
	}
}

func TestBreakerTripsOnceInAnOutage(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	r := m.Redis("cache")
	m.Redis("jobs")
	for _, s := range []BreakerState{BreakerOpen, BreakerHalfOpen, BreakerOpen, BreakerHalfOpen} {
		r.Breaker(s)
	}
	if got := value(t, registry, "sidecar_breaker_trips_total", "redis=cache"); got != 1 {
		t.Errorf("%v trips", got)
	}
	if got := value(t, registry, "sidecar_breaker_state", "redis=cache"); got != 1 {
		t.Errorf("state %v; want half-open, 1", got)
	}
	r.Breaker(BreakerClosed)
	r.Breaker(BreakerOpen)
	if got := value(t, registry, "sidecar_breaker_trips_total", "redis=cache"); got != 2 {
		t.Errorf("%v trips after another outage", got)
	}
	if got := value(t, registry, "sidecar_breaker_state", "redis=jobs"); got != 0 {
		t.Errorf("the other connection's breaker is %v", got)
	}
}

func TestRedisOperations(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := New(registry).Redis("cache")
	r.Operation("lookup", time.Millisecond, false)
	r.Operation("lookup", time.Millisecond, true)
	r.Operation("store", time.Millisecond, false)
	for _, tt := range []struct {
		name, op string
		want     float64
	}{
		{"sidecar_redis_operation_duration_seconds", "lookup", 2},
		{"sidecar_redis_operation_errors_total", "lookup", 1},
		{"sidecar_redis_operation_duration_seconds", "store", 1},
		{"sidecar_redis_operation_errors_total", "store", 0},
	} {
		if got := value(t, registry, tt.name, "redis=cache,op="+tt.op); got != tt.want {
			t.Errorf("%s of %s: %v; want %v", tt.name, tt.op, got, tt.want)
		}
	}
}

func TestPoolsAndQueuesAreReadWhenAsked(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	var pool PoolStats
	var queues []QueueStats
	m.Redis("cache").Pool(func() PoolStats { return pool })
	m.Redis("jobs").Pool(func() PoolStats { return PoolStats{Idle: 100} })
	m.Queues(func() []QueueStats { return queues })
	if n, err := testutil.GatherAndCount(registry, "sidecar_queue_depth"); err != nil || n != 0 {
		t.Errorf("%d series of unknown queues, %v", n, err)
	}
	pool = PoolStats{
		Hits: 1, Misses: 2, Timeouts: 3, Stale: 4, Connections: 5, Idle: 6, Limit: 7, Open: 8,
	}
	queues = []QueueStats{
		{Queue: "critical", Pending: 1, Active: 2, Scheduled: 3, Retry: 4, Archived: 5,
			Oldest: time.Minute}, {Queue: "low"},
	}
	for _, tt := range []struct {
		name, labels string
		want         float64
	}{
		{poolHits, "redis=cache", 1}, {poolMisses, "redis=cache", 2},
		{poolTimeouts, "redis=cache", 3},
		{poolStale, "redis=cache", 4}, {poolConnections, "redis=cache", 5},
		{poolIdle, "redis=cache", 6}, {poolIdle, "redis=jobs", 100},
		{poolLimit, "redis=cache", 7}, {openSockets, "redis=cache", 8},
		{queueDepth, "queue=critical,state=pending", 1},
		{queueDepth, "queue=critical,state=active", 2},
		{queueDepth, "queue=critical,state=scheduled", 3},
		{queueDepth, "queue=critical,state=retry", 4},
		{queueDepth, "queue=critical,state=archived", 5}, {queueOldest, "queue=critical", 60},
		{queueOldest, "queue=low", 0},
	} {
		if got := value(t, registry, tt.name, tt.labels); got != tt.want {
			t.Errorf("%s{%s} is %v; want %v", tt.name, tt.labels, got, tt.want)
		}
	}
}

func TestManyRequestsAtOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	r := m.Redis("cache")
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			for i := range 100 {
				m.Finished(&Outcome{
					Method: "GET", Route: fmt.Sprint(i % 5), Result: ResultHit, Status: 200,
				}, time.Time{})
				r.Operation("lookup", time.Millisecond, false)
			}
		})
	}
	requests.Wait()
	for _, name := range []string{
		"cache_hits_total", "sidecar_requests_total", "sidecar_request_duration_seconds",
		"sidecar_redis_operation_duration_seconds",
	} {
		if got := value(t, registry, name, ""); got != 800 {
			t.Errorf("%s is %v; want 800", name, got)
		}
	}
	if first := m.Route("1"); m.Route("1") != first || m.Route("2") == first {
		t.Error("a route has not one set of metrics")
	}
}

func TestMetricsOverHTTP(t *testing.T) {
	registry := NewRegistry()
	New(registry).Finished(&Outcome{Route: "character", Result: ResultHit}, time.Time{})
	server := httptest.NewServer(Handler(registry))
	defer server.Close()
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`cache_hits_total{cache_name="character"} 1`, "go_goroutines ",
		"process_resident_memory_bytes ",
		`sidecar_request_duration_seconds_bucket{result="hit",route="character",le="0.0005"} `,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func BenchmarkFinished(b *testing.B) {
	m := New(prometheus.NewRegistry())
	start := time.Now()
	o := &Outcome{
		Start: start, Method: "GET", Route: "character", Result: ResultHit,
		Status: 200, BytesOut: 2000,
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Finished(o, start.Add(time.Millisecond))
	}
}

func TestJobsAreMeasuredByRouteAndResult(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := New(registry)
	waiting := map[string]int{}
	m.Slots(func() map[string]int { return waiting })
	m.JobBegun("npc", time.Second)
	m.JobAttempted("npc", "5xx", time.Second)
	m.JobAttempted("npc", "2xx", time.Second)
	m.JobAttempted("npc", "2xx", time.Second)
	waiting["npc"] = 3
	for _, tt := range []struct {
		name, labels string
		want         float64
	}{
		{"sidecar_job_wait_seconds", "job_type=npc", 1},
		{"sidecar_job_attempt_duration_seconds", "job_type=npc,result=2xx", 2},
		{"sidecar_job_attempt_duration_seconds", "job_type=npc,result=5xx", 1},
		{"sidecar_jobs_waiting_for_slot", "job_type=npc", 3},
	} {
		if got := value(t, registry, tt.name, tt.labels); got != tt.want {
			t.Errorf("%s{%s} is %v; want %v", tt.name, tt.labels, got, tt.want)
		}
	}
}
