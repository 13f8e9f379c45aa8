package redisconn_test

import (
	"context"
	"testing"
	"time"

	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// While the address moves, a dial may still lead to the first server.
func TestALateConnectionToTheFirstServerIsNotUsed(t *testing.T) {
	t.Parallel()
	first, second := redisd.Start(t), redisd.Start(t)
	p := faultproxy.Start(t, first.Addr())
	c, g := watched(t, p)
	p.Divert(second.Addr())
	for begun := time.Now(); time.Since(begun) < 3*time.Second; {
		select {
		case <-g.moved:
		case <-time.After(time.Second):
			continue
		}
		time.Sleep(50 * time.Millisecond) // all connections are dropped
		p.Divert(first.Addr())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_ = c.Client().Ping(ctx).Err() // as a probe, or a subscription, dials meanwhile
		cancel()
		p.Divert(second.Addr())
	}
	proc.Await(t, 20*time.Second, func() error { return set(t.Context(), c, nil) })
	before := first.Calls()["set"]
	lastSuccess(t, c, 2*time.Second)
	if after := first.Calls()["set"]; after != before {
		t.Errorf("%d commands reached the first server", after-before)
	}
}
