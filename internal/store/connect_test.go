package store_test

import (
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

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
	return connectTo(t, config.Redis{Host: host, Port: port})
}

func connectTo(t *testing.T, r config.Redis) *redisconn.Conn {
	t.Helper()
	conn, err := redisconn.New(redisconn.Options{
		Name:  "cache",
		Redis: r,
		Breaker: config.Breaker{
			MaxRequests: 1, Interval: 10 * time.Second, Timeout: 100 * time.Millisecond,
			MinRequests: 3, FailureRatio: 0.6,
		},
		Names: cachekeys.NewNames("test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// raw is a plain client, for a test's own commands behind the sidecar's back.
func (w *world) raw() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}
