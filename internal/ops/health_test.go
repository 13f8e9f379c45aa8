package ops

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestHealthIsAskedWithoutAToken(t *testing.T) {
	away := errors.New("connection refused")
	for _, c := range []struct {
		name, path   string
		ready, redis error
		status       int
		says         string
	}{
		{"alive", "/healthz", away, away, http.StatusOK, `"ok"`},
		{"ready", "/readyz", nil, nil, http.StatusOK, `"ready"`},
		{"ready without Redis", "/readyz", nil, away, http.StatusOK, `"ready"`},
		{"not ready", "/readyz", away, nil, http.StatusServiceUnavailable,
			"Not ready: connection refused."},
		{"Redis answers", "/healthz/redis", away, nil, http.StatusOK, `"healthy"`},
		{"Redis is away", "/healthz/redis", nil, away, http.StatusServiceUnavailable,
			"Redis is away: connection refused."},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, shared, func(o *Options) {
				o.Ready = func(context.Context) error { return c.ready }
				o.Redis = func() error { return c.redis }
			})
			status, h, body := a.ask("GET", c.path, "", "")
			if status != c.status || !strings.Contains(body, c.says) {
				t.Errorf("%d %s, want %d with %q", status, body, c.status, c.says)
			}
			if got := h.Get("Content-Type"); c.status >= 400 && got != "application/problem+json" {
				t.Errorf("the fault is %s", got)
			}
		})
	}
}

// A part reports the parts of /status that it is made of.
type part struct {
	name     string
	value    any
	degraded []string
}

func (p part) Report(context.Context) (string, any, []string) { return p.name, p.value, p.degraded }

func TestStatusPutsTheReportsTogether(t *testing.T) {
	a := serve(t, shared, func(o *Options) {
		o.Reporters = []Reporter{
			part{name: "one", value: 1}, part{name: "two", value: []string{"x"}},
		}
	})
	status, h, body := a.ask("GET", "/status", "", "")
	got := decode[map[string]any](t, body)
	if status != http.StatusOK || got["status"] != "healthy" || got["one"] != 1.0 ||
		got["reasons"] != nil {
		t.Errorf("%d %s", status, body)
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%v", h)
	}
}

func TestStatusIsDegradedForEachReason(t *testing.T) {
	a := serve(t, shared, func(o *Options) {
		o.Reporters = []Reporter{
			part{name: "redis", degraded: []string{"Redis is away", "and slow"}},
			part{name: "jobs"},
			part{name: "queues", degraded: []string{"full"}},
		}
	})
	_, _, body := a.ask("GET", "/status", "", "")
	got := decode[struct {
		Status  string
		Reasons []string
	}](t, body)
	if got.Status != "degraded" ||
		strings.Join(got.Reasons, ", ") != "Redis is away, and slow, full" {
		t.Errorf("%s", body)
	}
}

// slow is a part that takes as long as it may.
type slow struct{}

func (slow) Report(ctx context.Context) (string, any, []string) {
	<-ctx.Done()
	return "slow", nil, []string{"no answer"}
}

func TestStatusAnswersWhileAPartHangs(t *testing.T) {
	t.Parallel()
	a := serve(t, shared, func(o *Options) {
		o.Reporters = []Reporter{slow{}, part{name: "after", value: "it"}}
	})
	_, _, body := a.ask("GET", "/status", "", "")
	if got := decode[map[string]any](t, body); got["status"] != "degraded" || got["after"] != "it" {
		t.Errorf("%s", body)
	}
}

func TestWhatTheOpsAddressDoesNotHave(t *testing.T) {
	a := serve(t, shared, func(o *Options) { o.Reporters = nil })
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/nothing", http.StatusNotFound},
		{"GET", "/admin", http.StatusNotFound},
		{"POST", "/healthz", http.StatusNotFound},
		{"GET", "/admin/purge", http.StatusNotFound},
		{"DELETE", "/admin/policies", http.StatusNotFound},
	} {
		if status, _, body := a.ask(c.method, c.path, ""); status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, body)
		}
	}
}
