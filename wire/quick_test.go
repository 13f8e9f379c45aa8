package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
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
	qs := &quickServer{own: wire.Listen(l, wire.Options{Quick: q, Stall: 500 * time.Millisecond})}
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

// converse sends the input in pieces behind a first request, and returns all that comes back.
func converse(t *testing.T, l net.Listener, input []byte, pieces uint64) []byte {
	t.Helper()
	dialled, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialled.Close()
	_ = dialled.SetDeadline(time.Now().Add(patience))
	c := dialled.(*net.UnixConn)
	cut := rand.New(rand.NewPCG(pieces, 1))
	go func() { // ends with the connection
		_, _ = io.WriteString(c, warm)
		time.Sleep(time.Duration(pieces%3) * 200 * time.Microsecond)
		for len(input) > 0 {
			n := 1 + cut.IntN(len(input))
			if pieces%2 == 0 {
				n = len(input)
			}
			if _, err := c.Write(input[:n]); err != nil {
				return
			}
			input = input[n:]
		}
		_ = c.CloseWrite()
	}()
	out, err := io.ReadAll(c)
	if err != nil && isTimeout(err) {
		t.Fatalf("no end after %q", out)
	}
	return out
}

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

// ownDate is the Date of an answer that net/http gives by itself: that of tell is in another year.
var ownDate = regexp.MustCompile(
	`Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} 20\d\d \d\d:\d\d:\d\d GMT`)

// refusal is net/http's refusal of a head. One that is both too long and malformed is refused for
// the one or the other, as its bytes come.
var refusal = regexp.MustCompile(
	`(?s)HTTP/1\.1 (400 Bad Request|431 Request Header Fields Too Large)\r\n.*`)

// comparable is what came back without what differs from time to time.
func comparable(came []byte, input int) []byte {
	came = ownDate.ReplaceAll(came, nil)
	if input > 16<<10 {
		came = refusal.ReplaceAll(came, []byte("refused"))
	}
	return came
}

// FuzzQuick sends the same bytes, twice, to a server with a Quick and to one without, behind a
// first request and cut into pieces: all answers have to be the same, byte by byte, but for the
// time of net/http's own answers.
func FuzzQuick(f *testing.F) {
	for i, one := range slices.Concat(plainRequests, lastRequests, otherRequests) {
		f.Add([]byte(one), uint64(0))
		f.Add([]byte(plainRequests[0]+one+plainRequests[1]+plainRequests[2]), uint64(i))
		f.Add([]byte(one+one+one), uint64(2*i+1))
	}
	f.Add([]byte(strings.Repeat(plainRequests[0], 200)), uint64(4))
	f.Add([]byte(strings.Repeat(plainRequests[0]+inVain+plainRequests[3], 60)), uint64(5))
	dir := f.TempDir()
	plain := serveQuick(f, listen(f, "unix", filepath.Join(dir, "plain")), nil, tell)
	own := serveQuick(f, listen(f, "unix", filepath.Join(dir, "quick")), quick(tell), tell)
	f.Fuzz(func(t *testing.T, input []byte, pieces uint64) {
		input = slices.Concat(input, input) // heads that come again
		want := comparable(converse(t, plain.own, input, pieces), len(input))
		got := comparable(converse(t, own.own, input, pieces), len(input))
		if !bytes.Equal(got, want) {
			t.Errorf("of %q\nnet/http says %q\nbelow it  %q", input, want, got)
		}
	})
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

func TestPlainRequestsAreAnsweredBelowNetHTTP(t *testing.T) {
	var asked atomic.Uint64 // of net/http
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), quick(tell),
		func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			tell(w, r)
		})
	for _, request := range plainRequests {
		method, _, _ := strings.Cut(request, " ")
		c, before, asking := dial(t, s.own.Addr().String()), s.own.Answered(), asked.Load()
		see := func(what string, below, byServer uint64) {
			t.Helper()
			if got, others := s.own.Answered()-before, asked.Load()-
				asking; got != below || others != byServer {
				t.Errorf("%q: %s: %d answers below net/http and %d by it, want %d and %d",
					request, what, got, others, below, byServer)
			}
		}
		s.exchange(t, c, request)
		see("the first request of a connection", 0, 1)
		for range 3 {
			c.send(t, request)
			c.answerTo(t, method)
		}
		see("three more", 3, 1)
		c.send(t, request+request)
		c.answerTo(t, method)
		c.answerTo(t, method)
		if body := s.exchange(t, c, inVain); !strings.HasPrefix(body, "GET /n ") {
			t.Errorf("the request behind %q was answered %q", request, body)
		}
		see("two together, and one that is left to net/http", 5, 2)
		c.send(t, request)
		c.answerTo(t, method)
		see("one behind that", 6, 2)
	}
}

// Bytes that net/http has in hand belong to the next request.
func TestARequestBehindBytesInHandIsNetHTTPs(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), quick(tell), tell)
	for inHand, want := range map[string]string{"\r\n": "400 Bad Request", "GET": "GETGET /q "} {
		c := s.used(t)
		s.exchange(t, c, inVain+inHand)
		c.send(t, plainRequests[0])
		if body := c.answerTo(t, "GET"); !strings.HasPrefix(body, want) {
			t.Errorf("behind %q: %q", inHand, body)
		}
	}
	if n := s.own.Answered(); n != 0 {
		t.Errorf("%d were answered below net/http", n)
	}
}

func TestTheTimeBetweenRequestsCountsFromTheLastAnswer(t *testing.T) {
	short, long := quick(tell), quick(tell)
	short.Idle, long.Idle = 50*time.Millisecond, time.Hour
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), short, tell) // net/http waits for a minute
	c := s.used(t)
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
	if !c.ended() {
		t.Error("a connection waits longer than it may")
	}
	s = serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), long, tell,
		func(h *http.Server) { h.IdleTimeout = 300 * time.Millisecond })
	c = s.used(t)
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	if c.ended() {
		t.Error("the time before the last answer counted")
	}
}

func TestAHeadThatStaysIncompleteEndsTheConnection(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), quick(tell), tell,
		func(h *http.Server) { h.ReadHeaderTimeout = 50 * time.Millisecond })
	c := s.used(t)
	c.send(t, plainRequests[0]+plainRequests[0][:20])
	c.answerTo(t, "GET")
	if rest, err := io.ReadAll(c.read); err != nil { // with 400, or without a word
		t.Errorf("it does not end: %v, %q", err, rest)
	}
}

func TestAnAnswerUnderWayGoesOutBeforeTheEnd(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	q := quick(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-proceed
		tell(w, r)
	})
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Config.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- s.own.Await(ctx) }()
	select {
	case err := <-waited:
		t.Fatalf("nobody waits for the answer: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	if body := c.answerTo(t, "GET"); !strings.HasPrefix(body, "GET /q ") || !c.closes {
		t.Errorf("the answer is %q, and says that it is the last: %v", body, c.closes)
	}
	if err := <-waited; err != nil || !c.ended() {
		t.Errorf("the connection stays, or is waited for: %v", err)
	}
}

// A request that is looked at in vain when the server is to end is net/http's to answer first.
func TestARequestThatIsLookedAtWhenTheServerEndsIsAnswered(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	q := quick(tell)
	q.Take = func(*http.Request, any) (any, bool) {
		close(begun)
		<-proceed
		return nil, false
	}
	handling, finish := make(chan struct{}), make(chan struct{})
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q,
		func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/n" {
				close(handling)
				<-finish
			}
			tell(w, r)
		})
	c := s.used(t)
	c.send(t, inVain)
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	settled := make(chan error, 1)
	go func() { settled <- s.own.Settle(ctx) }()
	select {
	case err := <-settled:
		t.Fatalf("nobody waits for the request: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(proceed)
	select {
	case <-handling:
	case <-ctx.Done():
		t.Fatal("net/http has not got the request")
	}
	if err := <-settled; err != nil {
		t.Error(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Config.Shutdown(ctx) }()
	close(finish)
	if body := c.answerTo(t, "GET"); !strings.HasPrefix(body, "GET /n ") {
		t.Errorf("the answer is %q", body)
	}
	if err := <-ended; err != nil || !c.ended() {
		t.Errorf("the connection stays, or is waited for: %v", err)
	}
}

func TestALastAnswerEndsTheConnection(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Connection"] = []string{"close"}
			tell(w, r)
		}), tell)
	c := s.used(t)
	c.send(t, plainRequests[0]+plainRequests[0])
	c.answerTo(t, "GET")
	if s.own.Answered() != 1 || !c.ended() {
		t.Errorf("%d answers, and the connection stays", s.own.Answered())
	}
}

// A value that a request was taken with comes back with the same head on the same connection, and
// only then.
func TestWhatIsKeptComesBackWithTheSameHead(t *testing.T) {
	type ask struct {
		r    *http.Request
		kept any
	}
	asked := make(chan ask, 1)
	n := 0
	q := quick(tell)
	q.Take = func(r *http.Request, kept any) (any, bool) {
		asked <- ask{r, kept}
		n++
		return n, true
	}
	q.Answer = func(w http.ResponseWriter, taken any, _ func() context.Context) {
		_, _ = fmt.Fprint(w, taken)
	}
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell)
	c, other := s.used(t), s.used(t)
	const head = "GET /q/1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"
	var last *http.Request
	for i, step := range []struct {
		what, head string
		on         *client
		kept       any
		same       bool // the request is the last one
	}{
		{"the first time", head, c, nil, false},
		{"the second time", head, c, 1, true},
		{"the third time", head, c, 2, true},
		{"another connection", head, other, nil, false},
		{"another value", strings.Replace(head, "1\r\n\r", "2\r\n\r", 1), c, nil, false},
		{"the first value", head, c, nil, false},
		{"one more field", head[:len(head)-2] + "X-B: 1\r\n\r\n", c, nil, false},
		{"a long head", strings.Replace(head, "X-A: 1", "X-A: "+strings.Repeat("1", 2048), 1), c,
			nil, false},
		{"it is not kept", strings.Replace(head, "X-A: 1", "X-A: "+strings.Repeat("1", 2048), 1), c,
			nil, false},
	} {
		step.on.send(t, step.head)
		got := <-asked
		if body := step.on.answerTo(t, "GET"); body != fmt.Sprint(i+1) {
			t.Errorf("%s: it is answered %s", step.what, body)
		}
		if got.kept != step.kept || (got.r == last) != step.same {
			t.Errorf("%s: kept is %v, the same request: %t", step.what, got.kept, got.r == last)
		}
		last = got.r
	}
}

// Beyond a number of connections none keeps anything, until one of those that do has ended.
func TestFewConnectionsKeepTheirLastHead(t *testing.T) {
	kept := make(chan bool, 1)
	q := quick(tell)
	q.Take = func(r *http.Request, value any) (any, bool) {
		kept <- value != nil
		return see(r), true
	}
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell)
	keeps := func(c *client) bool {
		keeps := false
		for range 2 {
			c.send(t, plainRequests[0])
			keeps = <-kept
			c.answerTo(t, "GET")
		}
		return keeps
	}
	var first *client
	for i := range 1024 {
		c := s.used(t)
		if !keeps(c) {
			t.Fatalf("the %d. connection keeps nothing", i+1)
		}
		if first == nil {
			first = c
		}
	}
	if keeps(s.used(t)) {
		t.Error("one connection too many keeps its last head")
	}
	_ = first.Close()
	proc.Await(t, patience, func() error {
		if !keeps(s.used(t)) {
			return errors.New("there is no room though a connection has ended")
		}
		return nil
	})
}

// Bytes of the next request that come early do not end the connection when the answer before took
// longer than it may be idle.
func TestAnEarlyByteIsNotLateBehindALongAnswer(t *testing.T) {
	q := quick(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond) // longer than both bounds
		tell(w, r)
	})
	q.Idle = 200 * time.Millisecond
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell,
		func(h *http.Server) { h.IdleTimeout = 200 * time.Millisecond })
	c := s.used(t)
	c.send(t, plainRequests[0]+"GE")
	c.answerTo(t, "GET")
	c.send(t, strings.TrimPrefix(inVain, "GE"))
	if body := c.answerTo(t, "GET"); !strings.HasPrefix(body, "GET /n ") {
		t.Errorf("the next request is answered %q", body)
	}
}

// A long answer without a length, in pieces of all sizes, comes whole.
func TestAnAnswerWithoutALengthComesWhole(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for _, size := range []int{100, 2047, 2048, 2049, 16 << 10, len(content)} {
		s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
			quick(func(w http.ResponseWriter, _ *http.Request) {
				for piece := range slices.Chunk(content, size) {
					if n, err := w.Write(piece); n != len(piece) || err != nil {
						t.Errorf("Write: %d, %v", n, err)
					}
				}
			}), tell)
		c := s.used(t)
		for range 2 {
			c.send(t, plainRequests[0])
			if got := c.answerTo(t, "GET"); got != string(content) {
				t.Errorf("in pieces of %d: %d bytes came of %d", size, len(got), len(content))
			}
		}
		if n := s.own.Answered(); n != 2 {
			t.Errorf("%d answers below net/http", n)
		}
	}
}

// A leaver tells when the context of its request ends.
func leaver(t *testing.T) (h http.HandlerFunc, begun chan struct{}, ended chan error) {
	begun, ended = make(chan struct{}), make(chan error, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		select {
		case <-r.Context().Done():
			ended <- r.Context().Err()
		case <-time.After(patience):
			ended <- errors.New("it does not end")
		}
	}, begun, ended
}

func TestTheContextEndsWhenTheClientLeaves(t *testing.T) {
	for how, leave := range map[string]func(c *client){
		"it closes":       func(c *client) { _ = c.Close() },
		"it resets":       func(c *client) { _ = c.SetLinger(0); _ = c.Close() },
		"it ends its way": func(c *client) { _ = c.CloseWrite() },
	} {
		t.Run(how, func(t *testing.T) {
			h, begun, ended := leaver(t)
			s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), quick(h), tell)
			c := s.used(t)
			c.send(t, plainRequests[0])
			<-begun
			leave(c)
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

func TestTheContextLastsWhileTheClientIsThere(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				t.Errorf("%v, though its client is there", r.Context().Err())
			case <-time.After(400 * time.Millisecond): // it is looked after meanwhile
			}
			tell(w, r)
		}), tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
	c.send(t, plainRequests[0]+plainRequests[0]) // one more is there
	c.answerTo(t, "GET")
	c.answerTo(t, "GET")
}

// A lookedAt notes when it is asked for the system's connection, as each look after a client does.
type lookedAt struct {
	*net.TCPConn
	looks chan time.Time
}

func (c lookedAt) SyscallConn() (syscall.RawConn, error) {
	c.looks <- time.Now()
	return c.TCPConn.SyscallConn()
}

type lookedAtListener struct {
	net.Listener
	looks chan time.Time
}

func (l lookedAtListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lookedAt{c.(*net.TCPConn), l.looks}, nil
}

// There may be thousands of event streams.
func TestTheClientOfALongAnswerIsLookedAfterMoreRarely(t *testing.T) {
	const looks = 12
	l := lookedAtListener{listen(t, "tcp", "127.0.0.1:0"), make(chan time.Time, 1000)}
	s := serveQuick(t, l, quick(func(w http.ResponseWriter, r *http.Request) {
		var last, between time.Time
		for range looks {
			last, between = <-l.looks, last
		}
		if gap := last.Sub(between); gap < 300*time.Millisecond {
			t.Errorf("%v passed between look %d and %d", gap, looks-1, looks)
		}
		tell(w, r)
	}), tell)
	c := s.used(t)
	for len(l.looks) > 0 {
		<-l.looks
	}
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
}

func TestTheContextEndsWithTheAnswerAndWithTheProcess(t *testing.T) {
	base, end := context.WithCancel(t.Context())
	h, begun, ended := leaver(t)
	var first context.Context
	q := quick(func(w http.ResponseWriter, r *http.Request) {
		if first == nil {
			first = r.Context()
			tell(w, r)
			return
		}
		h(w, r)
	})
	q.Base = base
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
	proc.Await(t, patience, func() error {
		if first.Err() == nil {
			return errors.New("its context lasts")
		}
		return nil
	})
	c.send(t, plainRequests[0])
	<-begun
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAnAnswerThatBreaksOffEndsItsConnectionAlone(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/q/panic" {
				panic(http.ErrAbortHandler)
			}
			tell(w, r)
		}), tell)
	c, other := s.used(t), s.used(t)
	c.send(t, "GET /q/panic HTTP/1.1\r\nHost: a\r\n\r\n")
	if !c.ended() {
		t.Error("it stays")
	}
	other.send(t, plainRequests[0])
	other.answerTo(t, "GET")
	if err := s.own.Await(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALongAnswerComesWhole(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Length"] = []string{fmt.Sprint(len(content))}
			for part := range slices.Chunk(content, 1<<20-7) {
				if _, err := w.Write(part); err != nil {
					t.Error(err)
				}
			}
		}), tell)
	c := s.used(t)
	for range 2 {
		c.send(t, plainRequests[0])
		if got := c.answerTo(t, "GET"); got != string(content) {
			t.Fatalf("%d bytes came, not the %d", len(got), len(content))
		}
	}
	if s.own.Answered() != 2 {
		t.Errorf("%d answers below net/http", s.own.Answered())
	}
}

func TestAClientThatTakesNothingEndsAnAnswerBelowNetHTTP(t *testing.T) {
	ended := make(chan error, 1)
	q := quick(func(w http.ResponseWriter, r *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	})
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	select {
	case err := <-ended:
		if !isTimeout(err) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}
