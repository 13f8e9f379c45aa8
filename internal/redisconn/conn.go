// Package redisconn is the connection to a Redis: dialled so that it never makes a request wait,
// bounded by one time budget for each request, and cut off by a circuit breaker that only the
// sidecar's own probe closes again.
//
// It is built twice, for the cache and for the jobs. Nobody else knows of bounds and breakers.
package redisconn

import (
	"context"
	"errors"
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
	name   string
	redis  config.Redis
	label  string // name of its connections
	prefix string // of all keys of the cache
	db     int
	client redis.UniversalClient
	reads  *batcher
	keeper *keeper
	open   *connections
	addrs  func(ctx context.Context) ([]string, error) // of all primaries, as the pool knows them
	// nil: Redis is not found by Sentinels
	sentinels *sentinels
	watch     *watch // nil: servers are not asked who they are
	breaker   *gobreaker.CircuitBreaker[struct{}]
	trials    uint32 // successes that close a half-open breaker
	probe     probe
	observe   func(op string, took time.Duration, failed bool)
	traced    bool
	log       *slog.Logger
	reached   atomic.Bool           // the last probe succeeded
	answered  atomic.Bool           // a probe has succeeded
	dialled   atomic.Pointer[error] // outcome of the last dial
	starved   atomic.Uint32         // operations that got no connection in their time
	fault     lastFault
	// why the newest password or certificate is not in use
	unrenewed lastFault
	facts     atomic.Pointer[facts] // nil: not known yet
}

// Options of a Conn.
type Options struct {
	Name    string // "cache" or "jobs", for log and breaker
	Label   string // of the connections in CLIENT LIST; "": none
	Redis   config.Redis
	Breaker config.Breaker
	Names   cachekeys.Names
	Log     *slog.Logger // nil: slog.Default
	// Observe is told of each operation; nil: nobody wants to know.
	Observe func(op string, took time.Duration, failed bool)
	// Traced says that contexts may have spans: each operation within one that is recorded then
	// gets one of its own.
	Traced bool
	Greet  Greeter // nil: servers are not asked who they are
	// Changed is told of each change of the breaker's state, in the order in which they happen; it
	// must not wait. nil: nobody wants to know.
	Changed func(State)
}

// A Greeter looks which server is at the other end of a connection. at gives a client of another
// node of the Cluster, to be closed; it is nil for one server.
type Greeter interface {
	// Greet is called for each new connection before its first use; on an error the connection is
	// not used. server is the server's identity, "" if it does not tell.
	Greet(ctx context.Context, conn redis.Cmdable,
		at func(addr string) *redis.Client) (server string, err error)
	// Moved is called when another server answers than before. Until it returns nil no other
	// connection to that server is used.
	Moved(ctx context.Context, conn redis.Cmdable, at func(addr string) *redis.Client) error
}

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
	c := &Conn{
		name: o.Name, redis: o.Redis, label: o.Label, prefix: o.Names.Prefix(),
		keeper: &keeper{redis: o.Redis},
		open:   newConnections(), trials: o.Breaker.MaxRequests,
		probe: newProbe(o.Names.Probe()), observe: o.Observe, traced: o.Traced, log: o.Log,
	}
	if o.Redis.Cluster != "" {
		c.client = c.dialCluster(o.Greet)
	} else {
		var err error
		if c.client, err = c.dialSingle(o.Greet); err != nil {
			return nil, err
		}
	}
	c.client.AddHook(signs{c})
	c.reads = &batcher{conn: c}
	c.breaker = newBreaker(o, c.stateChanged(o.Changed))
	return c, nil
}

// Cluster reports whether this is a Redis Cluster: then one command reaches one slot.
func (c *Conn) Cluster() bool {
	_, ok := c.client.(*redis.ClusterClient)
	return ok
}

// Node is a client of one node of the Cluster alone, which greets nobody. It has to be closed.
func (c *Conn) Node(addr string) *redis.Client { return c.fresh(addr, nil) }

// Client is the client itself, without bound and breaker: for asynq and for subscriptions.
func (c *Conn) Client() redis.UniversalClient { return c.client }

// Do calls f with the client, and a context that ends with the rest of b; where b is nil, ctx's own
// deadline is the bound. It gives ErrAway without calling f while the breaker is open, ErrBudget
// where nothing is left, and else f's error. redis.Nil is no error. That the caller left (ctx was
// cancelled) does not count against Redis.
func (c *Conn) Do(ctx context.Context, b *Budget, op string,
	f func(context.Context, redis.UniversalClient) error) error {
	return c.bounded(ctx, b, op, func(ctx context.Context) error { return c.counted(ctx, f) })
}

// bounded calls f, which is an operation, within the rest of b.
func (c *Conn) bounded(ctx context.Context, b *Budget, op string,
	f func(context.Context) error) error {
	if c.away() {
		return ErrAway
	}
	bounded, cancel, err := b.bound(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	start := time.Now()
	bounded, span := c.beginSpan(bounded, op, start)
	err = f(bounded)
	c.noteStarved(err)
	now := time.Now()
	took := now.Sub(start)
	span.end(c, op, err, now)
	b.spend(took)
	if !errors.Is(err, ErrAway) {
		c.observe(op, took, err != nil)
	}
	return err
}

// away reports whether nothing may be sent but by the probe. While the breaker is half-open, the
// trials are the probe's.
func (c *Conn) away() bool { return c.breaker.State() != gobreaker.StateClosed }

// counted calls f, which is one command or pipeline, and tells the breaker how it ended.
func (c *Conn) counted(ctx context.Context,
	f func(context.Context, redis.UniversalClient) error) error {
	_, err := c.breaker.Execute(func() (struct{}, error) {
		return struct{}{}, outcome(ctx, c.proved(ctx, f))
	})
	return fromBreaker(err)
}

// proved calls f on a server that has said in time who it is. It waits for a late word before f and
// after it: a busy machine is late, and a demoted server never gives one.
func (c *Conn) proved(ctx context.Context,
	f func(context.Context, redis.UniversalClient) error) error {
	if !c.watch.awaitTrust(ctx) {
		return ErrUnproved
	}
	err := f(ctx, c.client)
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if !c.watch.awaitTrust(ctx) {
		return errOutdated
	}
	return err
}

// newWatch returns a watch on the connections of c.
func (c *Conn) newWatch(g Greeter) *watch {
	return &watch{
		conn: c, greeter: g, open: c.open, log: c.log, name: c.name, begun: time.Now(),
		wake: make(chan struct{}, 1), servers: map[string]string{}, others: map[string]other{},
		next: make(chan struct{}),
	}
}

// Close closes all connections. Operations under way fail.
func (c *Conn) Close() error {
	c.reads.close()
	err := c.client.Close()
	c.reads.running.Wait() // they end with the client
	if c.sentinels != nil {
		err = errors.Join(err, c.sentinels.close())
	}
	return err
}
