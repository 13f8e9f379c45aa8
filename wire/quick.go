package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// A Quick answers plain requests below net/http, which costs a multiple of such an answer. Where it
// does not, net/http gets the same bytes, as if nothing had been.
//
// A request is plain if it is a GET or HEAD of HTTP/1.1 without content, in a strict subset of the
// grammar (see plainRequest), and has come whole when net/http asks for its first byte.
type Quick struct {
	// May reports whether a request for this target may be answered. It is asked before more is
	// read of the request, and only saves work.
	May func(target string) bool
	// Answer answers a request whole, or reports false and has answered nothing. It may take a
	// bounded time: a connection that is closed meanwhile ends behind the answer. The answer is
	// sent when it returns. It must not change r. The value to keep comes back as kept, with the
	// same r, for the connection's next plain request if that has the very same head. Otherwise
	// kept is nil. Where Answer reports false, keep is not kept, but is for Resume.
	Answer func(w http.ResponseWriter, r *http.Request, kept any) (keep any, ok bool)
	// Resume adds what Answer has found, if that is not nil, to the context of the same request,
	// which net/http has read; nil: Answer finds nothing.
	Resume func(ctx context.Context, found any) context.Context
	Idle   time.Duration // how long a connection may wait for its next request: IdleTimeout
}

// ConnState is for http.Server. Without it no request is answered below net/http.
func ConnState(c net.Conn, state http.ConnState) {
	if own, ok := c.(*conn); ok {
		own.idle.Store(state == http.StateIdle)
	}
}

// The phases of a connection.
const (
	served    = iota // by net/http
	answering        // below it
	leaving          // as before, and to be closed behind the answer
)

// atBoundary reports whether the first byte that is read next is the first one of a request for
// certain: it is the first read since net/http waits for a request, and neither net/http nor the
// scanner has something in hand of it.
func (c *conn) atBoundary() bool {
	return c.quick != nil && c.idle.Swap(false) &&
		c.scan.state == between && !c.scan.blank && c.insert == "" && len(c.rest) == 0
}

// resume is r with what was found for it below net/http.
func (c *conn) resume(r *http.Request) *http.Request {
	found := c.found
	if c.found = nil; found == nil || c.quick.Resume == nil {
		return r
	}
	return r.WithContext(c.quick.Resume(r.Context(), found))
}

// answerAll answers the requests at the beginning of p, which has n bytes, and those that come
// behind them. It returns how much of p is left for net/http. An error ends the connection.
func (c *conn) answerAll(p []byte, n int) (left int, err error) {
	var until time.Time // the read deadline, once it is ours
	for {
		used, err := c.answer(p[:n])
		switch {
		case err != nil:
			return 0, err
		case used == 0:
			return n, nil
		}
		if n = copy(p, p[used:n]); n > 0 {
			continue
		}
		if now := time.Now(); c.quick.Idle > 0 && until.Sub(now) < c.quick.Idle {
			until = now.Add(c.quick.Idle + c.quick.Idle/64) // it is not set for each request
			_ = c.Conn.SetReadDeadline(until)
		}
		if n, err = c.stream.Read(p); n == 0 || err != nil {
			return n, err
		}
	}
}

// answer answers the request at the beginning of p. used is 0 where it does not.
func (c *conn) answer(p []byte) (used int, err error) {
	c.found = nil
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	head := p[:end+4]
	r, kept := c.last.of(head)
	if r == nil {
		if !c.quick.May(targetOf(head)) {
			return 0, nil
		}
		r, _ = c.plainRequest(string(p[:end+2]))
	}
	if r == nil || !c.phase.CompareAndSwap(served, answering) {
		return 0, nil
	}
	w := quickWriters.Get().(*quickWriter)
	w.conn = c
	c.listener.answering.Add(1)
	defer func() {
		c.listener.answering.Add(-1)
		w.release()
		if !c.phase.CompareAndSwap(answering, served) {
			err = io.EOF
			_ = c.close()
			c.listener.late.Add(-1)
		}
	}()
	keep, ok := c.quick.Answer(w, r, kept)
	if !ok {
		c.found = keep
		return 0, nil
	}
	c.last.keep(head, r, keep)
	c.listener.answered.Add(1)
	if err = w.flush(); err == nil && w.last {
		err = io.EOF
	}
	return end + 4, err
}

// A lastHead is the request that a connection answered last, for a client that sends the very same
// one again, as one that polls does.
type lastHead struct {
	head    []byte
	request *http.Request
	kept    any
}

// maxKept is how long a head may be that is kept for its next time, in bytes.
const maxKept = 2 << 10

// of returns the request that was read from the same head, and its value; nil if it is another one.
func (l *lastHead) of(head []byte) (r *http.Request, kept any) {
	if !bytes.Equal(l.head, head) {
		return nil, nil
	}
	return l.request, l.kept
}

// keep keeps the request of a head with its value, or nothing if there is none.
func (l *lastHead) keep(head []byte, r *http.Request, value any) {
	if value == nil || len(head) > maxKept {
		*l = lastHead{}
		return
	}
	if l.request != r {
		l.head = append(l.head[:0], head...)
	}
	l.request, l.kept = r, value
}
