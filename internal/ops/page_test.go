package ops

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
)

// A watched is a page behind a server whose time limits would end a stream.
type watched struct {
	t       *testing.T
	url     string
	metrics *telemetry.Metrics
	end     context.CancelFunc
}

func watch(t *testing.T) *watched {
	t.Helper()
	ended, end := context.WithCancel(t.Context())
	w := &watched{t: t, metrics: telemetry.New(prometheus.NewRegistry()), end: end}
	page := NewPage(PageSource{
		Version: "1.2", Totals: w.metrics.Totals, Invalidations: w.metrics.RecentInvalidations,
		Reporters: []Reporter{part{name: "backend", value: "it", degraded: []string{"it is away"}}},
		Ended:     ended, Sample: 20 * time.Millisecond, Refresh: 20 * time.Millisecond,
	})
	server := httptest.NewUnstartedServer(Handler(Options{
		Page: page, AdminToken: func() (string, error) { return token, nil }, Leave: func() {},
		Metrics: http.NotFoundHandler(),
	}))
	server.Config.ReadTimeout, server.Config.WriteTimeout = 300*time.Millisecond,
		300*time.Millisecond
	server.Start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { page.Run(ctx) })
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); stop(); running.Wait() })
	w.url = server.URL
	return w
}

// open begins to watch. next reads a snapshot; ok is false at the end.
func (w *watched) open() (resp *http.Response, next func() (s snapshot, ok bool)) {
	w.t.Helper()
	resp, err := http.Get(w.url + "/ui/events")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return resp, func() (s snapshot, ok bool) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &s); err != nil {
					w.t.Fatalf("%v: %s", err, data)
				}
				return s, true
			}
		}
		return s, false
	}
}

func (w *watched) request(route string, result telemetry.Result, status int, took time.Duration) {
	now := time.Now()
	w.metrics.Finished(&telemetry.Outcome{Start: now.Add(-took), Method: "GET",
		Route: route, Result: result,
		Reason: reason.NoRoute, Status: status}, now)
}

func TestThePageStandsForItself(t *testing.T) {
	w := watch(t)
	resp, err := http.Get(w.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	text, h := b.String(), resp.Header
	if resp.StatusCode != http.StatusOK || h.Get("Content-Type") != "text/html; charset=utf-8" ||
		h.Get("Cache-Control") != "no-store" ||
		h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", resp.StatusCode, h)
	}
	policy := h.Get("Content-Security-Policy")
	for _, tag := range []string{"style", "script"} {
		inline := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllStringSubmatch(text, -1)
		if len(inline) != 1 || !strings.Contains(policy, tag+"-src "+hashOf(inline[0][1])+";") {
			t.Errorf("%d of %s, and the policy is %s", len(inline), tag, policy)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none'; connect-src 'self';") ||
		strings.Contains(policy, "unsafe") {
		t.Error(policy)
	}
	for _, outside := range []string{
		"http://", "https://", `="//`, "url(", "@import", "innerHTML", " style=", " onclick=",
	} {
		if strings.Contains(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), outside) {
			t.Errorf("the page has %q", outside)
		}
	}
}

func TestWhoWatchesGetsSnapshotsAnewUntilTheEnd(t *testing.T) {
	w := watch(t)
	resp, next := w.open()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	s, ok := next()
	if !ok || s.Version != "1.2" || s.Status["status"] != "degraded" ||
		s.Status["backend"] != "it" || s.Spared.Requests != 0 {
		t.Fatalf("%+v", s)
	}
	for ok && len(s.History) == 0 { // what was before the first sample is not counted
		s, ok = next()
	}
	for range 8 {
		w.request("fast", telemetry.ResultHit, 200, time.Millisecond)
		w.request("slow", telemetry.ResultMiss, 503, 2*time.Second)
	}
	w.request("fast", telemetry.ResultMiss, 200, 101*time.Millisecond)
	w.request("slow", telemetry.ResultStale, 200, time.Millisecond)
	w.request("", telemetry.ResultBypass, 200, time.Millisecond)
	w.metrics.NotStored("slow", reason.SetCookie)
	w.metrics.Invalidated("write", 3, nil)
	seen, began := 0, time.Now()
	// over the limits of the server
	for s.Spared.Requests < 9 || len(s.Invalidations) == 0 || len(s.History) == 0 ||
		time.Since(began) < time.Second {
		if s, ok = next(); !ok {
			t.Fatalf("the stream ended after %d snapshots, %v", seen, time.Since(began))
		}
		seen++
	}
	if len(s.Slowest) != 2 || s.Slowest[0].Name != "slow" || s.Slowest[0].Failed != 8 ||
		s.Slowest[0].HitMS < 1 || s.Slowest[0].MissMS < 2000 ||
		len(s.Least) != 2 || s.Least[0].Name != "slow" || s.Least[1].Misses != 1 {
		t.Errorf("%+v %+v", s.Slowest, s.Least)
	}
	if s.Spared.Seconds < 2.7 || s.Spared.Seconds > 2.9 { // eight times 100 ms, and once 2 s
		t.Errorf("%+v", s.Spared)
	}
	if len(s.Bypasses) != 1 || s.Bypasses[0].Reason != "no-route" || s.Bypasses[0].Says == "" ||
		s.Bypasses[0].Remedy == "" ||
		len(s.NotStored) != 1 || s.NotStored[0].Reason != "set-cookie" {
		t.Errorf("%+v %+v", s.Bypasses, s.NotStored)
	}
	if i := s.Invalidations[0]; i.Route != "write" || i.Tags != 3 {
		t.Errorf("%+v", i)
	}
	w.end()
	for ok {
		_, ok = next()
	}
}

func TestTheWatchersAreBounded(t *testing.T) {
	w := watch(t)
	var open []*http.Response
	for range maxWatchers {
		resp, next := w.open()
		if _, ok := next(); !ok {
			t.Fatal("one of the first gets nothing")
		}
		open = append(open, resp)
	}
	if resp, _ := w.open(); resp.StatusCode != http.StatusServiceUnavailable ||
		resp.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %d", resp.StatusCode)
	}
	open[0].Body.Close()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, _ := w.open(); resp.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatal("one has left, and nobody may come")
		}
	}
}

func TestAPageFromElsewhereChangesNothing(t *testing.T) {
	w := watch(t)
	for _, c := range []struct {
		method, path, site, origin string
		status                     int
	}{
		{"POST", "/admin/leave", "cross-site", "https://evil.example", http.StatusForbidden},
		{"POST", "/admin/leave", "same-site", "https://evil.example", http.StatusForbidden},
		{"POST", "/admin/leave", "", "https://evil.example", http.StatusForbidden},
		{"DELETE", "/admin/jobs/1", "cross-site", "", http.StatusForbidden},
		{"POST", "/admin/leave", "same-origin", w.url, http.StatusOK},
		{"POST", "/admin/leave", "", w.url, http.StatusOK},
		{"POST", "/admin/leave", "", "", http.StatusOK},
		{"GET", "/healthz", "cross-site", "https://evil.example", http.StatusOK},
	} {
		r, err := http.NewRequest(c.method, w.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Origin": c.origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s %s from %q %q: %d, want %d",
				c.method, c.path, c.site, c.origin, resp.StatusCode, c.status)
		}
	}
}

func TestTheHistoryIsOfTheLastMinutes(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry())
	now := time.Unix(1000, 0)
	var h history
	for i := range 2 * maxPoints {
		for range i % 3 {
			m.Finished(&telemetry.Outcome{
				Start: now, Method: "GET", Route: "a", Result: telemetry.ResultHit, Status: 200,
			}, now.Add(10*time.Millisecond))
		}
		now = now.Add(5 * time.Second)
		h.add(now, m.Totals())
	}
	points := h.points()
	if len(points) != maxPoints || points[maxPoints-1].At != now.UnixMilli() ||
		points[0].Span != 5 {
		t.Fatalf("%d points, the last %+v", len(points), points[len(points)-1])
	}
	for i, p := range points {
		n := uint64((i + maxPoints) % 3)
		if p.Hits != n || p.Misses != 0 || p.MissMS != unknown ||
			n > 0 && math.Abs(p.HitMS-10) > 0.001 || n == 0 && p.HitMS != unknown {
			t.Errorf("point %d is %+v", i, p)
		}
	}
}

func TestAQuantileIsThatOfItsTime(t *testing.T) {
	buckets := func(counts ...uint64) (d durations) {
		for i, n := range counts {
			d.buckets = append(d.buckets,
				telemetry.Bucket{Most: []float64{0.01, 0.1, 1}[i], Count: n})
		}
		return d
	}
	for _, c := range []struct {
		since, now durations
		n          uint64
		share      float64
		want       float64 // milliseconds
	}{
		{durations{}, buckets(10, 10, 10), 10, 0.5, 5},
		{durations{}, buckets(0, 10, 10), 10, 0.5, 55},
		{durations{}, buckets(5, 10, 10), 10, 0.95, 91},
		{buckets(100, 100, 100), buckets(100, 110, 110), 10, 0.5, 55},
		{durations{}, buckets(0, 0, 0), 10, 0.5, 1000},
		{durations{}, durations{}, 0, 0.5, unknown},
	} {
		if got := c.now.quantile(c.since, c.n, c.share); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%+v since %+v: %v, want %v", c.now, c.since, got, c.want)
		}
	}
}

// Each route has a history of its own, which ends where that of all ends, and the tables of routes
// are about the same time.
func TestARouteHasAHistoryOfItsOwn(t *testing.T) {
	m := telemetry.New(prometheus.NewRegistry())
	now := time.Unix(1000, 0)
	ask := func(route string, result telemetry.Result, n int) {
		for range n {
			m.Finished(&telemetry.Outcome{
				Start: now, Method: "GET", Route: route, Result: result, Status: 200,
			}, now.Add(10*time.Millisecond))
		}
	}
	var h history
	ask("old", telemetry.ResultMiss, 1000) // before the history
	ask("old", telemetry.ResultHit, 1)
	h.add(now, m.Totals())
	for i := range maxPoints + 50 {
		now = now.Add(5 * time.Second)
		ask("old", telemetry.ResultHit, i%4)
		if i >= 100 {
			ask("new", telemetry.ResultMiss, 2)
		}
		h.add(now, m.Totals())
	}
	all := h.points()
	for route, want := range map[string]func(i int) (hits, misses uint64){
		"old": func(i int) (uint64, uint64) { return uint64(i % 4), 0 },
		"new": func(i int) (uint64, uint64) {
			if i < 100 {
				return 0, 0
			}
			return 0, 2
		},
	} {
		points, ok := h.pointsOf(route)
		if !ok || len(points) != maxPoints {
			t.Fatalf("%s: %d points", route, len(points))
		}
		for k, p := range points {
			hits, misses := want(k + 50)
			if p.Hits != hits || p.Misses != misses || p.At != all[k].At || p.Span != 5 ||
				hits > 0 && math.Abs(p.HitMS-10) > 0.001 || hits == 0 && p.HitMS != unknown {
				t.Errorf("%s: point %d is %+v", route, k, p)
			}
		}
	}
	if _, ok := h.pointsOf("none"); ok {
		t.Error("a route that nobody asked for has a history")
	}
	ask("new", telemetry.ResultHit, 1) // since the last point
	for _, r := range h.routesOf(m.Totals()) {
		want := map[string]route{
			"old": {Name: "old", Hits: 180, HitMS: 10, MissMS: unknown},
			"new": {Name: "new", Hits: 1, Misses: 140, HitMS: 10, MissMS: 10},
		}[r.Name]
		r.HitMS, r.MissMS = math.Round(r.HitMS), math.Round(r.MissMS)
		if r != want {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
}

func TestTheHistoryOfRoutesIsBounded(t *testing.T) {
	var h history
	for i := range 3 {
		var totals telemetry.Totals
		for k := range maxTracks + 10 {
			totals.Routes = append(totals.Routes, telemetry.RouteTotals{
				Name: fmt.Sprintf("%04d", k), Results: map[telemetry.Result]telemetry.Durations{
					telemetry.ResultHit: {Count: uint64(i), Seconds: 1},
				},
			})
		}
		h.add(time.Unix(int64(i), 0), totals)
	}
	if len(h.routes) != maxTracks {
		t.Errorf("%d routes", len(h.routes))
	}
}

func TestTheHistoryOfARouteIsAnswered(t *testing.T) {
	w := watch(t)
	get := func(query string) (status int, body string) {
		resp, err := http.Get(w.url + "/ui/history" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(content)
	}
	for _, none := range []string{"", "?route=", "?route=other"} {
		if status, body := get(none); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", none, status, body)
		}
	}
	_, next := w.open()
	w.request("item", telemetry.ResultHit, 200, time.Millisecond)
	for {
		s, ok := next()
		if !ok {
			t.Fatal("the stream ended")
		}
		if slices.Contains(s.Routes, "item") {
			break
		}
	}
	if status, body := get("?route=item"); status != http.StatusOK ||
		!strings.Contains(body, `"hits": 1`) {
		t.Errorf("%d %s", status, body)
	}
}
