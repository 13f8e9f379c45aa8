package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const stale = `routes:
  - match: "GET /behind/{id}"
    cache: {scope: shared, ttl: 1s, stale_while_revalidate: 1h, tags: ["item:{id}"]}
  - match: "GET /error/{id}"
    cache: {scope: shared, ttl: 1s, stale_if_error: 1h, tags: ["item:{id}"]}
  - match: "GET /away/{id}"
    cache: {scope: shared, ttl: 1s, stale_if_unreachable: 1h, tags: ["item:{id}"]}
  - {match: "GET /never/{id}", cache: {scope: shared, ttl: 1s, tags: ["item:{id}"]}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// A moody backend answers with its number, fails, or hangs up.
type moody struct{ mood atomic.Int64 }

const hangsUp = -1

func (m *moody) answer(w http.ResponseWriter, r *http.Request, n int) {
	switch mood := int(m.mood.Load()); {
	case r.Method == http.MethodPut:
	case mood == hangsUp:
		panic(http.ErrAbortHandler)
	case mood != 0:
		http.Error(w, "broken", mood)
	default:
		write(w, fmt.Sprint("answer ", n))
	}
}

// awaitStale stores an answer and waits until it is stale.
func (s *sidecar) awaitStale(path string) {
	s.t.Helper()
	s.get(path)
	await(s.t, path+" is stale", func() bool {
		a := s.get(path, "Cache-Control: only-if-cached, max-stale=0, min-fresh=0")
		return a.status == http.StatusGatewayTimeout
	})
}

func TestAStaleAnswerIsServedOnlyWhereThePolicyAllowsIt(t *testing.T) {
	t.Parallel()
	m := &moody{}
	s := start(t, backendThat(t, m.answer), stale)
	paths := []string{"/behind/1", "/error/1", "/away/1", "/never/1"}
	for _, p := range paths {
		s.get(p)
	}
	for _, p := range paths {
		s.awaitStale(p)
	}
	for _, c := range []struct {
		name   string
		mood   int
		path   string
		status int
		cache  string // a part of Cache-Status
	}{
		{"an error, allowed", 503, "/error/1", 200,
			"fwd=stale; fwd-status=503; detail=backend-error"},
		{"an error, allowed only for one who does not answer", 503, "/away/1", 503, "fwd=stale"},
		{"an error, allowed never", 503, "/never/1", 503, "fwd="},
		{"no error", 404, "/error/1", 404, "fwd=stale"},
		{"no answer, allowed", hangsUp, "/away/1", 200, "fwd=stale; detail=backend-unreachable"},
		{"no answer, allowed for errors too", hangsUp, "/error/1", 200,
			"fwd=stale; detail=backend-unreachable"},
		{"no answer, allowed never", hangsUp, "/never/1", 502, "fwd="},
	} {
		m.mood.Store(int64(c.mood))
		a := s.get(c.path)
		if a.status != c.status || !strings.HasPrefix(a.cache(), c.cache) {
			t.Errorf("%s: %d %q, want %d %q", c.name, a.status, a.cache(), c.status, c.cache)
		}
		if c.status == 200 && (a.fields.Get("Age") == "" || !strings.HasPrefix(a.body, "answer ")) {
			t.Errorf("%s: %q %q", c.name, a.body, a.fields)
		}
	}
	if a := s.get("/error/1", "Cache-Control: max-stale=0"); a.status == 200 {
		t.Errorf("a client that wants nothing stale gets %q", a.cache())
	}
}

func TestAWrittenAnswerIsNeverServedStale(t *testing.T) {
	t.Parallel()
	m := &moody{}
	s := start(t, backendThat(t, m.answer), stale)
	paths := []string{"/behind/1", "/error/1", "/away/1"}
	for _, p := range paths {
		s.get(p)
	}
	for _, p := range paths {
		s.awaitStale(p)
	}
	if a := s.do(t.Context(), http.MethodPut, "/items/1", nil); a.status != http.StatusOK {
		t.Fatalf("PUT: %d %v", a.status, a.err)
	}
	for _, mood := range []int64{hangsUp, 503} {
		m.mood.Store(mood)
		for _, p := range paths {
			if a := s.get(p); a.status < 500 {
				t.Errorf("%s with a backend that does %d: %d %q %q", p, mood, a.status, a.body,
					a.cache())
			}
		}
	}
}

func TestAStaleAnswerIsRefreshedBehindItsAnswerByOneRequest(t *testing.T) {
	t.Parallel()
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 || g.wait(r) {
			write(w, fmt.Sprint("answer ", n))
		}
	})
	s := start(t, b, stale)
	s.get("/behind/1")
	var a answer
	await(t, "it is served stale", func() bool {
		a = s.get("/behind/1")
		return strings.HasPrefix(a.cache(), "hit; ttl=-") ||
			strings.HasPrefix(a.cache(), "hit; ttl=0") && b.requests.Load() > 1
	})
	for range 5 {
		if a := s.get("/behind/1"); a.body != "answer 1" || a.status != http.StatusOK {
			t.Errorf("while it is refreshed: %d %q %q", a.status, a.body, a.cache())
		}
	}
	await(t, "it is refreshed", func() bool { return b.requests.Load() == 2 })
	open()
	await(t, "the new answer is served",
		func() bool { return s.get("/behind/1").body == "answer 2" })
	if n := b.requests.Load(); n != 2 {
		t.Errorf("the backend saw %d requests", n)
	}
}

func TestARefreshOfAPartAsksForTheWhole(t *testing.T) {
	t.Parallel()
	b := backendThat(t, says("0123456789"))
	s := start(t, b, stale)
	s.get("/behind/1")
	await(t, "it is refreshed",
		func() bool { s.get("/behind/1", "Range: bytes=0-1"); return b.requests.Load() > 1 })
	if got := b.new(); !strings.HasPrefix(got, "GET /behind/1, GET /behind/1") ||
		strings.Contains(got, "bytes") {
		t.Errorf("the backend was asked %q", got)
	}
}

// Nobody who has something stale need ask a backend that has just failed.
func TestAStaleAnswerIsSharedByThoseWhoWaitForAFetchThatFails(t *testing.T) {
	t.Parallel()
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			write(w, "stored")
		} else if g.wait(r) {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	s := start(t, b, stale)
	s.awaitStale("/error/1")
	before := s.operations("open")
	wait := s.together(5, "/error/1", same())
	s.awaitOpens(before + 5)
	open()
	for i, a := range wait() {
		if a.body != "stored" {
			t.Errorf("client %d got %d %q %q", i, a.status, a.body, a.cache())
		}
	}
	// one may have opened its tokens in time, and come to the flight when it was over
	if n := b.requests.Load(); n < 2 || n > 3 {
		t.Errorf("the backend saw %d requests, want one that failed", n)
	}
}

// A client's own Cache-Control and conditions are about its answer, and not about a refresh.
func TestARefreshHasNoneOfTheWishesOfTheClient(t *testing.T) {
	t.Parallel()
	var wished atomic.Value
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		for _, name := range []string{"Cache-Control", "Pragma", "If-None-Match",
			"If-Modified-Since"} {
			if value := r.Header.Get(name); n > 1 && value != "" {
				wished.Store(name + ": " + value)
			}
		}
		write(w, fmt.Sprint("answer ", n))
	})
	s := start(t, b, stale)
	s.get("/behind/1")
	await(t, "it is refreshed", func() bool {
		s.get("/behind/1", "Cache-Control: max-stale=3600, max-age=3600, only-if-cached",
			"Pragma: x",
			`If-None-Match: "a"`, "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT")
		return b.requests.Load() > 1
	})
	await(t, "the new answer is stored",
		func() bool { return s.get("/behind/1").body == "answer 2" })
	if got := wished.Load(); got != nil {
		t.Errorf("the backend was sent %q", got)
	}
}

// Nobody waits for a refresh: one whose answer stalls, or never ends, is given up after a while,
// and does not keep the next one from being tried.
func TestARefreshThatDoesNotEndIsGivenUp(t *testing.T) {
	for name, fields := range map[string][2]string{
		"it stalls":       {"Content-Length", "8"},
		"it is a stream":  {"Content-Type", "text/event-stream"},
		"it is forbidden": {"Cache-Control", "no-store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := make(chan bool, 8)
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if n == 1 {
					write(w, "answer 1")
					return
				}
				w.Header().Set(fields[0], fields[1])
				_, _ = io.WriteString(w, "ans")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				given <- true
			})
			s := start(t, b, stale, func(o *setup) { o.backend.Timeout = 2 * time.Second })
			s.awaitStale("/behind/1")
			for range 2 {
				await(t, "a refresh is given up", func() bool {
					if a := s.get("/behind/1"); a.body != "answer 1" {
						t.Fatalf("%d %q %q", a.status, a.body, a.cache())
					}
					return len(given) > 0
				})
				<-given
			}
		})
	}
}
