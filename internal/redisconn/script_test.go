package redisconn_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/redisd"
)

// A server that refuses new connections by an error reply has run nothing of a pipeline. The
// library gives that error to none of the commands.
func TestAScriptThatNeverReachedItsServerHasFailed(t *testing.T) {
	server := redisd.Start(t)
	c, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: at(server), Names: cachekeys.NewNames("test"), Greet: runID{},
		Breaker: config.Breaker{MaxRequests: 1, Interval: time.Minute, Timeout: time.Minute,
			MinRequests: 1000, FailureRatio: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	script := redis.NewScript(`return redis.call('SET', KEYS[1], 'v')`)
	run := func() error {
		return c.Do(t.Context(), nil, "x",
			func(ctx context.Context, r redis.UniversalClient) error {
				_, err := redisconn.Run(ctx, r,
					[]redisconn.Call{{Script: script, Keys: []string{"k"}}})
				return err
			})
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	admin := server.Client()
	for _, command := range [][]any{{"DEL", "k"}, {"ACL", "SETUSER", "default", "-info"},
		{"CLIENT", "KILL", "TYPE", "normal"}} {
		if err := admin.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // the first may meet a connection that was killed
		if err := run(); err == nil {
			t.Error("a script that was not run is no error")
		}
	}
	if n := admin.Exists(t.Context(), "k").Val(); n != 0 {
		t.Error("the script was run: the test proves nothing")
	}
}
