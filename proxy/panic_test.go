package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A fragile is a ResponseWriter that panics.
type fragile struct {
	http.ResponseWriter
	status int // panics where this status is written; 0: at content
}

func (f *fragile) WriteHeader(status int) {
	if f.status == status {
		panic("the writer of a head panics")
	}
	f.ResponseWriter.WriteHeader(status)
}

func (f *fragile) Write(b []byte) (int, error) {
	if f.status == 0 {
		panic("the writer of content panics")
	}
	return f.ResponseWriter.Write(b)
}

func (f *fragile) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// fragileFor makes the answers to requests with a field X-Panics panic at that status.
func fragileFor(o *setup) {
	o.wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if at := r.Header.Get("X-Panics"); at != "" {
				f := &fragile{ResponseWriter: w}
				_, _ = fmt.Sscan(at, &f.status)
				w = f
			}
			next.ServeHTTP(w, r)
		})
	}
}

func TestAMissThatPanicsStrandsNobody(t *testing.T) {
	for _, c := range []struct{ name, at string }{
		{"before the answer's head", "103"}, {"at the answer's head", "200"},
		{"at its content", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, open := newGate(t)
			b := backendThat(t, holds(g, func(w http.ResponseWriter, r *http.Request, n int) {
				w.WriteHeader(http.StatusEarlyHints)
				write(w, fmt.Sprint("answer ", n))
			}))
			s := start(t, b, items, fragileFor, waits(time.Hour)) // nobody gives up by itself
			first := s.together(1, "/items/1", same("X-Panics: "+c.at))
			await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
			rest := s.together(3, "/items/1", same())
			s.awaitOpens(4)
			open()
			if a := first()[0]; a.err == nil {
				t.Errorf("the one that panics got %d %q, and no error", a.status, a.body)
			}
			for i, a := range append(rest(), s.get("/items/1")) {
				if a.status != http.StatusOK || !strings.HasPrefix(a.body, "answer ") {
					t.Errorf("client %d got %d %q %q %v", i, a.status, a.body, a.cache(), a.err)
				}
			}
		})
	}
}
