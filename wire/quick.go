package wire

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"time"
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
		if now := time.Now(); c.quick.Idle > 0 && until.Sub(now) < c.quick.Idle {
			until = now.Add(c.quick.Idle + c.quick.Idle/64) // it is not set for each request
			_ = c.Conn.SetReadDeadline(until)
		}
		if n = copy(p, p[used:n]); n > 0 {
			continue
		}
		if n, err = c.stream.Read(p); n == 0 || err != nil {
			return n, err
		}
	}
}

// answer answers the request at the beginning of p. used is 0 where it does not.
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
			_ = c.close()
			c.listener.late.Add(-1)
		}
	}()
	taken, ok := c.take(r, kept)
	if !ok {
		return 0, nil
	}
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
