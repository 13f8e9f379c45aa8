package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/internal/socket"
)

// A conn is a client's connection as the server sees it. net/http reads from one goroutine at a
// time, and may set deadlines from another.
type conn struct {
	net.Conn
	stream   net.Conn // the same, to read from and to write to
	listener *Listener
	stall    time.Duration // a write may make no progress for so long
	quick    *Quick        // nil: all is answered by net/http

	scan   scanner
	insert string // to be read next
	rest   []byte // to be scanned next, and then read

	spoilt  atomic.Bool  // the bytes behind the present request are not another one
	idle    atomic.Bool  // net/http waits for the next request, and nothing was read since
	phase   atomic.Int32 // served, answering, leaving or closed
	remote  string       // the client's address, once it is known
	last    lastHead     // of the reading goroutine
	keeping atomic.Int32 // whether last may have one
	more    bool         // bytes behind the present request have been read; as last
	watch   watch        // of the request that is answered below net/http

	writeBy   atomic.Int64 // the write deadline in Unix nanoseconds; 0: none is set
	ownWrites atomic.Bool  // the server has set a write deadline of its own

	mu      sync.Mutex
	aborted bool          // the read deadline has passed
	holding chan struct{} // closed when it passes, while a read holds the end back; else nil
	closing sync.Once
	lingers sync.Once
	held    held
}

func newConn(c net.Conn, l *Listener) *conn {
	return &conn{
		Conn: c, stream: socket.New(c), listener: l, stall: l.options.Stall, quick: l.options.Quick,
		scan: newScanner(),
	}
}

// Read implements io.Reader.
func (c *conn) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if c.insert != "" {
			n := copy(p, c.insert)
			c.insert = c.insert[n:]
			return n, nil
		}
		if c.scan.state == over {
			if c.scan.last && len(p) == 1 {
				return 0, c.hold()
			}
			return 0, io.EOF
		}
		if len(p) > 1 && c.scan.beforeContent() { // net/http reads another request
			c.scan.answered()
		}
		boundary := c.atBoundary()
		n, err := c.next(p)
		if boundary && err == nil {
			n, err = c.answerAll(p, n)
		}
		used, insert := c.scan.scan(p[:n])
		if used < n || insert != "" {
			c.insert = insert
			c.rest = append(append([]byte(nil), p[used:n]...), c.rest...)
		}
		if used > 0 || err != nil && n == 0 {
			if err == io.EOF && len(p) == 1 && c.scan.writes {
				err = c.hold()
			}
			return used, err
		}
	}
	return 0, nil
}

// next reads the bytes left to scan, or from the client.
func (c *conn) next(p []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	return c.stream.Read(p)
}

// hold keeps the end of the client's direction from the server while it answers a request that may
// change something, others that came with it, or the last one. The client may have ended only its
// own direction, and wait for the answer; net/http would cancel the request. It is called in the
// one read of a single byte that net/http makes beside a handler. That ends when the answer is out
// and the server gives the read up, or when the client turns out to be gone.
func (c *conn) hold() error {
	c.mu.Lock()
	if c.aborted {
		c.mu.Unlock()
		return os.ErrDeadlineExceeded
	}
	aborted := make(chan struct{})
	c.holding = aborted
	c.mu.Unlock()
	keepAlive(c.Conn)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-aborted:
			return os.ErrDeadlineExceeded
		case <-tick.C:
			if isGone(c.Conn) {
				return io.EOF
			}
		}
	}
}

// Write implements io.Writer. It fails when the client takes nothing for a while.
func (c *conn) Write(p []byte) (n int, err error) {
	for {
		c.extend()
		took, err := c.stream.Write(p[n:])
		n += took
		if err == nil || took == 0 || c.ownWrites.Load() ||
			!errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		c.writeBy.Store(0) // the client is slow, and moves
	}
}

// writeAll writes the parts as Write would one after the other, in one call of the system where it
// takes them.
func (c *conn) writeAll(all socket.Parts) error {
	n := 0
	if s, ok := c.stream.(*socket.Conn); ok {
		c.extend()
		var err error
		if n, err = s.TryWrite(all); err != nil {
			return err
		}
	}
	for _, p := range all {
		written := min(n, len(p))
		n -= written
		if written == len(p) {
			continue
		}
		if _, err := c.Write(p[written:]); err != nil {
			return err
		}
	}
	return nil
}

// extend sets the write deadline where it has become too near. It is not set for each write, which
// would cost more than the write.
func (c *conn) extend() {
	if c.stall <= 0 || c.ownWrites.Load() {
		return
	}
	now := time.Now()
	if by := c.writeBy.Load(); by-now.UnixNano() >= int64(c.stall) {
		return
	}
	by := now.Add(c.stall + c.stall/6)
	c.writeBy.Store(by.UnixNano())
	_ = c.Conn.SetWriteDeadline(by)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.ownWrites.Store(!t.IsZero())
	c.writeBy.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.abort(t)
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.abort(t)
	c.ownWrites.Store(!t.IsZero())
	c.writeBy.Store(0)
	return c.Conn.SetDeadline(t)
}

// abort ends a read that holds the end back, if the read deadline has passed already.
func (c *conn) abort(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case deadline.IsZero():
		c.aborted = false
	case !deadline.After(time.Now()):
		c.aborted = true
		if c.holding != nil {
			close(c.holding)
			c.holding = nil
		}
	}
}

// Close implements io.Closer. An answer that is under way below net/http, which takes the
// connection for idle, goes out first.
func (c *conn) Close() error {
	c.listener.late.Add(1)
	for !c.phase.CompareAndSwap(served, closed) && c.phase.Load() < leaving {
		if c.phase.CompareAndSwap(answering, leaving) {
			return nil
		}
	}
	defer c.listener.late.Add(-1)
	return c.close()
}

func (c *conn) close() error {
	if c.spoilt.Load() {
		c.lingers.Do(c.linger)
	}
	c.abort(time.Unix(1, 0))
	c.watch.close()
	c.forget()
	c.closing.Do(c.listener.release)
	return c.Conn.Close()
}

// lingerTime bounds how long bytes are taken that nobody reads, as in net/http.
const lingerTime = 500 * time.Millisecond

// linger ends the direction to the client, and takes bytes that still come: those that nobody has
// read would reset the connection, and take the answer with them.
func (c *conn) linger() {
	if c.CloseWrite() != nil || c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c.Conn, maxLateContent)
}

// CloseWrite ends the direction to the client.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
