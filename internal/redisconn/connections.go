package redisconn

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// keepAlive is between two probes of TCP on an idle connection.
const keepAlive = 30 * time.Second

// connections are the open connections of a client, so that all of them can be dropped at once. Its
// pools and subscriptions bound their number.
type connections struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

// A connection is one of them.
type connection struct {
	net.Conn
	addr string // as it was dialled
	of   *connections
}

func newConnections() *connections { return &connections{open: map[*connection]struct{}{}} }

// dial implements the Dialer of go-redis.
func (c *connections) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}
	dialled, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	n := &connection{Conn: dialled, addr: addr, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[n] = struct{}{}
	return n, nil
}

// drop closes the connections to addr; "": all of them. Commands under way fail.
func (c *connections) drop(addr string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := range c.open {
		if addr == "" || addr == n.addr {
			_ = n.Conn.Close()
			delete(c.open, n)
		}
	}
}

// Close implements net.Conn.
func (n *connection) Close() error {
	n.of.mu.Lock()
	delete(n.of.open, n)
	n.of.mu.Unlock()
	return n.Conn.Close()
}

// SyscallConn implements syscall.Conn: go-redis looks at the socket before it uses an idle
// connection again.
func (n *connection) SyscallConn() (syscall.RawConn, error) {
	if c, ok := n.Conn.(syscall.Conn); ok {
		return c.SyscallConn()
	}
	return nil, syscall.ENOTSUP
}
