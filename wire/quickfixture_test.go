package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/wire"
)

// tell answers with all that a handler can see of a request, in a way that the target names.
func tell(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	var told bytes.Buffer
	fmt.Fprintf(&told, "%s %s %q %q %s %d %v %v %s %q %v\n",
		r.Method, r.RequestURI, r.URL.Path, r.URL.RawQuery, r.Proto,
		r.ContentLength, r.TransferEncoding, r.Close, r.Host, content, err)
	_ = r.Header.Write(&told)
	h, control := w.Header(), http.NewResponseController(w)
	h["Date"], h["Content-Type"] = []string{"Fri, 26 Nov 1999 12:00:00 GMT"}, nil
	h["Content-Length"] = []string{fmt.Sprint(told.Len())}
	h["Cache-Status"] = []string{"a; hit", "b; hit"}
	has := func(way string) bool { return strings.Contains(r.URL.Path, way) }
	status := http.StatusOK
	switch {
	case has("odd"):
		status = 599
	case has("same"):
		status = http.StatusNotModified
	case has("none"):
		status = http.StatusNoContent
	}
	if has("open") || has("pieces") || has("trailer") {
		delete(h, "Content-Length")
	}
	if has("typed") {
		h["Content-Type"] = []string{"text/plain"}
	}
	if has("early") {
		h["Link"] = []string{"</style.css>"}
		w.WriteHeader(http.StatusEarlyHints)
		delete(h, "Link")
	}
	if has("trailer") {
		h["Trailer"] = []string{"X-Sum, X-Left-Out", "X-Other"}
	}
	if !has("mute") {
		w.WriteHeader(status)
		w.WriteHeader(http.StatusTeapot) // is too late
	}
	switch {
	case has("pieces"):
		for piece := range slices.Chunk(told.Bytes(), 30) {
			_, _ = w.Write(piece)
			_ = control.Flush()
		}
	case has("short"):
		_, _ = w.Write(told.Bytes()[:5])
	case has("long"):
		_, _ = w.Write(append(told.Bytes(), "more"...))
		_, _ = w.Write(told.Bytes())
	case has("mute"):
	case has("begun"):
		_ = control.Flush()
		fallthrough
	default:
		_, _ = w.Write(told.Bytes())
	}
	if has("trailer") {
		h["X-Sum"] = []string{"1", "2"}
		h[http.TrailerPrefix+"X-Sudden"] = []string{"3"}
	}
	if has("break") {
		panic(http.ErrAbortHandler)
	}
}

// A seen is a request as it was when it was taken.
type seen struct {
	r    *http.Request
	text string
}

func see(r *http.Request) seen {
	var text bytes.Buffer
	_ = r.Write(&text)
	return seen{r, r.RemoteAddr + text.String()}
}

// quick answers targets below /q. It panics where the value that it gets back is not that of the
// same request, unchanged.
func quick(answer http.HandlerFunc) *wire.Quick {
	return &wire.Quick{
		Base: context.Background(), Idle: time.Minute,
		Take: func(r *http.Request, kept any) (any, bool) {
			if kept != nil && kept != see(r) {
				panic(fmt.Sprintf("%+v comes back with %+v", kept, see(r)))
			}
			return see(r), strings.HasPrefix(r.RequestURI, "/q")
		},
		Answer: func(w http.ResponseWriter, taken any, live func() context.Context) {
			answer(w, taken.(seen).r.WithContext(live()))
		},
	}
}

// A quickServer is a server with a Quick, that counts how often a connection of it became idle.
type quickServer struct {
	*httptest.Server
	own   *wire.Listener
	idles atomic.Int64
}

// serveQuick starts a server on a listener. q may be nil.
func serveQuick(t testing.TB, l net.Listener, q *wire.Quick, h http.HandlerFunc,
	change ...func(*http.Server)) *quickServer {
	t.Helper()
	return serveBounded(t, l, wire.Options{Quick: q, Stall: patience}, h, change...)
}

// serveBounded is serveQuick with options.
func serveBounded(t testing.TB, l net.Listener, o wire.Options, h http.HandlerFunc,
	change ...func(*http.Server)) *quickServer {
	t.Helper()
	qs := &quickServer{own: wire.Listen(l, o)}
	s := httptest.NewUnstartedServer(wire.Handler(h, slog.New(slog.DiscardHandler)))
	_ = s.Listener.Close()
	s.Listener, qs.Server = qs.own, s
	s.Config.ConnContext = wire.ConnContext
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if wire.ConnState(c, state); state == http.StateIdle {
			qs.idles.Add(1)
		}
	}
	s.Config.IdleTimeout, s.Config.ReadHeaderTimeout = time.Minute, time.Minute
	s.Config.MaxHeaderBytes = 16 << 10
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range change {
		f(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return qs
}

// exchange sends a request that net/http answers, and waits until it waits for the next one.
func (s *quickServer) exchange(t *testing.T, c *client, request string) (body string) {
	t.Helper()
	idles := s.idles.Load()
	c.send(t, request)
	method, _, _ := strings.Cut(request, " ")
	body = c.answerTo(t, method)
	proc.Await(t, patience, func() error {
		if s.idles.Load() == idles {
			return errors.New("net/http does not wait for another request")
		}
		return nil
	})
	return body
}

// used is a connection on which net/http waits for the second request.
func (s *quickServer) used(t *testing.T) *client {
	t.Helper()
	c := dial(t, s.own.Addr().String())
	s.exchange(t, c, warm)
	return c
}

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// warm is a request after which a connection may be answered below net/http.
const warm = "GET /warm HTTP/1.1\r\nHost: a\r\n\r\n"

// plainRequests are answered below net/http on a connection that waits for them.
var plainRequests = []string{
	"GET /q HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /q/1?b=%20c HTTP/1.1\r\nHost: a.example:80\r\nAccept:  x \r\nAccept: y\r\n" +
		"x-lower: 1\r\nX-Empty:\r\n\r\n",
	"GET /q/none HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
	"GET /q/same HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\nCookie: a=b; c\r\n\r\n",
	"GET /q/odd HTTP/1.1\r\nHost: [::1]\r\nX_Y: 1\r\nX_Y: 2\r\nX-Tab: a\tb\r\n\r\n",
	"GET /q/open HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /q/open HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/pieces HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /q/pieces HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/begun HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/early/trailer HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/pieces/trailer HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /q/trailer HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/mute/open HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /q/mute/open HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/none/open HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/none/typed HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/same/typed HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /q/same/typed HTTP/1.1\r\nHost: a\r\n\r\n",
}

// lastRequests are answered below net/http, and their answers end the connection.
var lastRequests = []string{
	"GET /q/early/long HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/short HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/mute HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/pieces/break HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q/begun/break HTTP/1.1\r\nHost: a\r\n\r\n",
}

// inVain is looked at below net/http, and left to it.
const inVain = "GET /n HTTP/1.1\r\nHost: a\r\n\r\n"

// otherRequests are net/http's to answer, or to refuse.
var otherRequests = []string{
	"GET //q HTTP/1.1\r\nHost: a\r\n\r\n",
	inVain,
	"POST /q HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
	"POST /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	"GET /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nConnection: x-a\r\nX-A: 1\r\n\r\n",
	"GET /q HTTP/1.0\r\nHost: a\r\n\r\n",
	"GET /q HTTP/1.1\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost:\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a/b\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
	"GET /q HTTP/1.1\nHost: a\n\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
	"GET /q%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q\tb HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET  /q HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q#f HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://b/q HTTP/1.1\r\nHost: a\r\n\r\n",
	"get /q HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /q HTTP/1.1 \r\nHost: a\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 5000) + "\r\n\r\n",
	"GET /q HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 30000) + "\r\n\r\n",
	"\r\n" + plainRequests[0],
	"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\r\n" + plainRequests[0],
	"GET /q HTTP/1.1\r\nHost: a\r\n",
	"\x16\x03\x01\x02\x00\x01",
}

// answerTo reads an answer to a request with this method.
func (c *client) answerTo(t *testing.T, method string) (body string) {
	t.Helper()
	resp, err := http.ReadResponse(c.read, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode < 200 {
		return c.answerTo(t, method)
	}
	c.closes = resp.Close
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
