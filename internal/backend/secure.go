package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// Over TLS the backend chooses between HTTP/1.1, which this package speaks itself, and HTTP/2,
// which net/http's transport speaks, when a connection is made (ALPN, RFC 7301). The next request
// is made for the last choice; a connection on which it chooses otherwise is kept for the other
// way, and the request goes there.
var (
	errHTTP1 = errors.New("the backend chose HTTP/1.1")
	errHTTP2 = errors.New("the backend chose HTTP/2")
)

// dialTLS connects, and offers these protocols.
func (b *Backend) dialTLS(ctx context.Context, protocols []string) (*tls.Conn, error) {
	raw, err := b.dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	config := b.tls.Clone()
	config.NextProtos = protocols
	if config.ServerName == "" {
		config.ServerName = b.serverName
	}
	c := tls.Client(raw, config)
	shaking, cancel := context.WithTimeoutCause(ctx, tlsTimeout, errHandshakeTimeout)
	defer cancel()
	if err := c.HandshakeContext(shaking); err != nil {
		_ = raw.Close()
		if ctx.Err() == nil && shaking.Err() != nil {
			err = errHandshakeTimeout
		}
		return nil, err
	}
	return c, nil
}

// dialHTTP2 is the transport's: it takes a connection that was offered, or makes one.
func (b *Backend) dialHTTP2(ctx context.Context, _, _ string) (net.Conn, error) {
	select {
	case c := <-b.offered:
		return c, nil
	default:
	}
	c, err := b.dialTLS(ctx, []string{"h2", "http/1.1"})
	if err != nil {
		return nil, err
	}
	if !isHTTP2(c) {
		b.idle.put(newTLSConn(c, c.NetConn()))
		return nil, errHTTP1
	}
	return c, nil
}

// offer leaves a connection over which HTTP/2 is spoken to the transport.
func (b *Backend) offer(c *tls.Conn) {
	select {
	case b.offered <- c:
	default:
		_ = c.Close()
	}
}

// errHandshakeTimeout is a net.Error, as a connection is that takes too long.
var errHandshakeTimeout error = handshakeTimeout{}

type handshakeTimeout struct{}

func (handshakeTimeout) Error() string   { return "the TLS handshake took too long" }
func (handshakeTimeout) Timeout() bool   { return true }
func (handshakeTimeout) Temporary() bool { return true }
