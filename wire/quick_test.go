package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
)

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
