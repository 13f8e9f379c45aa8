package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
)

// waits makes requests wait for one another for so long.
func waits(d time.Duration) func(*setup) { return func(o *setup) { o.collapse = d } }

func TestAFetchThatHangsBeforeItsHeadIsDoubledForAllThatWait(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			<-r.Context().Done()
			return
		}
		write(w, "answer")
	})
	s := start(t, b, items, waits(10*time.Second))
	leave := s.leaver(b, "/items/1", 1)
	defer leave()
	began, late := time.Now(), proc.Late(t)
	for i, a := range s.together(6, "/items/1", same())() {
		if a.status != http.StatusOK || a.body != "answer" {
			t.Errorf("client %d got %d %q %v", i, a.status, a.body, a.err)
		}
	}
	// the rest of their patience is for the second one's answer
	if took := time.Since(began); took < 6*time.Second || took-late() >= 10*time.Second {
		t.Errorf("they waited %v", took)
	}
	if n := b.requests.Load(); n != 2 {
		t.Errorf("the backend saw %d requests: the second one's answer is for all", n)
	}
}

func TestWithoutAWaitEachRequestFetchesForItself(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, counts()))
	s := start(t, b, items, waits(0))
	wait := s.together(3, "/items/1", same())
	await(t, "all are at the backend", func() bool { return b.requests.Load() == 3 })
	open()
	for i, a := range wait() {
		if a.status != http.StatusOK || strings.Contains(a.cache(), "collapsed") {
			t.Errorf("client %d got %d %q", i, a.status, a.cache())
		}
	}
}

// A gauge counts the requests that a backend has in hand.
type gauge struct{ now, most atomic.Int64 }

func (g *gauge) enter() (leave func()) {
	now := g.now.Add(1)
	for most := g.most.Load(); now > most &&
		!g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	return func() { g.now.Add(-1) }
}

func TestAFailureIsOneClientsAndTheNextOneAsks(t *testing.T) {
	const failing = 3
	for name, fail := range map[string]func(http.ResponseWriter){
		"an error":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		"no answer": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"cut off": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, open := newGate(t)
			var inHand gauge
			b := backendThat(t, holds(g, func(w http.ResponseWriter, r *http.Request, n int) {
				defer inHand.enter()()
				if n <= failing {
					fail(w)
					return
				}
				write(w, "whole")
			}))
			s := start(t, b, items)
			other := start(t, b, items, func(o *setup) { o.prefix = s.prefix })
			here := s.together(6, "/items/1", same("Host: api.example"))
			s.awaitOpens(6)
			there := other.together(6, "/items/1", same("Host: api.example"))
			other.awaitOpens(6)
			open()
			whole := 0
			for _, a := range append(here(), there()...) {
				if a.body == "whole" && a.err == nil {
					whole++
				}
			}
			// one may have opened its tokens in time, and come to the flight when it was over
			if n := b.requests.Load(); whole != 12-failing || n > failing+2 ||
				inHand.most.Load() != 1 {
				t.Errorf("%d of 12 have the answer; the backend saw %d requests, %d at once",
					whole, n, inHand.most.Load())
			}
		})
	}
}

func TestManyFailuresOneAfterTheOtherKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		select {
		case <-time.After(500 * time.Millisecond): // the backend is slow
		case <-r.Context().Done():
		}
		http.Error(w, "broken", http.StatusInternalServerError)
	})
	s := start(t, b, items, waits(2*time.Second))
	began, late := time.Now(), proc.Late(t)
	s.together(40, "/items/1", same())()
	took := time.Since(began) - late()
	if took > 10*time.Second { // one after the other they take 20
		t.Errorf("the last one got its answer after %v", took)
	}
}

const everything = `routes:
  - {match: "GET /{rest...}", cache: {scope: shared, ttl: 1h, max_body: 3MiB}}
`

// first reads the first bytes of an answer that goes on, and why it is not stored; and hangs up.
func (s *sidecar) first(path string, fields ...string) string {
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	check(s.t, err)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	content := make([]byte, 16)
	n, _ := resp.Body.Read(content)
	_, detail, _ := strings.Cut(resp.Header.Get("Cache-Status"), "detail=")
	return string(content[:n]) + ", " + detail
}

// streams sends a head with these fields and an event, behind a gate, and then nothing more until
// the client leaves.
func streams(g gate, fields ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		if !g.wait(r) {
			return
		}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		fmt.Fprintf(w, "event %d", n)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func TestAnAnswerThatIsPassedOnAsItComesIsNobodysToWaitFor(t *testing.T) {
	for _, field := range []string{
		"Content-Type: text/event-stream", "Content-Type: Text/Event-Stream; charset=utf-8",
		"Incremental: ?1",
	} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			g, open := newGate(t)
			b := backendThat(t, streams(g, field))
			s := start(t, b, everything, waits(time.Hour))
			defer s.leaver(b, "/events", 1)()
			second := make(chan string, 1)
			go func() { second <- s.first("/events") }() // ends with its first bytes
			s.awaitOpens(2)
			open()
			if got := <-second; got != "event 2, streamed" {
				t.Errorf("the second one got %q", got)
			}
			if got := s.first("/events"); got != "event 3, streamed" {
				t.Errorf("the third one got %q", got)
			}
		})
	}
}

func TestARequestForAnEventStreamDoesNotWaitForAHead(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, streams(g, "Content-Type: text/event-stream"))
	s := start(t, b, everything, waits(time.Hour))
	accept := "Accept: text/html, text/event-stream;q=0.5"
	done := make(chan string, 2)
	for range 2 {
		go func() { done <- s.first("/events", accept) }() // ends with its first bytes
	}
	await(t, "both are at the backend", func() bool { return b.requests.Load() == 2 })
	open()
	<-done
	<-done
}

// apart fails the test unless n requests are at the backend at one time.
func (s *sidecar) apart(b *api, open func(), n int, path string,
	fields func(int) []string) []answer {
	s.t.Helper()
	before := b.requests.Load()
	wait := s.together(n, path, fields)
	await(s.t, "each is at the backend",
		func() bool { return b.requests.Load() == before+int64(n) })
	open()
	return wait()
}

func TestARouteIsKnownForAnswersThatAreNotShared(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 || g.wait(r) {
			counts("Cache-Control: no-store")(w, r, n)
		}
	})
	s := start(t, b, items, waits(time.Hour))
	s.get("/items/1")
	s.apart(b, open, 3, "/items/2", same())
}

func TestARouteWithAnswersOfBothKindsIsSharedWhereItCanBe(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch r.URL.Path {
		case "/own":
			counts("Cache-Control: no-store")(w, r, n)
		case "/one":
			counts()(w, r, n)
		default:
			holds(g, counts())(w, r, n)
		}
	})
	s := start(t, b, everything)
	s.get("/one")
	s.get("/own")
	wait := s.together(5, "/two", same())
	s.awaitOpens(7)
	open()
	for i, a := range wait() {
		if a.body != "answer 3" {
			t.Errorf("client %d got %q %q", i, a.body, a.cache())
		}
	}
}

func TestARouteIsKnownForTheFieldsThatItsAnswersVaryBy(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 || g.wait(r) {
			write(w, "in "+r.Header.Get("Accept-Language"), "Vary: Accept-Language")
		}
	})
	s := start(t, b, items, waits(time.Hour))
	s.get("/items/1")
	language := func(i int) []string {
		return []string{"Accept-Language: " +
			[]string{"de", "en"}[i]}
	}
	for i, a := range s.apart(b, open, 2, "/items/2", language) {
		if want := "in " + language(i)[0][len("Accept-Language: "):]; a.body != want {
			t.Errorf("got %q, want %q", a.body, want)
		}
	}
}

func TestARequestThatCouldUseNobodysAnswerDoesNotJoin(t *testing.T) {
	for _, field := range []string{
		"Cache-Control: no-cache", "Cache-Control: max-age=0", "Pragma: no-cache",
		"Cache-Control: min-fresh=3601",
	} {
		g, open := newGate(t)
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if n > 1 || g.wait(r) {
				write(w, fmt.Sprint("answer ", n))
			}
		})
		s := start(t, b, everything, waits(time.Hour))
		first := s.together(1, "/1", same())
		await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
		if a := s.get("/1", field); a.body != "answer 2" {
			t.Errorf("%s: %q %q %v", field, a.body, a.cache(), a.err)
		}
		open()
		if a := first()[0]; a.body != "answer 1" {
			t.Errorf("%s: the first one got %q", field, a.body)
		}
	}
}

func TestARequestThatCouldUseAFreshAnswerJoins(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, counts()))
	s := start(t, b, everything, waits(time.Hour))
	wait := s.together(4, "/1", func(i int) []string {
		return []string{"Cache-Control: " + []string{"max-age=60", "min-fresh=60", "max-stale",
			"no-transform"}[i]}
	})
	s.awaitOpens(4)
	open()
	for i, a := range wait() {
		if a.body != "answer 1" {
			t.Errorf("client %d got %q %q", i, a.body, a.cache())
		}
	}
}
