// Package redisconn is the connection to a Redis: dialled so that it never makes a request wait,
// bounded by one time budget for each request, and cut off by a circuit breaker that only the
// sidecar's own probe closes again.
//
// It is built twice, for the cache and for the jobs. Nobody else knows of bounds and breakers.
package redisconn

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"sidecar/cachekeys"
	"sidecar/internal/config"
)

// A Conn is a connection pool to one Redis behind a breaker. It is safe for concurrent use.
type Conn struct {
	name    string
	redis   config.Redis
	client  redis.UniversalClient
	breaker *gobreaker.CircuitBreaker[struct{}]
	trials  uint32 // successes that close a half-open breaker
	probe   probe
	observe func(op string, took time.Duration, failed bool)
	log     *slog.Logger
	reached atomic.Bool // the last probe succeeded
}

// Options of a Conn.
type Options struct {
	Name    string // "cache" or "jobs", for log and breaker
	Redis   config.Redis
	Breaker config.Breaker
	Names   cachekeys.Names
	Log     *slog.Logger // nil: slog.Default
	// Observe is told of each operation; nil: nobody wants to know.
	Observe func(op string, took time.Duration, failed bool)
	// Greet is called for each new connection before its first use. nil: nobody is greeted.
	Greet Greeter
	// Changed is told of each change of the breaker's state, in the order in which they happen; it
	// must not wait. nil: nobody wants to know.
	Changed func(State)
}

// A Greeter looks who is at the other end of a new connection; on an error the connection is not
// used. at gives a client of another node of the Cluster, to be closed; it is nil for one server.
type Greeter func(ctx context.Context, conn redis.Cmdable, at func(addr string) *redis.Client) error

// A State is the breaker's state. The numbers are gobreaker's.
type State int

// The states.
const (
	Closed State = iota
	HalfOpen
	Open
)

// New returns a connection. It waits for nothing: Redis may be away. Run has to be called for the
// breaker ever to close again. An error means that the configuration cannot be used.
func New(o Options) (*Conn, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observe == nil {
		o.Observe = func(string, time.Duration, bool) {}
	}
	client, err := dial(o.Redis, o.Greet)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		name: o.Name, redis: o.Redis, client: client, trials: o.Breaker.MaxRequests, probe: newProbe(o.Names.Probe()), observe: o.Observe, log: o.Log,
	}
	c.breaker = newBreaker(o, c.stateChanged(o.Changed))
	return c, nil
}

// Cluster reports whether this is a Redis Cluster: then one command reaches one slot.
func (c *Conn) Cluster() bool {
	_, ok := c.client.(*redis.ClusterClient)
	return ok
}

// Node is a client of one node of the Cluster alone, which greets nobody. It has to be closed.
func (c *Conn) Node(addr string) *redis.Client { return nodeOf(c.redis, addr) }

// Client is the client itself, without bound and breaker: for asynq and for subscriptions.
func (c *Conn) Client() redis.UniversalClient { return c.client }

// Do calls f with the client, and a context that ends with what is left of b; where b is nil, ctx's
// own deadline is the bound. It gives ErrAway without calling f while the breaker is open,
// ErrBudget where nothing is left, and else f's error. redis.Nil is no error. That the caller left
// (ctx was cancelled) does not count against Redis.
func (c *Conn) Do(ctx context.Context, b *Budget, op string, f func(context.Context, redis.UniversalClient) error) error {
	if c.breaker.State() != gobreaker.StateClosed {
		return ErrAway // half-open too: trials are the probe's
	}
	bounded, cancel, err := b.bound(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	_, err = c.breaker.Execute(func() (struct{}, error) {
		start := time.Now()
		err := outcome(ctx, f(bounded, c.client))
		took := time.Since(start)
		b.spend(took)
		c.observe(op, took, err != nil)
		return struct{}{}, err
	})
	return fromBreaker(err)
}

// Close closes all connections. Operations under way fail.
func (c *Conn) Close() error { return c.client.Close() }
