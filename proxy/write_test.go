package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/peek"
	"sidecar/test/redisd"
)

const writes = `routes:
  - {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}
  - {match: "GET /named/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{response.body.item}"]}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
  - {match: "PUT /careful/{id}", invalidate: ["item:{id}"], invalidate_on_refusal: true}
  - {match: "PUT /strict/{id}", invalidate: ["item:{id}"], consistency: strict}
  - {match: "POST /of/body", invalidate: ["item:{request.body.id}"]}
  - {match: "POST /of/answer", invalidate: ["item:{response.body.id}"]}
`

// cached stores an answer of /items/1, and reports whether it is still served.
func (s *sidecar) cached(path string) (still func() bool) {
	s.t.Helper()
	s.get(path)
	if a := s.get(path); !strings.HasPrefix(a.cache(), "hit") {
		s.t.Fatalf("%s is not stored: %q", path, a.cache())
	}
	return func() bool { return strings.HasPrefix(s.get(path).cache(), "hit") }
}

// put writes with credentials.
func (s *sidecar) put(path, body string, fields ...string) answer {
	method := http.MethodPut
	if strings.HasPrefix(path, "/of/") {
		method = http.MethodPost
	}
	return s.do(s.t.Context(), method, path, strings.NewReader(body),
		append(fields, "Authorization: Basic eDp5")...)
}

func TestWhatAWriteInvalidatesFollowsFromItsRouteAndItsOutcome(t *testing.T) {
	t.Parallel()
	const json = "Content-Type: application/json"
	for _, c := range []struct {
		name, path, body string
		status           int
		fields           []string
		content          string
		gone             bool
	}{
		{"a success", "/items/1", "x", 200, nil, "", true},
		{"a success about something else", "/items/2", "x", 200, nil, "", false},
		{"a redirect", "/items/1", "x", 303, nil, "", true},
		{"a refusal", "/items/1", "x", 409, nil, "", false},
		{"a refusal where the route says that it counts", "/careful/1", "x", 409, nil, "", true},
		{"a request that took too long", "/items/1", "x", 408, nil, "", true},
		{"a server's error", "/items/1", "x", 500, nil, "", true},
		{"a gateway's", "/items/1", "x", 504, nil, "", true},
		{"a strict route", "/strict/1", "x", 200, nil, "", true},
		{"a tag of the body", "/of/body", `{"id":1}`, 200, nil, "", true},
		{"another tag of the body", "/of/body", `{"id":2}`, 200, nil, "", false},
		{"a body that cannot be read", "/of/body", `{"id":`, 200, nil, "", true},
		{"a tag of the answer", "/of/answer", "x", 200, []string{json}, `{"id":1}`, true},
		{"another tag of the answer", "/of/answer", "x", 200, []string{json}, `{"id":2}`, false},
		{"an answer that cannot be read", "/of/answer", "x", 200, []string{json}, `{"id":`, true},
		{"an answer without the tag", "/of/answer", "x", 200, []string{json}, `{}`, true},
		{"no route, but its Location", "/other", "x", 201, []string{"Location: /items/1"}, "",
			true},
		{"no route, and the Location of another", "/other", "x", 201,
			[]string{"Location: http://other.example/items/1"}, "", false},
		{"no route, and Content-Location", "/other", "x", 200,
			[]string{"Content-Location: /items/1"}, "", true},
	} {
		for _, path := range []string{"/items/1", "/named/1"} {
			if path == "/named/1" && strings.HasPrefix(c.name, "no route") {
				continue
			}
			t.Run(c.name+path, func(t *testing.T) {
				t.Parallel()
				s := start(t, backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
					if r.Method == http.MethodGet {
						write(w, fmt.Sprintf(`{"item":1,"n":%d}`, n), json)
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					for _, f := range c.fields {
						name, value, _ := strings.Cut(f, ": ")
						w.Header().Set(name, value)
					}
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.content)
				}), writes)
				still := s.cached(path)
				a := s.put(c.path, c.body, json)
				if a.status != c.status || a.body != c.content ||
					!strings.HasPrefix(a.cache(), "fwd=method") {
					t.Errorf("%d %q %q %v", a.status, a.body, a.cache(), a.err)
				}
				if still() == c.gone {
					t.Errorf("it is still served: %v", !c.gone)
				}
			})
		}
	}
}

// While a write is under way, reads that it may change go to the backend, and are not stored.
func TestAReaderDuringAWriteGetsNothingStoredAndStoresNothing(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet || g.wait(r) {
			write(w, fmt.Sprint("answer ", n))
		}
	})
	s := start(t, b, writes)
	other := start(t, b, writes, func(o *setup) { o.prefix = s.prefix })
	s.cached("/items/1")
	done := make(chan answer)
	go func() { done <- s.put("/items/1", "x") }()
	await(t, "the backend has the write", func() bool { return b.requests.Load() == 2 })
	for n := range 2 {
		a := other.get("/items/1")
		if want := fmt.Sprint("answer ", n+3); a.body != want ||
			!strings.HasSuffix(a.cache(), "detail=tag-closed") {
			t.Errorf("a reader elsewhere gets %q %q, want %q", a.body, a.cache(), want)
		}
	}
	open()
	if a := <-done; a.status != http.StatusOK {
		t.Errorf("the write: %d %v", a.status, a.err)
	}
	other.get("/items/1")
	if a := other.get("/items/1"); !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("after the write: %q", a.cache())
	}
}

// An answer to a request before a write that comes after it is stored, if at all, as dead.
func TestAnAnswerFromBeforeAWriteIsNotServedAfterIt(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPut || n > 1 || g.wait(r) {
			write(w, fmt.Sprint("answer ", n))
		}
	})
	s := start(t, b, writes)
	early := s.together(1, "/items/1", same())
	await(t, "the reader is at the backend", func() bool { return b.requests.Load() == 1 })
	s.put("/items/1", "x")
	open()
	if a := early()[0]; a.body != "answer 1" {
		t.Errorf("the reader got %q", a.body)
	}
	for range 2 {
		if a := s.get("/items/1"); a.body == "answer 1" {
			t.Errorf("after the write: %q %q", a.body, a.cache())
		}
	}
}

func TestAWriteThatReachedNobodyInvalidatesNothing(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, writes)
	s.cached("/items/1")
	b.Close() // connections are refused
	if a := s.put("/items/1", "x"); a.status != http.StatusBadGateway {
		t.Errorf("%d %q", a.status, a.cache())
	}
	if a := s.get("/items/1"); a.body != "answer 1" || !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("then: %d %q", a.status, a.cache())
	}
}

// An answer to a write that comes slowly is passed on, and drops the whole family.
func TestASlowAnswerToAWriteIsNotHeldForItsTags(t *testing.T) {
	seen := make(chan struct{})
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet {
			write(w, fmt.Sprint("answer ", n))
			return
		}
		_, _ = io.WriteString(w, `{"id":`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-seen:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `2}`)
	})
	s := start(t, b, writes, func(o *setup) { o.bodies = peek.NewRoom(1<<20, 50*time.Millisecond) })
	still := s.cached("/items/1")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/of/answer",
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(request) // returns with the head
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if still() {
		t.Error("the family is not dropped before the answer")
	}
	close(seen)
	if body, err := io.ReadAll(resp.Body); string(body) != `{"id":2}` {
		t.Errorf("%q, %v", body, err)
	}
}

// Strangers cannot keep a list out of the cache by writes that are refused.
func TestRefusedWritesWithoutCredentialsKeepNothingCold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, field string }{
		{"no credentials", "X-Nothing: 1"},
		{"a token that fails", "Authorization: Bearer a.b.c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if r.Method == http.MethodPut {
					_, _ = io.Copy(io.Discard, r.Body)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				write(w, fmt.Sprint("answer ", n))
			})
			s := start(t, b, "caller: {jwt: {secret_env: TOKEN_SECRET, algorithms: [HS256]}}\n"+
				writes, func(o *setup) { o.inspect = 4 })
			s.cached("/items/1")
			ctx, stop := context.WithCancel(t.Context())
			var writers sync.WaitGroup
			var refused atomic.Int64
			for n := range 4 {
				writers.Go(func() {
					for ctx.Err() == nil { // a short body, and one that is not inspected
						if s.do(ctx, http.MethodPut, "/items/1",
							strings.NewReader("refused"[n%2*4:]),
							c.field).status == http.StatusUnauthorized {
							refused.Add(1)
						}
					}
				})
			}
			await(t, "the writers are at work", func() bool { return refused.Load() > 8 })
			hits := 0
			for range 100 {
				if strings.HasPrefix(s.get("/items/1").cache(), "hit") {
					hits++
				}
			}
			stop()
			writers.Wait()
			if hits < 95 {
				t.Errorf("%d of 100 are hits", hits)
			}
		})
	}
}

// A write that is not announced invalidates as any other.
func TestAWriteWithoutCredentialsInvalidates(t *testing.T) {
	for _, status := range []int{http.StatusOK, http.StatusGatewayTimeout} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if r.Method == http.MethodPut {
				w.WriteHeader(status)
				return
			}
			write(w, fmt.Sprint("answer ", n))
		})
		s := start(t, b, writes)
		still := s.cached("/items/1")
		if a := s.do(t.Context(), http.MethodPut, "/items/1",
			strings.NewReader("x")); a.status != status || still() {
			t.Errorf("%d: it is still served", a.status)
		}
	}
}

func TestWithRedisAwayAStrictWriteIsRefusedAndAnotherPasses(t *testing.T) {
	t.Parallel()
	own := redisd.Start(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_, _ = io.Copy(io.Discard, r.Body)
		write(w, fmt.Sprint("answer ", n))
	})
	s := start(t, b, writes, func(o *setup) { o.redis = own })
	still := s.cached("/items/1")
	own.Kill()
	b.new()
	a := s.put("/strict/1", "x")
	if a.status != http.StatusServiceUnavailable ||
		a.fields.Get("Content-Type") != "application/problem+json" || b.new() != "" {
		t.Errorf("a strict write: %d %q, and the backend was asked", a.status, a.cache())
	}
	if a := s.put("/items/1", "x"); a.status != http.StatusOK {
		t.Errorf("an available write: %d %q", a.status, a.cache())
	}
	own.Restart()
	await(t, "the cache works again", func() bool {
		a := s.get("/items/1")
		if a.body == "answer 1" {
			t.Fatal("what was stored before the write is served after it")
		}
		return strings.HasPrefix(a.cache(), "hit")
	})
	if !still() {
		t.Error("nothing is served")
	}
	if a := s.put("/strict/1", "x"); a.status != http.StatusOK {
		t.Errorf("a strict write then: %d %q", a.status, a.cache())
	}
}
