package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const denied = `routes:
  - {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h}}
  - {match: "/internal/{rest...}", deny: true}
  - {match: "POST /items/{id}/secret", deny: true}
`

func TestADeniedRouteIsAnswered404AndReachesNobody(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, denied)
	for _, c := range []struct{ method, target string }{
		{"GET", "/internal/x"}, {"POST", "/internal/x"}, {"OPTIONS", "/internal/x"},
		{"HEAD", "/internal/x"},
		{"GET", "/internal/"}, {"POST", "/items/1/secret"}, {"POST", "//internal//x"},
		{"POST", "/a/../internal/x"},
		{"POST", "/%69nternal/x"}, {"GET", "/%69nternal/x"},
	} {
		a := s.do(t.Context(), c.method, c.target, nil)
		if a.status != http.StatusNotFound || b.new() != "" || c.method != "HEAD" &&
			!strings.Contains(a.body, "There is nothing here") {
			t.Errorf("%s %s: %d %q", c.method, c.target, a.status, a.body)
		}
	}
	if a := s.do(t.Context(), "POST", "/items/1", nil); a.status != http.StatusOK {
		t.Errorf("another method of a cached path: %d", a.status)
	}
}

func TestATargetThatCannotBeReadForCertainIsRefused(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, items)
	for _, line := range []string{
		"GET /items/1#x HTTP/1.1", "CONNECT x:443 HTTP/1.1", "CONNECT /items/1 HTTP/1.1",
	} {
		raw := s.raw(line + "\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(raw, "HTTP/1.1 400 ") ||
			!strings.Contains(raw, "application/problem+json") || b.new() != "" {
			t.Errorf("%s: %q", line, raw)
		}
	}
	raw := s.raw("GET http://x/items/1 HTTP/1.1\r\nHost: y\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 200 ") || b.new() != "GET /items/1" {
		t.Errorf("an absolute target: %q", raw)
	}
	raw = s.raw("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 200 ") {
		t.Errorf("an asterisk: %q", raw)
	}
}

func TestOtherMethodsPassAndInvalidateNothing(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, items)
	still := s.cached("/items/1")
	for _, method := range []string{http.MethodOptions, http.MethodTrace} {
		b.new()
		if a := s.do(t.Context(), method, "/items/1", nil); a.status != http.StatusOK ||
			b.new() != method+" /items/1" || a.cache() != "fwd=method" {
			t.Errorf("%s: %d %q", method, a.status, a.cache())
		}
		if !still() {
			t.Errorf("%s has invalidated what was stored", method)
		}
	}
}

func TestAnAnswerPassesAsTheBackendSentIt(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		h := w.Header()
		h["Date"], h["Content-Type"] = nil, nil
		h["X-Twice"] = []string{"1", "2"}
		h["Connection"], h["X-Hop"] = []string{"X-Hop"}, []string{"1"}
		h["Set-Cookie"] = []string{"a=b", "c=d"}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	s := start(t, b, items)
	for _, path := range []string{"/other", "/items/1"} {
		a := s.get(path)
		if a.status != http.StatusTeapot || a.body != "short and stout" {
			t.Errorf("%s: %d %q", path, a.status, a.body)
		}
		f := a.fields
		if len(f["X-Twice"]) != 2 || len(f["Set-Cookie"]) != 2 || f["Date"] != nil ||
			f["Content-Type"] != nil || f["X-Hop"] != nil {
			t.Errorf("%s: %q", path, f)
		}
	}
}

func TestInformationalAnswersComeBeforeTheFinalOne(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		write(w, "x")
	})
	s := start(t, b, items)
	for _, path := range []string{"/other", "/items/1"} {
		raw := s.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(raw,
			"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"+
				"HTTP/1.1 200 OK\r\n") || strings.Count(raw, "Link") != 1 {
			t.Errorf("%s: %q", path, raw)
		}
		raw = s.raw("GET " + path + "0 HTTP/1.0\r\nHost: x\r\n\r\n")
		if !strings.HasPrefix(raw, "HTTP/1.0 200 OK\r\n") {
			t.Errorf("%s for HTTP/1.0: %q", path, raw)
		}
	}
}

func TestAnAnswerComesAsTheBackendSendsIt(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		if g.wait(r) {
			_, _ = io.WriteString(w, "second\n")
		}
	})
	s := start(t, b, items)
	for _, path := range []string{"/other", "/items/1"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
		check(t, err)
		resp, err := client.Do(req)
		check(t, err)
		defer resp.Body.Close()
		lines := bufio.NewReader(resp.Body)
		if line, err := lines.ReadString('\n'); line != "first\n" {
			t.Errorf("%s: %q %v before the backend is done", path, line, err)
		}
		defer func() {
			if line, err := lines.ReadString('\n'); line != "second\n" {
				t.Errorf("%s: %q %v", path, line, err)
			}
		}()
	}
	open()
}

func TestABackendRequestThatBypassesEndsWithItsClient(t *testing.T) {
	var ended atomic.Bool
	g, _ := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		ended.Store(!g.wait(r))
	})
	s := start(t, b, items)
	leave := s.leaver(b, "/other", 1)
	leave()
	await(t, "the backend request has ended", ended.Load)
}

func TestABackendThatDoesNotAnswerIsA502OrA504(t *testing.T) {
	t.Parallel()
	slow, _ := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if strings.HasSuffix(r.URL.Path, "slow") {
			slow.wait(r)
			return
		}
		panic(http.ErrAbortHandler)
	})
	s := start(t, b, items, func(o *setup) { o.backend.Timeout = 200 * time.Millisecond })
	for path, status := range map[string]int{
		"/other": 502, "/items/1": 502, "/other/slow": 504, "/items/slow": 504,
	} {
		a := s.get(path)
		if a.status != status || a.fields.Get("Content-Type") != "application/problem+json" ||
			a.cache() == "" {
			t.Errorf("%s: %d %q, want %d", path, a.status, a.fields, status)
		}
	}
}

// An answer that breaks off must not look complete.
func TestAnAnswerThatBreaksOffBreaksItsClientsToo(t *testing.T) {
	for _, length := range []string{"", "100"} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		s := start(t, b, writes)
		for _, c := range []struct{ method, path string }{{"GET", "/other"}, {"GET", "/items/1"},
			{"PUT", "/items/1"}, {"POST", "/of/answer"}} {
			if a := s.do(context.Background(), c.method, c.path, nil); a.err == nil ||
				a.status != http.StatusOK {
				t.Errorf("%s %s, Content-Length %q: %d %q, and no error", c.method, c.path, length,
					a.status, a.body)
			}
		}
		raw := s.raw("GET /items/1 HTTP/1.1\r\nHost: x\r\n\r\n")
		if strings.HasSuffix(raw, "0\r\n\r\n") || !strings.Contains(raw, "half") {
			t.Errorf("the connection says %q", raw)
		}
	}
}

func TestTrailersPassTheCache(t *testing.T) {
	for _, announced := range []bool{true, false} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			name := http.TrailerPrefix + "X-Sum"
			if announced {
				w.Header().Set("Trailer", "X-Sum")
				name = "X-Sum"
			}
			_, _ = fmt.Fprint(w, "answer ", n)
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(name, "7")
		})
		s := start(t, b, items)
		for _, c := range []struct{ method, path string }{{"GET", "/other"}, {"GET", "/items/1"},
			{"PUT", "/items/1"}} {
			if a := s.do(t.Context(), c.method, c.path, nil); a.fields.Get("Trailer:X-Sum") != "7" {
				t.Errorf("%s %s, announced %v: %q", c.method, c.path, announced, a.fields)
			}
		}
	}
}

func TestAProtocolSwitchGoesPastTheCache(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("Upgrade") == "" {
			write(w, "no upgrade")
			return
		}
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn,
			"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		said, _ := both.ReadString('\n')
		_, _ = io.WriteString(conn, "you said "+said)
	})
	s := start(t, b, items)
	raw := s.raw(
		"GET /items/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
			"hello\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 101 ") ||
		!strings.HasSuffix(raw, "\r\n\r\nyou said hello\n") {
		t.Errorf("%q", raw)
	}
}
