package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"sidecar/internal/socket"
)

// A Quick answers plain requests below net/http, which has a multiple of the work. Where it does
// not, net/http gets the same bytes, as if nothing had been.
//
// A request is plain if it is a GET or HEAD of HTTP/1.1 without content, in a strict subset of the
// grammar (see plainRequest), and has come whole when net/http asks for its first byte.
type Quick struct {
	// Take reports whether Answer is to answer the request. It must not wait, or change r. The
	// value is for Answer. It comes back as kept, with the same r, for the connection's next plain
	// request if that has the very same head and Answer has returned; else kept is nil.
	Take func(r *http.Request, kept any) (taken any, ok bool)
	// Answer answers a request that was taken. It may take its time: a connection that the server
	// closes meanwhile ends behind the answer. live, which is called at most once, returns a
	// context that is done when the client leaves, Base is done, or Answer has returned.
	Answer func(w http.ResponseWriter, taken any, live func() context.Context)
	Base   context.Context // of the requests' contexts
	Idle   time.Duration   // how long a connection may wait for its next request: IdleTimeout
}

// ConnState is for http.Server. Without it no request is answered below net/http.
func ConnState(c net.Conn, state http.ConnState) {
	own, ok := c.(*conn)
	if !ok {
		return
	}
	own.idle.Store(state == http.StateIdle)
	if state == http.StateIdle && own.spoilt.Load() {
		_ = own.Close()
	}
}

// The phases of a connection.
const (
	served    = iota // by net/http, or it waits for a request
	answering        // below it
	leaving          // as before, and to be closed behind the answer
	closed           // or about to be
)

// atBoundary reports whether the first byte that is read next is the first one of a request for
// certain: it is the first read since net/http waits for a request, and neither net/http nor the
// scanner has something in hand of it.
func (c *conn) atBoundary() bool {
	return c.quick != nil && c.idle.Swap(false) &&
		c.scan.state == between && !c.scan.blank && c.insert == "" && len(c.rest) == 0
}

// A connection whose next request came within busyTime is taken for a busy one: it waits for the
// next one without a read in vain, and is looked after once behind a burst of requests.
const busyTime = 10 * time.Millisecond

// answers are those that a connection gives below net/http, one after the other.
type answers struct {
	conn  *conn
	p     []byte    // begins with the bytes that have come
	last  time.Time // when the last request was answered
	until time.Time // the read deadline, once it is ours
	left  int       // bytes of p that are for net/http
	err   error     // ends the connection
}

// answerAll answers the requests at the beginning of p, which has n bytes, and those that come
// behind them. It returns how much of p is left for net/http. An error ends the connection.
func (c *conn) answerAll(p []byte, n int) (left int, err error) {
	a := answers{conn: c, p: p}
	defer func() {
		if c.phase.Load() == leaving {
			_ = c.close()
			c.listener.late.Add(-1)
		}
	}()
	if a.next(n) != socket.Stop {
		if err := a.readOn(); err != nil {
			a.err = err
		}
	}
	if c.watch.hasLeft() {
		a.err = io.EOF // and not that the time is over
	}
	return a.left, a.err
}

// readOn has next called for all that comes.
func (a *answers) readOn() error {
	if s, ok := a.conn.stream.(*socket.Conn); ok {
		return s.Repeat(a.p, a.next)
	}
	for {
		n, err := a.conn.stream.Read(a.p)
		if err != nil || a.next(n) == socket.Stop {
			return err
		}
	}
}

// next answers the requests in the n bytes that have come.
func (a *answers) next(n int) socket.Next {
	c, full, busy := a.conn, n == len(a.p), false
	for n > 0 {
		used, err := c.answer(a.p[:n])
		switch {
		case err != nil:
			a.err = err
			return socket.Stop
		case used == 0:
			a.left = n
			return socket.Stop
		}
		busy = a.answered(time.Now())
		n = copy(a.p, a.p[used:n])
	}
	switch {
	case full || !busy:
		return socket.Read
	case !c.await():
		return socket.Stop
	}
	return socket.Wait
}

// answered gives the client time for the next request, and reports whether the connection is busy.
func (a *answers) answered(now time.Time) (busy bool) {
	if idle := a.conn.quick.Idle; idle > 0 && a.until.Sub(now) < idle {
		a.until = now.Add(idle + idle/64) // it is not set for each request
		_ = a.conn.Conn.SetReadDeadline(a.until)
	}
	busy = now.Sub(a.last) < busyTime
	a.last = now
	return busy
}

// answer answers the request at the beginning of p. used is 0 where it does not. It does not close
// the connection itself: that would wait for the read that it may be called in.
func (c *conn) answer(p []byte) (used int, err error) {
	end := bytes.Index(p, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	head := p[:end+4]
	r, kept := c.last.of(head)
	if r == nil {
		r, _ = c.plainRequest(string(p[:end+2]))
	}
	if r == nil || !c.phase.CompareAndSwap(served, answering) {
		return 0, nil
	}
	defer func() {
		if !c.phase.CompareAndSwap(answering, served) {
			err = io.EOF
		}
	}()
	taken, ok := c.take(r, kept)
	if !ok {
		return 0, nil
	}
	c.more = len(p) > len(head)
	last, err := c.send(r, taken)
	if c.keep(head, r, taken); err == nil && last {
		err = io.EOF
	}
	return end + 4, err
}

func (c *conn) take(r *http.Request, kept any) (taken any, ok bool) {
	c.listener.deciding.Add(1)
	defer c.listener.deciding.Add(-1)
	return c.quick.Take(r, kept)
}

// send sends the answer to a request that was taken. last: it is the last one of its connection. Of
// an answer that ends in a panic nothing more is sent, and net/http ends the connection.
func (c *conn) send(r *http.Request, taken any) (last bool, err error) {
	c.listener.answered.Add(1)
	w := newQuickWriter(c, r.Method)
	defer w.release()
	defer c.watch.end()
	c.quick.Answer(w, taken, c.live)
	err = w.finish()
	return w.last, err
}

// A lastHead is the request that a connection answered last, for a client that sends the very same
// one again, as one that polls does.
type lastHead struct {
	head    []byte
	request *http.Request
	kept    any
}

// Bounds of keeping: a plan may take some kilobytes, and most connections are idle.
const (
	maxKept    = 2 << 10 // bytes of a head
	maxKeepers = 1 << 10 // connections of a listener that keep one
)

// The keeping of a connection.
const (
	keepsNothing = iota
	keeps        // it counts among maxKeepers
	keptEnough   // it has ended
)

// keep keeps a request that was answered, with its value, if the connection may.
func (c *conn) keep(head []byte, r *http.Request, value any) {
	if c.keeping.Load() == keepsNothing {
		if c.listener.keepers.Add(1) > maxKeepers ||
			!c.keeping.CompareAndSwap(keepsNothing, keeps) {
			c.listener.keepers.Add(-1)
		}
	}
	if c.keeping.Load() == keeps {
		c.last.keep(head, r, value)
	}
}

// forget makes room for another connection to keep something.
func (c *conn) forget() {
	if c.keeping.Swap(keptEnough) == keeps {
		c.listener.keepers.Add(-1)
	}
}

// of returns the request that was read from the same head, and its value; nil if it is another one.
func (l *lastHead) of(head []byte) (r *http.Request, kept any) {
	if !bytes.Equal(l.head, head) {
		return nil, nil
	}
	return l.request, l.kept
}

// keep keeps the request of a head with its value.
func (l *lastHead) keep(head []byte, r *http.Request, value any) {
	if len(head) > maxKept {
		*l = lastHead{}
		return
	}
	if l.request != r {
		l.head = append(l.head[:0], head...)
	}
	l.request, l.kept = r, value
}
