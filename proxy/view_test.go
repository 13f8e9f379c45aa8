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
