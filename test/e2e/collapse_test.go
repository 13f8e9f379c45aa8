package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// A holding is a backend that counts requests and answers when it is released.
type holding struct {
	*httptest.Server
	requests atomic.Int64
	writes   atomic.Int64
	canceled atomic.Int64
	fields   http.Header   // of every answer
	free     chan struct{} // answers wait until it is closed
	release  func()        // closes it; it may be called more than once
}

func hold(t *testing.T, fields http.Header) *holding {
	b := &holding{fields: fields, free: make(chan struct{})}
	b.release = sync.OnceFunc(func() { close(b.free) })
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			b.writes.Add(1)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		n := b.requests.Add(1)
		select {
		case <-b.free:
		case <-r.Context().Done():
			b.canceled.Add(1)
			return
		}
		for name, values := range b.fields {
			w.Header()[name] = values
		}
		fmt.Fprintf(w, "answer %d", n)
	}))
	t.Cleanup(b.Server.Close)
	t.Cleanup(b.release)
	return b
}

const itemPolicies = `version: 1
routes:
  - {name: item, match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}
  - {name: own, match: "GET /own/{id}", cache: {scope: private, ttl: 1h}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// three starts three sidecars on one Redis before the backend, and returns them with their base
// URLs.
func three(t *testing.T, backend, policies string, env ...string) (sidecars []*stack) {
	t.Helper()
	shared := redisd.Start(t)
	file := policiesFile(t, policies)
	for range 3 {
		s := &stack{t: t, redis: shared, api: backend}
		s.sidecar, s.url, s.ops = startSidecar(t, backend, shared.Addr(), file, env...)
		s.awaitCaching()
		sidecars = append(sidecars, s)
	}
	return sidecars
}

// many sends n requests at once, to the sidecars in turn, and returns the answers.
func many(t *testing.T, n int, path string, bases []*stack,
	fields func(i int) []string) (answers []answer, done func() []answer) {
	t.Helper()
	answers = make([]answer, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			a, err := try(t.Context(), http.MethodGet, bases[i%len(bases)].url+path, nil,
				append(fields(i), sameHost)...)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			answers[i] = a
		})
	}
	return answers, func() []answer { running.Wait(); return answers }
}

func none(int) []string { return nil }

// sameHost is the Host field of one API, on every sidecar.
const sameHost = "Host: api.example"

// awaitOpens waits until n requests in all have opened their tokens: each of them fetches then, or
// waits for another.
func awaitOpens(t *testing.T, sidecars []*stack, n int) {
	t.Helper()
	count := regexp.MustCompile(
		`sidecar_redis_operation_duration_seconds_count\{op="open",redis="cache"\} (\d+)`)
	awaitThat(t, fmt.Sprintf("%d requests have opened their tokens", n), func() bool {
		opened := 0
		for _, s := range sidecars {
			if s.sidecar.Exited() {
				continue
			}
			if m := count.FindSubmatch(do(t, http.MethodGet, s.ops+"/metrics",
				nil).body); m != nil {
				k, _ := strconv.Atoi(string(m[1]))
				opened += k
			}
		}
		return opened >= n
	})
}

func TestAHundredClientsWhoMissOneKeyOnThreeSidecarsCauseOneBackendRequest(t *testing.T) {
	t.Parallel()
	b := hold(t, nil)
	sidecars := three(t, b.URL, itemPolicies)
	_, done := many(t, 100, "/items/1", sidecars, none)
	awaitOpens(t, sidecars, 100)
	b.release()
	collapsed := 0
	for i, a := range done() {
		if a.status != http.StatusOK || string(a.body) != "answer 1" {
			t.Errorf("client %d got %d %q %q", i, a.status, a.body, a.cache())
		}
		if a.fields.Get("Cache-Status") != "" && containsAll(a.cache(), "collapsed") {
			collapsed++
		}
	}
	if n := b.requests.Load(); n != 1 {
		t.Errorf("the backend saw %d requests, want 1", n)
	}
	if collapsed == 0 {
		t.Error("no answer says that it is collapsed")
	}
}

func TestWhenTheSidecarThatFetchesIsKilledTheOthersGetTheirAnswerWithinTheLease(t *testing.T) {
	t.Parallel()
	b := hold(t, nil)
	sidecars := three(t, b.URL, itemPolicies, "COLLAPSE_WAIT=10m")
	gone := make(chan struct{})
	go func() { // its answer never comes
		defer close(gone)
		_, _ = try(t.Context(), http.MethodGet, sidecars[0].url+"/items/1", nil, sameHost)
	}()
	awaitThat(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	_, done := many(t, 40, "/items/1", sidecars[1:], none)
	awaitOpens(t, sidecars, 41)
	if n := b.requests.Load(); n != 1 {
		t.Fatalf("the backend saw %d requests while the first one fetches", n)
	}
	sidecars[0].sidecar.Kill()
	<-gone
	killed := time.Now()
	b.release()
	for i, a := range done() {
		if a.status != http.StatusOK {
			t.Errorf("client %d got %d %q", i, a.status, a.body)
		}
	}
	// the lease is 2 s; the rest is for a busy machine
	if took := time.Since(killed); took > 20*time.Second {
		t.Errorf("the others waited %v", took)
	}
	if n := b.requests.Load(); n > 3 {
		t.Errorf("the backend saw %d requests, want one of each sidecar at the most", n)
	}
}

func TestAClientThatLeavesTakesNobodysAnswerWithIt(t *testing.T) {
	t.Parallel()
	b := hold(t, nil)
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	first, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		if _, err := try(first, http.MethodGet, s.url+"/items/1", nil, sameHost); err == nil {
			t.Error("the client that left got an answer")
		}
	}()
	awaitThat(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	_, done := many(t, 5, "/items/1", []*stack{s}, none)
	awaitOpens(t, []*stack{s}, 6)
	leave()
	<-left
	b.release()
	for i, a := range done() {
		if string(a.body) != "answer 1" {
			t.Errorf("client %d got %d %q", i, a.status, a.body)
		}
	}
	if n := b.requests.Load(); n != 1 {
		t.Errorf("the backend saw %d requests, want 1", n)
	}
}

func TestWhenAllHaveLeftTheBackendRequestEnds(t *testing.T) {
	t.Parallel()
	b := hold(t, nil)
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	ctx, leave := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() { _, _ = try(ctx, http.MethodGet, s.url+"/items/1", nil) })
	}
	awaitOpens(t, []*stack{s}, 3)
	leave()
	clients.Wait()
	awaitThat(t, "the backend's request is cancelled",
		func() bool { return b.canceled.Load() == 1 })
}

// An answer that may not be shared goes to nobody else; the waiting requests go on side by side.
func TestAnAnswerThatMayNotBeSharedIsNot(t *testing.T) {
	t.Parallel()
	b := hold(t, http.Header{"Cache-Control": {"no-store"}})
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	_, done := many(t, 10, "/items/1", []*stack{s}, none)
	awaitOpens(t, []*stack{s}, 10)
	b.release()
	seen := map[string]bool{}
	for _, a := range done() {
		if seen[string(a.body)] {
			t.Errorf("%q went to two clients", a.body)
		}
		seen[string(a.body)] = true
	}
	if n := b.requests.Load(); n != 10 {
		t.Errorf("the backend saw %d requests, want 10", n)
	}
}

func TestAnAnswerThatVariesIsSharedOnlyWithWhomItIsFor(t *testing.T) {
	t.Parallel()
	b := hold(t, http.Header{"Vary": {"Accept-Language"}})
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	languages := func(i int) []string {
		return []string{"Accept-Language: " + []string{"de", "en"}[i%2]}
	}
	_, done := many(t, 10, "/items/1", []*stack{s}, languages)
	awaitOpens(t, []*stack{s}, 10)
	b.release()
	of := map[int]string{}
	for i, a := range done() {
		if other, ok := of[(i+1)%2]; ok && other == string(a.body) {
			t.Errorf("%q went to clients of both languages", a.body)
		}
		if i%2 == 0 {
			of[0] = string(a.body)
		}
	}
}

func TestTwoCallersNeverShareAnAnswerThatIsPrivate(t *testing.T) {
	t.Parallel()
	b := hold(t, nil)
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	_, done := many(t, 10, "/own/1", []*stack{s},
		func(i int) []string { return []string{fmt.Sprintf("Authorization: Bearer %d", i%2)} })
	awaitOpens(t, []*stack{s}, 10)
	b.release()
	of := [2]map[string]bool{{}, {}}
	for i, a := range done() {
		of[i%2][string(a.body)] = true
	}
	for body := range of[0] {
		if of[1][body] {
			t.Errorf("%q went to both callers", body)
		}
	}
	if n := b.requests.Load(); n != 2 {
		t.Errorf("the backend saw %d requests, want one for each caller", n)
	}
}

// A GET that comes after a write was acknowledged never joins a backend request from before it.
func TestAGETAfterAWriteDoesNotJoinAnOlderFlight(t *testing.T) {
	t.Parallel()
	b := hold(t, nil)
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	old := make(chan answer, 1)
	go func() { old <- do(t, http.MethodGet, s.url+"/items/1", nil) }()
	awaitThat(t, "the old one fetches", func() bool { return b.requests.Load() == 1 })
	if a := do(t, http.MethodPut, s.url+"/items/1", "new"); a.status != http.StatusNoContent {
		t.Fatalf("PUT: %d", a.status)
	}
	fresh := make(chan answer, 1)
	go func() { fresh <- do(t, http.MethodGet, s.url+"/items/1", nil) }()
	awaitThat(t, "the new one fetches for itself", func() bool { return b.requests.Load() == 2 })
	b.release()
	if a := <-fresh; string(a.body) != "answer 2" {
		t.Errorf("the read after the write got %q", a.body)
	}
	<-old
	// The old answer's store may come last: its entry is dead, and costs one request more.
	awaitThat(t, "there is a hit", func() bool {
		a := do(t, http.MethodGet, s.url+"/items/1", nil)
		if string(a.body) == "answer 1" {
			t.Fatalf("after the write: %q %q", a.cache(), a.body)
		}
		return a.hit()
	})
}

// A backend that stalls in the middle of an answer keeps no other client waiting.
func TestABodyThatStallsKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "6")
		if asked.Add(1) == 1 {
			_, _ = w.Write([]byte("s"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte("answer"))
	}))
	t.Cleanup(b.Close)
	sidecars := three(t, b.URL, itemPolicies)
	first, leave := context.WithCancel(t.Context())
	var stalled sync.WaitGroup
	stalled.Go(func() {
		_, _ = try(first, http.MethodGet, sidecars[0].url+"/items/1", nil, sameHost)
	})
	defer stalled.Wait()
	defer leave()
	awaitThat(t, "the first one fetches", func() bool { return asked.Load() == 1 })
	start, late := time.Now(), proc.Late(t)
	_, done := many(t, 9, "/items/1", sidecars, none)
	for i, a := range done() {
		if string(a.body) != "answer" {
			t.Errorf("client %d got %d %q", i, a.status, a.body)
		}
	}
	// A body that stalls is waited for 2 s, one that flows 10 s.
	if took := time.Since(start) - late(); took > 9*time.Second {
		t.Errorf("the others waited %v", took)
	}
}
