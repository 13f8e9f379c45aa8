// Package backend is the API behind the sidecar, as a client of it sees it: what is sent on (outgoing, forwarding), one exchange
// (roundtrip), a WebSocket (upgrade) and whether it is there at all (health).
//
// A GET or HEAD over HTTP/1.1 without TLS is sent and answered here (direct): requesthead writes it, responsehead and framing read what the answer
// says of itself, body reads its content, and pool keeps the connection. Everything else is left to net/http's Transport.
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
	"time"
)

// Bounds towards the backend.
const (
	idleTimeout     = 90 * time.Second
	idleConnections = 512
	maxHead         = 1 << 20 // bytes of an answer's heads, informational ones with it
	continueTimeout = time.Second
	tlsTimeout      = 10 * time.Second
	bufferSize      = 16 << 10 // of what is read from a connection, and written to it
)

// Options of a Backend.
type Options struct {
	// URL is BACKEND_URL: http, https, h2c (HTTP/2 without TLS) with host and port, or unix with the path of a socket. A path is
	// refused: requests pass with the path that they have.
	URL     string
	Timeout time.Duration // from the end of the request to the first byte of the answer's head
	Dial    time.Duration // to connect
	// HealthPath is asked by Healthy; "": a connection is enough.
	HealthPath string
	Trusted    []netip.Prefix // peers whose forwarding fields are believed
	Via        bool           // send Via
	TLS        *tls.Config    // nil: the system's roots
}

// A Backend sends requests to the API. It is safe for concurrent use.
type Backend struct {
	scheme, host string // of outgoing URLs
	network      string // to dial
	address      string
	dialer       net.Dialer
	transport    *http.Transport
	idle         *pool // of connections for direct requests; nil: there are none, all go by transport
	options      Options
	sockets      sync.WaitGroup // upgraded connections
}

// New returns the backend at o.URL and connects to nothing.
func New(o Options) (*Backend, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("BACKEND_URL: %w", err)
	}
	b := &Backend{scheme: u.Scheme, host: u.Host, network: "tcp", address: u.Host, dialer: net.Dialer{Timeout: o.Dial}, options: o}
	var protocols http.Protocols
	switch u.Scheme {
	case "http":
		protocols.SetHTTP1(true)
	case "https":
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true)
	case "h2c":
		b.scheme = "http"
		protocols.SetUnencryptedHTTP2(true)
	case "unix":
		b.scheme, b.host = "http", "localhost"
		b.network, b.address = "unix", u.Host+u.Path
		protocols.SetHTTP1(true)
	default:
		return nil, fmt.Errorf("BACKEND_URL: %q is none of http, https, h2c, unix", u.Scheme)
	}
	if err := b.checkTarget(u); err != nil {
		return nil, err
	}
	b.transport = &http.Transport{
		Protocols:              &protocols,
		DialContext:            b.dial,
		TLSClientConfig:        o.TLS,
		TLSHandshakeTimeout:    tlsTimeout,
		DisableCompression:     true, // a body passes in the coding that the backend chose
		MaxIdleConnsPerHost:    idleConnections,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  o.Timeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxHead,
		WriteBufferSize:        bufferSize,
		ReadBufferSize:         bufferSize,
	}
	if u.Scheme == "http" || u.Scheme == "unix" {
		b.idle = &pool{}
	}
	return b, nil
}

func (b *Backend) checkTarget(u *url.URL) error {
	if b.network == "unix" {
		if b.address == "" {
			return errors.New("BACKEND_URL: unix wants the path of a socket, like unix:///run/api.sock")
		}
		return nil
	}
	if u.Host == "" {
		return fmt.Errorf("BACKEND_URL: %q names no host: it is like http://127.0.0.1:3000", u.Redacted())
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("BACKEND_URL: only scheme, host and port: requests pass with the path that they have, so %s would have no use for more", u.Redacted())
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

// dial connects to the backend, whatever the address of the request's URL is.
func (b *Backend) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return b.dialer.DialContext(ctx, b.network, b.address)
}

// Close closes idle connections, and waits for upgraded ones, whose contexts have to be done.
func (b *Backend) Close() {
	b.transport.CloseIdleConnections()
	if b.idle != nil {
		b.idle.Close()
	}
	b.sockets.Wait()
}
