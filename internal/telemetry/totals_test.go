package telemetry

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sidecar/internal/reason"
)

func TestTotalsAreThoseOfTheMetrics(t *testing.T) {
	m := New(prometheus.NewRegistry())
	start := time.Unix(1000, 0)
	for i := range 3 {
		took := time.Duration(i+1) * 10 * time.Millisecond
		m.Finished(&Outcome{
			Start: start, Method: "GET", Route: "b", Result: ResultHit, Status: 200,
		}, start.Add(took))
	}
	m.Finished(&Outcome{Start: start, Method: "GET", Route: "b", Result: ResultMiss, Status: 503},
		start.Add(time.Second))
	for range 2 {
		m.Finished(&Outcome{
			Start: start, Method: "GET", Result: ResultBypass, Reason: reason.NoRoute, Status: 200,
		}, start)
	}
	m.Finished(&Outcome{
		Start: start, Method: "GET", Route: "b", Result: ResultBypass,
		Reason: reason.RequestNoStore, Status: 200,
	}, start)
	m.NotStored("b", reason.SetCookie)
	got := m.Totals()
	if len(got.Routes) != 2 || got.Routes[0].Name != "b" || got.Routes[1].Name != "none" ||
		got.Routes[0].Failed != 1 {
		t.Fatalf("%+v", got)
	}
	hits := got.Routes[0].Results[ResultHit]
	if hits.Count != 3 || hits.Seconds < 0.0599 || hits.Seconds > 0.0601 {
		t.Errorf("%+v", hits)
	}
	for _, b := range hits.Buckets {
		want := uint64(0)
		for _, took := range []float64{0.01, 0.02, 0.03} {
			if took <= b.Most {
				want++
			}
		}
		if b.Count != want {
			t.Errorf("%d took at most %v s, want %d", b.Count, b.Most, want)
		}
	}
	if got.Routes[0].Results[ResultMiss].Count != 1 || len(hits.Buckets) < 10 {
		t.Errorf("%+v", got.Routes[0])
	}
	if b := got.Bypasses; len(b) != 2 || b[0] != (ReasonTotal{"no-route", 2}) ||
		b[1] != (ReasonTotal{"request-no-store", 1}) {
		t.Errorf("%+v", b)
	}
	if n := got.NotStored; len(n) != 1 || n[0] != (ReasonTotal{"set-cookie", 1}) {
		t.Errorf("%+v", n)
	}
}

func TestTheLastInvalidationsAreRemembered(t *testing.T) {
	m := New(prometheus.NewRegistry())
	for i := range 2 * maxRecent {
		m.Invalidated("a", i, nil)
	}
	m.Invalidated("", 3, errors.New("away"))
	got := m.RecentInvalidations()
	if len(got) != maxRecent || got[0].Route != "none" || !got[0].Deferred || got[0].Tags != 3 ||
		got[1].Tags != 2*maxRecent-1 || got[1].Deferred || got[0].At.IsZero() {
		t.Errorf("%+v", got)
	}
}
