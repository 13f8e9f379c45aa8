package redisconn

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sidecar/internal/socket"
)

// keepAlive is between two probes of TCP on an idle connection.
const keepAlive = 30 * time.Second

// connections are the open connections of a client, so that they can be dropped at once, or let go
// when they are idle. Its pools and subscriptions bound their number.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

// A connection is one of them.
type connection struct {
	net.Conn
	addr    string            // as the pool knows it
	sum     [sha256.Size]byte // of the access with which it was dialled
	of      *connections
	retired atomic.Bool
}

func newConnections() *connections { return &connections{open: map[*connection]struct{}{}} }

// add notes a connection, and returns it in the form that the pool gets.
func (c *connections) add(dialled net.Conn, addr string, a *access) net.Conn {
	n := &connection{Conn: dialled, addr: addr, sum: a.sum, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[n] = struct{}{}
	return n
}

// drop closes the connections to addr; "": all of them. Commands under way fail.
func (c *connections) drop(addr string) {
	c.closeIf(func(n *connection) bool { return addr == "" || addr == n.addr })
}

// retire lets go of the connections that were dialled with another access than a: the pool takes
// none of them for a new command.
func (c *connections) retire(a *access) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.open {
		if n.sum != a.sum {
			n.retired.Store(true)
		}
	}
}

// dropRetired closes the retired connections.
func (c *connections) dropRetired() {
	c.closeIf(func(n *connection) bool { return n.retired.Load() })
}

func (c *connections) closeIf(which func(*connection) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.open {
		if which(n) {
			_ = n.closeSocket()
			delete(c.open, n)
		}
	}
}

// size is how many there are.
func (c *connections) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open)
}

// Close implements net.Conn.
func (n *connection) Close() error {
	n.of.mu.Lock()
	delete(n.of.open, n)
	n.of.mu.Unlock()
	return n.closeSocket()
}

// closeSocket closes without a word of TLS, which could wait for the other side.
func (n *connection) closeSocket() error {
	if secure, ok := n.Conn.(*tls.Conn); ok {
		return secure.NetConn().Close()
	}
	return n.Conn.Close()
}

// Errors by which the pool lets go of an idle connection.
var (
	errRetired = errors.New("redis: the connection was made with an older password or certificate")
	errUnread  = errors.New("redis: the idle connection ended, or has unread data")
)

// SyscallConn implements syscall.Conn: go-redis looks at the socket before it uses an idle
// connection again.
func (n *connection) SyscallConn() (syscall.RawConn, error) {
	if n.retired.Load() {
		return nil, errRetired
	}
	plain := n.Conn
	secure, isTLS := plain.(*tls.Conn)
	if isTLS {
		plain = secure.NetConn()
	}
	c, ok := plain.(syscall.Conn)
	if !ok {
		return nil, syscall.ENOTSUP
	}
	raw, err := c.SyscallConn()
	switch {
	case err != nil:
		return nil, err
	case isTLS:
		return silentTLS{silent{raw}}, nil
	}
	return silent{raw}, nil
}

// A dialError is an error before anything was sent.
type dialError struct{ error }

// Unwrap implements errors.
func (e dialError) Unwrap() error { return e.error }

// reach dials addr, with TLS where a wants it, whose server is to have a certificate for name; "":
// for the host of addr.
func reach(ctx context.Context, addr, name string, a *access) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	d := net.Dialer{KeepAlive: keepAlive}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, dialError{err}
	}
	conn = socket.New(conn)
	if a.tls == nil {
		return conn, nil
	}
	c := a.tls.Clone()
	if c.ServerName = name; name == "" {
		c.ServerName, _, _ = net.SplitHostPort(addr)
	}
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, dialError{&tlsError{addr, err}}
	}
	return secure, nil
}

// A tlsError is a handshake that failed.
type tlsError struct {
	addr string
	err  error
}

// Error implements error.
func (e *tlsError) Error() string { return "TLS with " + e.addr + ": " + e.err.Error() }

// Unwrap implements errors.
func (e *tlsError) Unwrap() error { return e.err }
