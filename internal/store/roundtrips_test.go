package store_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/test/redisd"
)

// A counter counts the round trips of a client: a command alone is one, a pipeline is one. In
// Cluster it sees the pipeline before it is shared out to the nodes, which are asked at the same
// time.
type counter struct{ trips atomic.Int64 }

// DialHook implements redis.Hook.
func (*counter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		return next(ctx, network, addr)
	}
}

// ProcessHook implements redis.Hook.
func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.trips.Add(1)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.trips.Add(1)
		return next(ctx, cmds)
	}
}

func TestAMissTakesTwoRoundTripsBeforeTheBackendAndThreeInCluster(t *testing.T) {
	server, cluster := redisd.Start(t), redisd.StartCluster(t)
	for _, c := range []struct {
		place   string
		w       *world
		opening int64
	}{
		{"one server", another(t, server), 1},
		{"cluster", on(t, nil, connectTo(t, cluster.Redis())), 2},
	} {
		t.Run(c.place, func(t *testing.T) {
			c.w.t = t
			for i := range 16 { // then every node has every script and connection
				q := query(fmt.Sprint("/characters/before/", i), nil)
				c.w.lookup(q)
				if why := c.w.keep(c.w.shared(q), answer("one"), noNames); why != "" {
					t.Fatal(why)
				}
			}
			q := query("/characters/42", nil)
			var n counter
			c.w.conn.Client().AddHook(&n)
			if found := c.w.Lookup(t.Context(), c.w.conn.Budget(5*time.Second),
				q); found.Entry != nil || found.Bypass != "" {
				t.Fatalf("found %v, %q", found.Entry, found.Bypass)
			}
			if got := n.trips.Swap(0); got != 1 {
				t.Errorf("a look-up takes %d round trips, want 1", got)
			}
			fill := c.w.shared(q)
			if got := n.trips.Load(); got != c.opening {
				t.Errorf("an opening with a lease takes %d round trips, want %d", got, c.opening)
			}
			if stored, err := c.w.conn.Client().Exists(t.Context(),
				names.Lease(q.Primary)).Result(); err != nil || stored != 1 {
				t.Errorf("the lease was not taken: %d, %v", stored, err)
			}
			fill.End()
		})
	}
}
