package backend_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/internal/backend"
)

// observed are the outcomes that a backend told.
type observed struct {
	mu   sync.Mutex
	told []string
}

func (o *observed) observe(outcome backend.Outcome, took time.Duration, _ string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, fmt.Sprint(outcome, " ", took > 0))
}

func TestTheReportCountsAnswersByClass(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.WriteHeader(status)
	}))
	defer api.Close()
	var seen observed
	b := newBackend(t, backend.Options{URL: api.URL, Observe: seen.observe})
	if r := b.Report(); r.Reachable != nil || len(r.Answers) != 0 || r.RecentMS != 0 ||
		r.LastAnswer != nil {
		t.Errorf("before anything was asked: %+v", r)
	}
	ask := func(ctx context.Context, path string) error {
		in := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		out, ok := b.Outgoing(in, "")
		if !ok {
			t.Fatal("it is not sent")
		}
		resp, err := b.RoundTrip(ctx, out, nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	for _, path := range []string{"/200", "/204", "/304", "/404", "/503", "/599"} {
		if err := ask(t.Context(), path); err != nil {
			t.Fatal(err)
		}
	}
	if r := b.Report(); r.ErrorsInARow != 2 || r.ErrorsSince == nil ||
		time.Since(*r.ErrorsSince) > time.Minute {
		t.Errorf("after two errors: %+v", r)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if ask(gone, "/200") == nil {
		t.Error("a request whose client had left was answered")
	}
	r := b.Report()
	if got, want := fmt.Sprint(r.Answers), "map[2xx:2 3xx:1 4xx:1 5xx:2 canceled:1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if r.Reachable == nil || !*r.Reachable || r.LastError != "" || r.RecentMS <= 0 ||
		time.Since(*r.LastAnswer) > time.Minute {
		t.Errorf("%+v", r)
	}
	if r.ErrorsInARow != 2 {
		t.Errorf("a client that leaves ends no series: %+v", r)
	}
	if err := ask(t.Context(), "/404"); err != nil {
		t.Fatal(err)
	}
	if r := b.Report(); r.ErrorsInARow != 0 || r.ErrorsSince != nil {
		t.Errorf("after another answer: %+v", r)
	}
	api.Close()
	if ask(t.Context(), "/200") == nil {
		t.Error("a closed server answered")
	}
	r = b.Report()
	if *r.Reachable || !strings.Contains(r.LastError, "refused") || r.LastErrorAt == nil ||
		r.Answers["failed"] != 1 {
		t.Errorf("%+v", r)
	}
	if got, want := strings.Join(seen.told, ", "),
		"2xx true, 2xx true, 3xx true, 4xx true, 5xx true, 5xx true, canceled true, 4xx true, "+
			"failed true"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

func TestAHealthCheckTellsWhetherTheBackendIsThere(t *testing.T) {
	var seen observed
	at := closedPort(t)
	b := newBackend(t, backend.Options{URL: "http://" + at, Observe: seen.observe})
	if b.Healthy(t.Context()) == nil {
		t.Fatal("nobody is healthy")
	}
	if r := b.Report(); r.Reachable == nil || *r.Reachable || r.LastError == "" {
		t.Errorf("%+v", r)
	}
	api := httptest.NewServer(http.NotFoundHandler())
	defer api.Close()
	b = newBackend(t, backend.Options{URL: api.URL, Observe: seen.observe})
	if err := b.Healthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := b.Report(); r.Reachable == nil || !*r.Reachable || len(r.Answers) != 0 ||
		len(seen.told) != 0 {
		t.Errorf("%+v, told %s", r, seen.told)
	}
}
