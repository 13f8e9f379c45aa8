package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
)

func TestManyClientsWhoMissOneKeyCauseOneBackendRequest(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, counts()))
	s := start(t, b, items)
	answers := s.together(30, "/items/1", same())
	s.awaitOpens(30)
	open()
	collapsed := 0
	for i, a := range answers() {
		if a.body != "answer 1" {
			t.Errorf("client %d got %d %q %q %v", i, a.status, a.body, a.cache(), a.err)
		}
		if a.cache() == "fwd=uri-miss; collapsed" {
			collapsed++
		} else if a.cache() != "fwd=uri-miss; stored" {
			t.Errorf("client %d got %q", i, a.cache())
		}
	}
	if collapsed != 29 || b.requests.Load() != 1 {
		t.Errorf("%d answers are collapsed, and the backend saw %d requests", collapsed,
			b.requests.Load())
	}
}

func TestTwoProcessesWhoMissOneKeyCauseOneBackendRequest(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, counts()))
	s := start(t, b, items)
	other := start(t, b, items, func(o *setup) { o.prefix = s.prefix })
	first := s.together(1, "/items/1", same("Host: api.example"))
	await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	rest := other.together(10, "/items/1", same("Host: api.example"))
	other.awaitOpens(10)
	open()
	for i, a := range append(first(), rest()...) {
		if a.body != "answer 1" {
			t.Errorf("client %d got %d %q %q %v", i, a.status, a.body, a.cache(), a.err)
		}
	}
}

// leaver sends a request whose client can leave. It returns when the backend has been asked n
// times.
func (s *sidecar) leaver(b *api, path string, n int64) (leave func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	left := make(chan struct{})
	go func() { // ends when the client leaves
		defer close(left)
		s.do(ctx, http.MethodGet, path, nil)
	}()
	await(s.t, "the first one fetches", func() bool { return b.requests.Load() == n })
	return func() { cancel(); <-left }
}

func TestAClientThatLeavesTakesNobodysAnswerWithIt(t *testing.T) {
	var left, ended atomic.Int64
	g, open := newGate(t)
	b := backendThat(t, holds(g, counts()))
	s := start(t, b, items, watched(&left, &ended))
	leave := s.leaver(b, "/items/1", 1)
	answers := s.together(5, "/items/1", same())
	s.awaitOpens(6)
	leave()
	await(t, "the sidecar knows that", func() bool { return left.Load() == 1 })
	open()
	for i, a := range answers() {
		if a.body != "answer 1" {
			t.Errorf("client %d got %d %q %v", i, a.status, a.body, a.err)
		}
	}
	if n := b.requests.Load(); n != 1 {
		t.Errorf("the backend saw %d requests", n)
	}
	if a := s.get("/items/1"); a.body != "answer 1" || !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("afterwards: %q %q", a.body, a.cache())
	}
}

func TestWhenAllClientsHaveLeftTheBackendRequestEnds(t *testing.T) {
	var ended atomic.Int64
	g, _ := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n > 1 {
			write(w, "later")
			return
		}
		if !g.wait(r) {
			ended.Add(1)
		}
	})
	s := start(t, b, items)
	leave := s.leaver(b, "/items/1", 1)
	ctx, leaveToo := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() { // ends when the client leaves
		defer close(left)
		s.do(ctx, http.MethodGet, "/items/1", nil)
	}()
	s.awaitOpens(2)
	leave()
	if ended.Load() != 0 {
		t.Error("it ended while one was waiting still")
	}
	leaveToo()
	<-left
	await(t, "the backend request has ended", func() bool { return ended.Load() == 1 })
	if a := s.get("/items/1"); a.body != "later" {
		t.Errorf("whoever comes later gets %d %q %v", a.status, a.body, a.err)
	}
}

// unshared has four clients miss a key at once. Each has to get an answer of its own.
func unshared(t *testing.T, routes string,
	answers func(http.ResponseWriter, *http.Request, int)) *sidecar {
	t.Helper()
	g, open := newGate(t)
	b := backendThat(t, holds(g, answers))
	s := start(t, b, routes)
	wait := s.together(4, "/items/1", same())
	s.awaitOpens(4)
	open()
	seen := map[string]bool{}
	for i, a := range wait() {
		if a.err != nil || seen[a.body] {
			t.Errorf("client %d got %d, %d bytes that another had, %v", i, a.status, len(a.body),
				a.err)
		}
		seen[a.body] = true
	}
	if n := b.requests.Load(); n != 4 {
		t.Errorf("the backend saw %d requests", n)
	}
	return s
}

func TestAnAnswerThatMayNotBeSharedGoesToOneClient(t *testing.T) {
	unshared(t, items, counts("Cache-Control: no-store"))
}

func TestAnAnswerThatSetsACookieGoesToOneClient(t *testing.T) {
	unshared(t, items, counts("Set-Cookie: a=b"))
}

func TestAnAnswerThatIsStaleWhenItComesGoesToOneClient(t *testing.T) {
	unshared(t, items, counts("Cache-Control: max-age=1", "Age: 5", `ETag: "a"`))
}

func TestAnAnswerWithTrailersGoesToOneClient(t *testing.T) {
	s := unshared(t, items, func(w http.ResponseWriter, _ *http.Request, n int) {
		fmt.Fprint(w, "answer ", n)
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1") // announced by nobody
	})
	if a := s.get("/items/1"); strings.HasPrefix(a.cache(), "hit") ||
		a.fields.Get("Trailer:X-Sum") != "1" {
		t.Errorf("then: %q %q", a.cache(), a.fields)
	}
}

const large = `routes:
  - {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, max_body: 3MiB}}
`

// long is a body of this many bytes that begins with the number of the request.
func long(size int, announced bool) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, n int) {
		if announced {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.WriteString(w, fmt.Sprintf("%-8d", n)+strings.Repeat("x", size-8))
	}
}

func TestABodyThatIsTooLargeGoesToOneClient(t *testing.T) {
	t.Parallel()
	for _, announced := range []bool{true, false} {
		s := unshared(t, items, long(1<<20+1, announced))
		if a := s.get("/items/1"); strings.HasPrefix(a.cache(), "hit") || len(a.body) != 1<<20+1 {
			t.Errorf("then: %q, %d bytes", a.cache(), len(a.body))
		}
	}
}

func TestABodyInChunksGoesToOneClient(t *testing.T) {
	t.Parallel()
	s := unshared(t, large, long(2<<20, false))
	await(t, "it is stored",
		func() bool { return strings.HasPrefix(s.get("/items/1").cache(), "hit") })
}

// Nobody waits for answers under a key once one of them was for one client alone.
func TestNobodyWaitsWhereAnAnswerWasNotToBeShared(t *testing.T) {
	var together atomic.Int64
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch {
		case n == 1:
			counts()(w, r, n)
			return
		case n > 2:
			if together.Add(1) == 3 {
				open()
			}
			g.wait(r)
		}
		counts("Cache-Control: no-store")(w, r, n)
	})
	s := start(t, b, items, waits(time.Hour))
	s.get("/items/2") // of the route some can be shared
	s.get("/items/1")
	for i, a := range s.together(3, "/items/1", same())() { // they are at the backend at one time
		if a.status != http.StatusOK {
			t.Errorf("client %d got %d %v", i, a.status, a.err)
		}
	}
}

func TestAnAnswerThatVariesIsSharedWithThoseWhomItIsFor(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, func(w http.ResponseWriter, r *http.Request, n int) {
		write(w, "in "+r.Header.Get("Accept-Language"), "Vary: Accept-Language")
	}))
	s := start(t, b, items)
	language := func(i int) string { return []string{"de", "en"}[i%2] }
	wait := s.together(8, "/items/1",
		func(i int) []string { return []string{"Accept-Language: " + language(i)} })
	s.awaitOpens(8)
	open()
	for i, a := range wait() {
		if a.body != "in "+language(i) {
			t.Errorf("a client who reads %s got %q %q", language(i), a.body, a.cache())
		}
	}
	if n := b.requests.Load(); n > 5 {
		t.Errorf("the backend saw %d requests: the readers of one language have to share", n)
	}
}

func TestTwoCallersNeverShareAPrivateAnswer(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g,
		func(w http.ResponseWriter, r *http.Request, n int) {
			write(w, r.Header.Get("Authorization"))
		}))
	s := start(t, b, items)
	who := func(i int) string { return fmt.Sprint("Bearer ", i%2) }
	wait := s.together(8, "/own/1",
		func(i int) []string { return []string{"Authorization: " + who(i)} })
	s.awaitOpens(8)
	open()
	for i, a := range wait() {
		if a.body != who(i) {
			t.Errorf("%s got %q", who(i), a.body)
		}
	}
	if n := b.requests.Load(); n != 2 {
		t.Errorf("the backend saw %d requests, want one for each caller", n)
	}
}

func TestAGETAfterAWriteDoesNotJoinAnOlderFetch(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPut || n > 1 || g.wait(r) {
			write(w, fmt.Sprint("answer ", n))
		}
	})
	s := start(t, b, items)
	old := s.together(1, "/items/1", same())
	await(t, "the old one fetches", func() bool { return b.requests.Load() == 1 })
	if a := s.do(t.Context(), http.MethodPut, "/items/1", nil); a.status != http.StatusOK {
		t.Fatalf("PUT: %d %v", a.status, a.err)
	}
	if a := s.get("/items/1"); a.body != "answer 3" {
		t.Errorf("the read after the write got %q %q", a.body, a.cache())
	}
	open()
	if a := old()[0]; a.body != "answer 1" {
		t.Errorf("the old one got %q", a.body)
	}
	if a := s.get("/items/1"); a.body == "answer 1" {
		t.Errorf("what was fetched before the write is served after it: %q", a.cache())
	}
}

func TestARequestThatWantsAnAnswerOfItsOwnDoesNotJoin(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n > 1 || g.wait(r) {
			write(w, fmt.Sprint("answer ", n), "Cache-Control: max-age=60")
		}
	})
	s := start(t, b, items)
	first := s.together(1, "/items/1", same())
	await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	if a := s.get("/items/1", "Cache-Control: no-store"); a.body != "answer 2" {
		t.Errorf("no-store: %q %q", a.body, a.cache())
	}
	if a := s.get("/items/1", "Range: bytes=0-2"); a.body == "" {
		t.Errorf("a range: %d %q %v", a.status, a.body, a.err)
	}
	open()
	if a := first()[0]; a.body != "answer 1" {
		t.Errorf("the first one got %q", a.body)
	}
}

// The fetch of an answer that stalls in its middle is no longer waited for after two seconds.
func TestABodyThatStallsKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Content-Length", "8")
		_, _ = io.WriteString(w, "answer ")
		if n == 1 {
			_ = http.NewResponseController(w).Flush()
			g.wait(r)
		}
		_, _ = io.WriteString(w, fmt.Sprint(n))
	})
	s := start(t, b, items)
	first := s.together(1, "/items/1", same())
	await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	began, late := time.Now(), proc.Late(t)
	for i, a := range s.together(4, "/items/1", same())() {
		if len(a.body) != 8 || a.body == "answer 1" {
			t.Errorf("client %d got %q %q %v", i, a.body, a.cache(), a.err)
		}
	}
	if took := time.Since(began); took < time.Second || took-late() > 8*time.Second {
		t.Errorf("they waited %v", took)
	}
	open()
	if a := first()[0]; a.body != "answer 1" {
		t.Errorf("the first one got %q %v", a.body, a.err)
	}
}

func TestABodyThatIsCutOffIsNobodysAnswerAndIsNotStored(t *testing.T) {
	for _, framing := range []string{"Content-Length: 100", "Transfer-Encoding: chunked"} {
		t.Run(framing, func(t *testing.T) {
			g, open := newGate(t)
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if n > 1 {
					write(w, "whole")
					return
				}
				name, value, _ := strings.Cut(framing, ": ")
				if name == "Content-Length" {
					w.Header().Set(name, value)
				}
				_, _ = io.WriteString(w, "half")
				_ = http.NewResponseController(w).Flush()
				g.wait(r)
				panic(http.ErrAbortHandler)
			})
			s := start(t, b, items)
			first := s.together(1, "/items/1", same())
			await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
			rest := s.together(3, "/items/1", same())
			s.awaitOpens(4)
			open()
			if a := first()[0]; a.err == nil || a.body != "half" {
				t.Errorf("the first one got %q, and no error", a.body)
			}
			for i, a := range append(rest(), s.get("/items/1")) {
				if a.body != "whole" || a.err != nil {
					t.Errorf("client %d got %q %q %v", i, a.body, a.cache(), a.err)
				}
			}
		})
	}
}

// An answer of the size that is taken in hand comes to those who wait at their own pace.
func TestAClientThatReadsSlowlyKeepsNobodyElseWaiting(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, long(1<<20, true)))
	s := start(t, b, items)
	slow, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	check(t, err)
	defer slow.Close()
	_, err = fmt.Fprintf(slow, "GET /items/1 HTTP/1.1\r\nHost: %s\r\n\r\n",
		strings.TrimPrefix(s.url, "http://"))
	check(t, err)
	await(t, "the slow one fetches", func() bool { return b.requests.Load() == 1 })
	rest := s.together(3, "/items/1", same())
	s.awaitOpens(4)
	open()
	for i, a := range rest() {
		if len(a.body) != 1<<20 || a.body[0] != '1' {
			t.Errorf("client %d got %d bytes, %q, %v", i, len(a.body), a.cache(), a.err)
		}
	}
	if n := b.requests.Load(); n != 1 {
		t.Errorf("the backend saw %d requests", n)
	}
}

func TestAFailureOfTheOneThatFetchesIsNotStoredForTheOthers(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		write(w, "whole")
	}))
	s := start(t, b, items)
	first := s.together(1, "/items/1", same())
	await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	rest := s.together(3, "/items/1", same())
	s.awaitOpens(4)
	open()
	if a := first()[0]; a.status != http.StatusInternalServerError {
		t.Errorf("the first one got %d", a.status)
	}
	for i, a := range append(rest(), s.get("/items/1")) {
		if a.status != http.StatusOK || a.body != "whole" {
			t.Errorf("client %d got %d %q %q", i, a.status, a.body, a.cache())
		}
	}
}

func TestTwoReloadsFetchAnAnswerEach(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 || g.wait(r) {
			write(w, fmt.Sprint("answer ", n))
		}
	})
	s := start(t, b, items)
	s.cached("/items/1")
	wait := s.together(2, "/items/1", same("Cache-Control: no-cache"))
	await(t, "both are at the backend", func() bool { return b.requests.Load() == 3 })
	open()
	if a := wait(); a[0].body == a[1].body {
		t.Errorf("both got %q", a[0].body)
	}
}
