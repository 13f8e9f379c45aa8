package coherence_test

import (
	"net"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/redisd"
)

// connect returns a connection with a breaker that hardly waits, and its probe running.
func connect(t *testing.T, server *redisd.Server) *redisconn.Conn {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := redisconn.New(redisconn.Options{
		Name:    "cache",
		Redis:   config.Redis{Host: host, Port: port},
		Breaker: config.Breaker{MaxRequests: 1, Interval: 10 * time.Second, Timeout: 100 * time.Millisecond, MinRequests: 3, FailureRatio: 0.6},
		Names:   cachekeys.NewNames("test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
