package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A GET that announces content and ends without any is a read: it throws nothing out. One with
// content is a write, and reaches the backend whole.
func TestAGETWithoutAnyContentIsARead(t *testing.T) {
	t.Parallel()
	var got string
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = string(content)
		_, _ = io.WriteString(w, "x")
	})
	s := start(t, b, writes)
	stored := s.cached("/items/1")

	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: h2}
	t.Cleanup(transport.CloseIdleConnections)
	overH2 := func(content string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/items/1",
			io.NopCloser(strings.NewReader(content)))
		check(t, err)
		r.ContentLength = -1 // the head does not end the stream
		resp, err := transport.RoundTrip(r)
		check(t, err)
		defer resp.Body.Close()
		return resp.Header.Get("Cache-Status")
	}
	overH1 := func(chunks string) string {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		check(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn,
			"GET /items/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n",
			chunks)
		check(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		check(t, err)
		defer resp.Body.Close()
		return resp.Header.Get("Cache-Status")
	}
	for what, status := range map[string]string{"an empty DATA frame": overH2(""),
		"the last chunk alone": overH1("")} {
		if !strings.HasPrefix(status, "sidecar; hit") &&
			!strings.HasPrefix(status, "sidecar; fwd=uri-miss") {
			t.Errorf("%s: %q", what, status)
		}
	}
	if !stored() {
		t.Error("a GET without content threw an entry out")
	}
	for what, do := range map[string]func() string{
		"DATA":    func() string { return overH2("abc") },
		"a chunk": func() string { return overH1("3\r\nabc\r\n") },
	} {
		stored := s.cached("/items/1")
		if status := do(); !strings.Contains(status, "fwd=") || got != "abc" {
			t.Errorf("with %s: %q, and the backend got %q", what, status, got)
		}
		if stored() {
			t.Errorf("a GET with %s is no write", what)
		}
	}
}

// The Cookie fields into which HTTP/2 splits one (RFC 9113 §8.2.3) are one again; two of HTTP/1.1
// bypass the cache.
func TestCookieFieldsOfHTTP2AreJoined(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		_, _ = io.WriteString(w, strings.Join(r.Header["Cookie"], " | "))
	})
	s := start(t, b, `routes: [{match: "GET /mine", cache: {scope: private, ttl: 1m}}]`)
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: h2}
	t.Cleanup(transport.CloseIdleConnections)
	overH2 := func(cookies ...string) (cache, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/mine", nil)
		check(t, err)
		r.Header["Cookie"] = cookies
		resp, err := transport.RoundTrip(r)
		check(t, err)
		defer resp.Body.Close()
		content, err := io.ReadAll(resp.Body)
		check(t, err)
		return resp.Header.Get("Cache-Status"), string(content)
	}
	const whole = "session=a; theme=b"
	if cache, body := overH2("session=a",
		"theme=b"); !strings.HasSuffix(cache, "fwd=uri-miss; stored") ||
		body != whole {
		t.Errorf("split: %q, and the backend got %q", cache, body)
	}
	await(t, "the answer is stored", func() bool {
		return strings.HasPrefix(s.get("/mine", "Cookie: "+whole).cache(), "hit")
	})
	if got := s.get("/mine", "Cookie: session=a", "Cookie: theme=b"); got.cache() !=
		"fwd=bypass; detail=unclear-credential" {
		t.Errorf("two fields of HTTP/1.1: %q", got.cache())
	}
}
