package redisd

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/redisconn"
)

// Main runs a package's tests with one server for all of them, and returns the exit status:
//
//	func TestMain(m *testing.M) { os.Exit(redisd.Main(m, &shared)) }
func Main(m *testing.M, shared **Server, opts ...Option) (status int) {
	s, stop, err := StartShared(opts...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	*shared = s
	return m.Run()
}

// StartShared starts a server that all tests of a package share. TestMain calls it, and stop
// before the process ends. A test uses it through For, with a key prefix of its own.
func StartShared(opts ...Option) (s *Server, stop func(), err error) {
	dir, err := os.MkdirTemp("", "redisd-")
	if err != nil {
		return nil, nil, err
	}
	s, err = start(dir, opts)
	stop = func() {
		s.end(syscall.SIGKILL)
		_ = os.RemoveAll(dir)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}

// For returns the same shared server for one test: its errors fail t. A test that stops, freezes
// or restarts a server starts its own.
func (s *Server) For(t testing.TB) *Server {
	other := *s
	other.t = t
	return &other
}

// Redis is how the server is reached.
func (s *Server) Redis() config.Redis {
	r := config.Redis{Host: s.Host(), Port: s.Port(), Password: config.NewSecret(s.password)}
	if s.tls != nil {
		r.TLS, r.CAFile, r.CertFile, r.KeyFile = true, s.tls.CA, s.tls.Cert, s.tls.Key
	}
	return r
}

// Connect returns a connection as the sidecar makes it. observe is told of each operation; nil:
// nobody is. The connection is closed when the test ends.
func (s *Server) Connect(t testing.TB, names cachekeys.Names,
	observe func(op string)) *redisconn.Conn {
	t.Helper()
	o := redisconn.Options{Name: "test", Redis: s.Redis(), Names: names, Breaker: config.Breaker{
		MaxRequests: 1, Interval: time.Minute, Timeout: 50 * time.Millisecond,
		MinRequests: 1000, FailureRatio: 1,
	}}
	if observe != nil {
		o.Observe = func(op string, _ time.Duration, _ bool) { observe(op) }
	}
	c, err := redisconn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
