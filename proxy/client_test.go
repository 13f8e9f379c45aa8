package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await waits for a condition.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// An answer is a client's view of a response.
type answer struct {
	status int
	fields http.Header
	body   string
	err    error // nil: it came whole
}

// cache is Cache-Status after the name of the cache.
func (a answer) cache() string {
	return strings.TrimPrefix(a.fields.Get("Cache-Status"), "sidecar; ")
}

// length is the announced length of the content; -1 if none is announced.
func (a answer) length() int64 {
	n, err := strconv.ParseInt(a.fields.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       30 * time.Second,
}

// get sends a GET with these fields, "Name: value".
func (s *sidecar) get(path string, fields ...string) answer {
	return s.do(s.t.Context(), http.MethodGet, path, nil, fields...)
}

// do sends a request and reads its answer to the end.
func (s *sidecar) do(ctx context.Context, method, path string, body io.Reader,
	fields ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return answer{err: err}
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	for name, values := range resp.Trailer {
		resp.Header["Trailer:"+name] = values
	}
	return answer{resp.StatusCode, resp.Header, string(content), err}
}

// An api is a backend that answers as a test says, and notes its requests.
type api struct {
	*httptest.Server
	requests atomic.Int64
	mu       sync.Mutex
	asked    []string // method, target, conditions and range of each request
}

// backendThat starts an API. n is the number of the request, from 1.
func backendThat(t testing.TB, answers func(w http.ResponseWriter, r *http.Request, n int)) *api {
	b := &api{}
	b.Server = httptest.NewUnstartedServer(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked := r.Method + " " + r.RequestURI
			for _, name := range []string{"If-None-Match", "If-Modified-Since", "Range"} {
				if value := r.Header.Get(name); value != "" {
					asked += " " + value
				}
			}
			b.mu.Lock()
			b.asked = append(b.asked, asked)
			b.mu.Unlock()
			answers(w, r, int(b.requests.Add(1)))
		}))
	b.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	b.Start()
	t.Cleanup(b.Close)
	return b
}

// new are the API's requests since the last call.
func (b *api) new() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer func() { b.asked = b.asked[:0] }()
	return strings.Join(b.asked, ", ")
}

// says answers every request with this body and these fields, "Name: value".
func says(body string, fields ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { write(w, body, fields...) }
}

// counts answers with the number of the request.
func counts(fields ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, n int) {
		write(w, fmt.Sprint("answer ", n), fields...)
	}
}

// write sends an answer of known length.
func write(w http.ResponseWriter, body string, fields ...string) {
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		w.Header().Add(name, value)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = io.WriteString(w, body)
}

// together sends n requests at once, the ith with fields(i), and returns a function that waits for
// their answers.
func (s *sidecar) together(n int, path string, fields func(i int) []string) func() []answer {
	answers := make([]answer, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { answers[i] = s.get(path, fields(i)...) })
	}
	return func() []answer { running.Wait(); return answers }
}

// same gives every request the same fields.
func same(fields ...string) func(int) []string { return func(int) []string { return fields } }

// A gate keeps a backend's answers until it is opened.
type gate chan struct{}

func newGate(t *testing.T) (g gate, open func()) {
	g = make(gate)
	open = sync.OnceFunc(func() { close(g) })
	t.Cleanup(open)
	return g, open
}

// wait reports whether the gate opened before the sidecar gave the request up.
func (g gate) wait(r *http.Request) bool {
	select {
	case <-g:
		return true
	case <-r.Context().Done():
		return false
	}
}

// holds answers as answers does, behind a gate.
func holds(
	g gate, answers func(http.ResponseWriter, *http.Request, int),
) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		if g.wait(r) {
			answers(w, r, n)
		}
	}
}

// raw sends these bytes on a connection of its own, and returns the bytes that come until it ends.
func (s *sidecar) raw(request string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	check(s.t, err)
	defer conn.Close()
	check(s.t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, request)
	check(s.t, err)
	got, _ := io.ReadAll(conn)
	return string(got)
}
