package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/proxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var errNoLine = errors.New("there is no line")

// backendStatus is the backend's part of /status.
type backendStatus struct {
	Status  string
	Reasons []string
	Breaker map[string]string
	Backend struct {
		Reachable *bool
		LastError string `json:"last_error"`
		Answers   map[string]int
		RecentMS  float64 `json:"recent_ms"`
		InARow    int     `json:"errors_in_a_row"`
		Since     string  `json:"errors_since"`
	}
}

func (e *embedded) status() (s backendStatus) {
	e.t.Helper()
	_, _, body := e.ask("GET", e.ops+"/status", "")
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		e.t.Fatalf("%v: %s", err, body)
	}
	return s
}

func TestStatusMetricsAndLogKnowTheBackend(t *testing.T) {
	t.Parallel()
	e := embed(t)
	if s := e.status(); s.Backend.Reachable != nil {
		t.Errorf("before anything was asked: %+v", s)
	}
	for _, path := range []string{"/items/1", "/items/2", "/elsewhere"} {
		e.ask("GET", e.data+path, "")
	}
	s := e.status()
	if b := s.Backend; b.Reachable == nil || !*b.Reachable || b.Answers["2xx"] < 3 ||
		b.RecentMS <= 0 || s.Breaker["cache"] != "closed" {
		t.Errorf("%+v", s)
	}
	_, _, metrics := e.ask("GET", e.ops+"/metrics", "")
	for _, want := range []string{
		`sidecar_backend_up 1`, `sidecar_backend_request_duration_seconds_count{status="2xx"} `,
		`sidecar_bypasses_total{reason="no-route",route="none"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(e.log.String(), "msg=request") {
		t.Errorf("a good request has a line: %s", e.log)
	}
}

// An API that answers errors alone is named; one good answer ends that.
func TestABackendThatAnswersErrorsAloneIsNamed(t *testing.T) {
	t.Parallel()
	var isWell atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !isWell.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(api.Close)
	e := embed(t, "BACKEND_URL="+api.URL)
	for n := 1; n <= manyErrors; n++ {
		if status, _, _ := e.ask("GET", e.data+"/elsewhere", ""); status != 503 {
			t.Fatalf("answered %d", status)
		}
		s, many := e.status(), n == manyErrors
		if b := s.Backend; b.InARow != n || b.Since == "" || b.Answers["5xx"] != n ||
			(s.Status == "degraded") != many {
			t.Errorf("after %d errors: %+v", n, s)
		}
		if want := "the last 10 answers were 5xx, since "; many &&
			!strings.Contains(strings.Join(s.Reasons, "\n"), want) {
			t.Errorf("the reasons lack %q: %v", want, s.Reasons)
		}
	}
	isWell.Store(true)
	e.ask("GET", e.data+"/elsewhere", "")
	if s := e.status(); s.Status != "healthy" || s.Backend.InARow != 0 || s.Backend.Since != "" {
		t.Errorf("after a good answer: %+v", s)
	}
}

func TestABackendThatIsAwayIsNamed(t *testing.T) {
	t.Parallel()
	e := embed(t, "BACKEND_URL=http://127.0.0.1:1")
	if status, _, _ := e.ask("GET", e.data+"/items/1?token=tiger", "",
		"X-Request-Id: r-17"); status != 502 {
		t.Errorf("answered %d", status)
	}
	s := e.status()
	if b := s.Backend; s.Status != "degraded" || b.Reachable == nil || *b.Reachable ||
		!strings.Contains(b.LastError, "refused") ||
		b.Answers["failed"] == 0 ||
		!strings.Contains(strings.Join(s.Reasons, "; "), "the API does not answer") {
		t.Errorf("%+v", s)
	}
	proc.Await(t, 20*time.Second, func() error { // the line comes after the answer
		if !strings.Contains(e.log.String(), "msg=request") {
			return errNoLine
		}
		return nil
	})
	log := e.log.String()
	for _, want := range []string{
		"level=WARN", "path=/items/1", "status=502", "client=127.0.0.1",
		"request_id=r-17", "refused",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, "tiger") {
		t.Errorf("the query is in the log: %s", log)
	}
}

// The API of these tests never answers the same twice.
func TestAHitThatDiffersIsInStatusMetricsAndLog(t *testing.T) {
	t.Parallel()
	e := embed(t, "POLICIES_FILE="+written(t, "verified.yaml", `version: 1
routes:
  - {name: it, match: "GET /it", cache: {scope: shared, ttl: 1h, verify: {share: 100%}}}
`))
	proc.Await(t, 20*time.Second, func() error {
		e.ask("GET", e.data+"/it", "")
		if !strings.Contains(e.log.String(), "a hit differs from the API's answer") {
			return errNoLine
		}
		return nil
	})
	_, _, body := e.ask("GET", e.ops+"/status", "")
	var s struct{ Verified proxy.Verified }
	if err := json.Unmarshal([]byte(body), &s); err != nil || len(s.Verified.Routes) != 1 ||
		s.Verified.Since.IsZero() {
		t.Fatalf("%v %s", err, body)
	}
	if r := s.Verified.Routes[0]; r.Route != "it" || r.Share != "100%" || r.Differed == 0 ||
		!strings.Contains(r.Proves, "differed from the API's answer") {
		t.Errorf("%+v", r)
	}
	if _, _, metrics := e.ask("GET", e.ops+"/metrics",
		""); !strings.Contains(metrics,
		`sidecar_verified_hits_total{result="mismatch",route="it"}`) {
		t.Error("no metric counts it")
	}
}

func TestAJobStoreThatMayLoseJobsIsNamedInStatusAndLog(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t, redisd.Config("maxmemory 100mb", "maxmemory-policy allkeys-lru"))
	e := embed(t, "JOBS_REDIS_HOST="+redis.Host(), "JOBS_REDIS_PORT="+redis.Port())
	for _, want := range []string{
		"job store: maxmemory-policy is allkeys-lru: Redis may throw accepted jobs away",
		"job store: appendonly is no: accepted jobs are lost when Redis ends",
	} {
		proc.Await(t, 20*time.Second, func() error {
			var s struct{ Advice []string }
			_, _, body := e.ask("GET", e.ops+"/status", "")
			if err := json.Unmarshal([]byte(body), &s); err != nil {
				return err
			}
			inStatus := slices.ContainsFunc(s.Advice,
				func(a string) bool { return strings.HasPrefix(a, want) })
			if !inStatus || !strings.Contains(e.log.String(), `level=WARN msg="`+want) {
				return fmt.Errorf("%q is not in %q and\n%s", want, s.Advice, e.log.String())
			}
			return nil
		})
	}
}

func TestThePageIsLeftAtTheEnd(t *testing.T) {
	t.Parallel()
	var e *embedded
	var stream io.ReadCloser
	t.Cleanup(func() { // after the end of e
		if stream == nil {
			return
		}
		defer stream.Close()
		if _, err := io.Copy(io.Discard, stream); err != nil {
			t.Errorf("the stream broke off: %v", err)
		}
		if strings.Contains(e.log.String(), "before everything was done") {
			t.Errorf("it waited for who watches: %s", e.log)
		}
	})
	e = embed(t)
	if status, _, body := e.ask("GET", e.ops+"/", ""); status != http.StatusOK ||
		!strings.Contains(body, "<title>sidecar") {
		t.Errorf("%d %s", status, body)
	}
	e.ask("GET", e.data+"/items/1", "")
	resp, err := http.Get(e.ops + "/ui/events")
	if err != nil {
		t.Fatal(err)
	}
	stream = resp.Body
	first := make([]byte, len("event: snapshot"))
	if _, err := io.ReadFull(stream, first); err != nil || string(first) != "event: snapshot" {
		t.Errorf("%q, %v", first, err)
	}
}
