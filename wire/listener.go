// Package wire is the data plane's server below the handlers: connections whose heads are read
// strictly (head), which may be ended one way (conn), and on which a client that stands still
// holds nothing for good (conn, stream); answers to plain requests below net/http (quick); and the
// handler that every other request passes first (handler).
package wire

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Stall is how long a client may take nothing of an answer.
const Stall = 30 * time.Second

// Options of Listen.
type Options struct {
	Connections int           // at most so many at once; 0: no bound
	Stall       time.Duration // how long a client may take nothing of an answer; 0: Stall
	Quick       *Quick        // nil: all is answered by net/http
}

// A Listener accepts connections for a server of HTTP/1.x and of HTTP/2 without TLS.
type Listener struct {
	net.Listener
	options Options
	room    chan struct{} // holds one for each connection; nil: there is no bound
	closed  chan struct{}
	closing sync.Once

	late     atomic.Int64  // connections that are being closed
	deciding atomic.Int64  // requests that may yet be left to net/http
	answered atomic.Uint64 // requests that were answered there
	keepers  atomic.Int64  // connections that keep their last head
}

// Listen returns l with connections that this package looks after. A further one is accepted when
// one of as many as may be has ended.
func Listen(l net.Listener, o Options) *Listener {
	if o.Stall == 0 {
		o.Stall = Stall
	}
	w := &Listener{Listener: l, options: o, closed: make(chan struct{})}
	if o.Connections > 0 {
		w.room = make(chan struct{}, o.Connections)
	}
	return w
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	if l.room != nil {
		select {
		case l.room <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.release()
		return nil, err
	}
	return newConn(c, l), nil
}

func (l *Listener) release() {
	if l.room != nil {
		<-l.room
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Answered is how many requests were answered below net/http.
func (l *Listener) Answered() uint64 { return l.answered.Load() }

// Settle waits until ctx is done for requests that may yet be left to net/http. Call it before the
// server is shut down, when Take has begun to take nothing: net/http takes their connections for
// idle, and would close those of requests that it is to answer.
func (l *Listener) Settle(ctx context.Context) error { return none(ctx, &l.deciding) }

// Await waits until ctx is done for answers that were under way below net/http when the server was
// shut down.
func (l *Listener) Await(ctx context.Context) error { return none(ctx, &l.late) }

// none waits until ctx is done for n to become 0.
func none(ctx context.Context, n *atomic.Int64) error {
	for n.Load() > 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

type connKey struct{}

// ConnContext is for http.Server: Handler finds the connection there.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if own, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// keepAlive makes the system ask soon whether the other side still knows of the connection.
func keepAlive(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3,
		})
	}
}
