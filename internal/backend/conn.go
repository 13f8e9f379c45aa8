package backend

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"sidecar/internal/socket"
)

// A conn is a connection to the backend over which HTTP/1.1 is spoken, with the bytes that were
// read from it and not used yet.
type conn struct {
	net.Conn
	read  *bufio.Reader
	room  []byte        // for the next head
	quiet func() bool   // reports, without waiting, that neither bytes nor the end have come
	spoke bool          // a byte has come while it was idle
	asker *socket.Asker // looks for itself whether it is quiet; nil: over TLS
	ask   []byte        // the request that goes out with the next read
	since time.Time     // when it became idle
	by    time.Time     // the deadline that is set for both directions; zero: none is
}

// answerBy gives the backend until timeout from now, or up to a 64th of it longer: the deadline is
// not set for each request.
func (c *conn) answerBy(now time.Time, timeout time.Duration) {
	if c.by.Sub(now) < timeout {
		c.by = now.Add(timeout + timeout/64)
		_ = c.SetDeadline(c.by)
	}
}

// takeTime takes the deadline away.
func (c *conn) takeTime() {
	if !c.by.IsZero() {
		c.by = time.Time{}
		_ = c.SetDeadline(c.by)
	}
}

func newConn(raw net.Conn) *conn {
	c := &conn{Conn: raw, asker: socket.NewAsker(raw)}
	c.read = bufio.NewReaderSize(c, bufferSize)
	c.quiet = quietOf(raw, &c.spoke)
	return c
}

// Read implements io.Reader, for read alone.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.ask == nil {
		return c.Conn.Read(p)
	}
	n, err = c.asker.Ask(c.ask, p)
	c.ask = nil
	if err == socket.ErrNotQuiet {
		c.spoke, n = n > 0, 0
	}
	return n, err
}

// readReady reads what is buffered, and with it what else has come: it waits only for the first
// byte. A body in few pieces is sent on in few pieces.
func (c *conn) readReady(p []byte) (n int, err error) {
	buffered := c.read.Buffered() > 0
	n, err = c.read.Read(p)
	own, ok := c.Conn.(*socket.Conn)
	if !ok || !buffered || err != nil || n == len(p) {
		return n, err
	}
	more, err := own.TryRead(p[n:])
	if err == syscall.EAGAIN {
		err = nil
	}
	return n + more, err
}

// newTLSConn returns a connection over TLS; raw carries its records.
func newTLSConn(c *tls.Conn, raw net.Conn) *conn {
	quiet := quietOf(raw, new(bool)) // a record may be of TLS itself
	own := &conn{Conn: &tlsConn{c, raw}, read: bufio.NewReaderSize(c, bufferSize)}
	own.quiet = func() bool {
		own.takeTime() // before the deadline is used for something else
		return quiet() && hasNothingDecrypted(c)
	}
	return own
}

// hasNothingDecrypted reports whether no content waits in c itself, behind a record that was read
// from the network as a whole. It does not wait.
func hasNothingDecrypted(c *tls.Conn) bool {
	_ = c.SetReadDeadline(time.Unix(1, 0))
	n, err := c.Read(make([]byte, 1))
	_ = c.SetReadDeadline(time.Time{})
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// A tlsConn closes at once: tls.Conn's own Close may wait for the other side to read.
type tlsConn struct {
	*tls.Conn
	raw net.Conn
}

// Close implements net.Conn.
func (c *tlsConn) Close() error { return c.raw.Close() }
