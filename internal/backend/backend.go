// Package backend is the API behind the sidecar, as a client of it sees it: the request that is
// sent on (outgoing, forwarding), one exchange (roundtrip), a WebSocket (upgrade) and whether the
// API is there at all (health).
//
// HTTP/1.1 is spoken by this package itself (direct): requesthead writes the head of a request and
// upload its content, responsehead and framing read the head of the answer and body its content,
// and pool keeps the connection, which is used again only if nothing came on it that nobody asked
// for. HTTP/2 is left to net/http's Transport; over TLS the backend chooses between the two
// (secure).
package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/internal/socket"
)

// Bounds towards the backend.
const (
	idleTimeout     = 90 * time.Second
	idleConnections = 512
	maxHead         = 1 << 20 // bytes of an answer's heads, informational ones with it
	continueTimeout = time.Second
	tlsTimeout      = 10 * time.Second
	bufferSize      = 16 << 10 // of the read and of the write buffer of a connection
)

// Options of a Backend.
type Options struct {
	// URL is BACKEND_URL: http, https, h2c (HTTP/2 without TLS) with host and port, or unix with
	// the path of a socket. A path is refused: requests pass with the path that they have.
	URL     string
	Timeout time.Duration // from the end of the request to the first byte of the answer's head
	Dial    time.Duration // to connect
	// HealthPath is asked by Healthy; "": a connection is enough.
	HealthPath string
	Trusted    []netip.Prefix // peers whose forwarding fields are believed
	Via        bool           // send Via
	TLS        *tls.Config    // nil: the system's roots
	// Observe, if not nil, is told of each request but those that ask for its health, and of the
	// time to the head of its answer. trace is the id of its trace; "" if it is in none.
	Observe func(o Outcome, took time.Duration, trace string)
	// Traced says that contexts may have spans: each request then gets one, to the head of its
	// answer, and the backend is told of it.
	Traced bool
}

// A Backend sends requests to the API. It is safe for concurrent use.
type Backend struct {
	scheme, host string // of outgoing URLs
	network      string // to dial
	address      string
	dialer       net.Dialer
	serverName   string          // that its certificate has to bear
	tls          *tls.Config     // nil: connections are not over TLS
	transport    *http.Transport // of HTTP/2
	// of connections over HTTP/1.1; nil: there are none, all go by transport
	idle      *pool
	offered   chan *tls.Conn // for the transport: one that was made for HTTP/1.1, and is not
	speaks2   atomic.Bool    // over TLS: the backend chose HTTP/2 last
	pseudonym string         // of this process
	options   Options
	sockets   sync.WaitGroup // upgraded connections
	record    record
}

// New returns the backend at o.URL and connects to nothing.
func New(o Options) (*Backend, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		// err would tell a password
		return nil, errors.New("BACKEND_URL: it is no URL, which is like http://127.0.0.1:3000")
	}
	b := &Backend{
		scheme: u.Scheme, host: u.Host, network: "tcp", address: u.Host,
		dialer: net.Dialer{Timeout: o.Dial}, pseudonym: newPseudonym(), options: o,
	}
	switch u.Scheme {
	case "http":
	case "https":
		b.serverName, b.tls = u.Hostname(), o.TLS
		if b.tls == nil {
			b.tls = &tls.Config{}
		}
	case "h2c":
		b.scheme = "http"
	case "unix":
		b.scheme, b.host = "http", "localhost"
		b.network, b.address = "unix", u.Host+u.Path
	default:
		return nil, fmt.Errorf("BACKEND_URL: its scheme is none of http, https, h2c, unix")
	}
	if err := b.checkTarget(u); err != nil {
		return nil, err
	}
	if u.Scheme != "h2c" {
		b.idle = &pool{}
	}
	if u.Scheme == "h2c" || u.Scheme == "https" {
		b.makeTransport()
	}
	return b, nil
}

// makeTransport makes the transport for HTTP/2. It never speaks HTTP/1.1: after an answer that was
// longer than it said, net/http may take the rest for the answer to the next request.
func (b *Backend) makeTransport() {
	var protocols http.Protocols
	protocols.SetHTTP2(b.tls != nil)
	protocols.SetUnencryptedHTTP2(b.tls == nil)
	b.transport = &http.Transport{
		Protocols:              &protocols,
		DialContext:            b.dial,
		DisableCompression:     true, // a body passes in the coding that the backend chose
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  b.options.Timeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxHead,
		WriteBufferSize:        bufferSize,
		ReadBufferSize:         bufferSize,
	}
	if b.tls != nil {
		b.offered = make(chan *tls.Conn, 1)
		b.transport.DialTLSContext = b.dialHTTP2
	}
}

func (b *Backend) checkTarget(u *url.URL) error {
	if b.network == "unix" {
		if b.address == "" {
			return errors.New(
				"BACKEND_URL: unix wants the path of a socket, like unix:///run/api.sock")
		}
		return nil
	}
	if u.Host == "" {
		return errors.New("BACKEND_URL: it names no host, and is like http://127.0.0.1:3000")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return errors.New(
			"BACKEND_URL: only scheme, host and port: requests pass with the path that they " +
				"have, and with their own credentials")
	}
	if u.Port() == "" {
		port := "80"
		if u.Scheme == "https" {
			port = "443"
		}
		b.address = net.JoinHostPort(u.Hostname(), port)
	}
	return nil
}

// dial connects to the backend, and ignores the address of the request's URL.
func (b *Backend) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := b.dialer.DialContext(ctx, b.network, b.address)
	if err != nil {
		return nil, err
	}
	return socket.New(c), nil
}

// Timeout is how long the backend has to begin an answer.
func (b *Backend) Timeout() time.Duration { return b.options.Timeout }

// Close closes idle connections, and waits for upgraded ones, whose contexts have to be done.
func (b *Backend) Close() {
	if b.transport != nil {
		b.transport.CloseIdleConnections()
	}
	select {
	case c := <-b.offered:
		_ = c.Close()
	default:
	}
	if b.idle != nil {
		b.idle.Close()
	}
	b.sockets.Wait()
}

// AwaitSockets waits until the upgraded connections have ended, or ctx is done.
func (b *Backend) AwaitSockets(ctx context.Context) {
	ended := make(chan struct{})
	go func() { // ends with the last of them, which Close awaits
		defer close(ended)
		b.sockets.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
