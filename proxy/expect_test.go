package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/origin"
)

const expectRoutes = "routes: [{match: 'GET /c/{id}', cache: {scope: shared, ttl: 1h, tags: ['c:{id}']}}, " +
	"{match: 'PUT /c', invalidate: ['c:{request.body.id}']}]"

// dialed is a connection to the sidecar.
func (s *sidecar) dialed() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	check(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	check(s.t, c.SetDeadline(time.Now().Add(20*time.Second)))
	return c, bufio.NewReader(c)
}

// A client that asks whether to send its body hears the API's answer before it sends anything.
func TestTheAPIIsAskedWhetherItWantsABody(t *testing.T) { // RFC 9110 §10.1.1
	var asked atomic.Bool
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		if asked.Store(true); r.Values("Expect") == nil {
			t.Errorf("%q", r.Head)
		}
		_, _ = c.WriteString("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		c.AwaitEnd()
	})
	s := start(t, &api{Server: &httptest.Server{URL: o.URL()}}, expectRoutes)
	c, read := s.dialed()
	_, err := io.WriteString(c,
		"PUT /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n")
	check(t, err)
	resp, err := http.ReadResponse(read, nil)
	check(t, err)
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestEntityTooLarge || string(body) != "no" ||
		!asked.Load() {
		t.Errorf("%s %q", resp.Status, body)
	}
}

// The write's tags are closed before the API has its body, and invalidated before the answer.
func TestABodyThatTheAPIWantsIsTakenInHand(t *testing.T) {
	var closed atomic.Bool
	var s *sidecar
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		if r.Method == "GET" {
			_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
			return
		}
		before := s.operations("begin")
		if !c.Silent(50 * time.Millisecond) {
			t.Error("the body came unasked")
		}
		_, _ = c.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		if body, err := io.ReadAll(r.Body); string(body) != `{"id":1}` || err != nil {
			t.Errorf("%q %v", body, err)
		}
		closed.Store(s.operations("begin") > before)
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	s = start(t, &api{Server: &httptest.Server{URL: o.URL()}}, expectRoutes)
	s.get("/c/1")
	await(t, "a hit", func() bool { return strings.HasPrefix(s.get("/c/1").cache(), "hit") })
	c, read := s.dialed()
	_, err := io.WriteString(c, "PUT /c HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n"+
		"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n")
	check(t, err)
	resp, err := http.ReadResponse(read, nil)
	check(t, err)
	if resp.StatusCode != http.StatusContinue {
		t.Fatal(resp.Status)
	}
	_, err = io.WriteString(c, `{"id":1}`)
	check(t, err)
	if resp, err = http.ReadResponse(read, nil); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	if !closed.Load() {
		t.Error("the tags were not closed before the API had the body")
	}
	if got := s.get("/c/1"); strings.HasPrefix(got.cache(), "hit") {
		t.Error("what the write changed is still served")
	}
}
