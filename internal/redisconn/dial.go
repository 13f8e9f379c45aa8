package redisconn

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"sidecar/internal/config"
)

// Times towards Redis that no request waits for: its own budget ends sooner, while a dial goes on
// behind it and leaves its connection in the pool.
const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 5 * time.Second // where a context has no deadline, as in asynq's calls
	// topologyEvery is how often a Cluster is asked for its nodes, beside each time one fails.
	topologyEvery = 5 * time.Second
)

// freshBuffer is the size of both buffers of a connection that the watch uses once, in bytes. What
// it sends and reads is about that long. go-redis has 32 KiB for each, which were most of what an
// idle sidecar allocates.
const freshBuffer = 4 << 10

// optionsOf are those of a client of one server, or of the primary that Sentinels know.
func optionsOf(r config.Redis) (*redis.Options, error) {
	o := &redis.Options{Addr: net.JoinHostPort(r.Host, r.Port), DB: r.DB}
	switch {
	case r.Sentinels != "":
		o.Addr = "primary:" + r.Master // the pool's name for it; Sentinels know the address
	case r.URL.IsSet():
		named, err := parseURL(r)
		if err != nil {
			return nil, err
		}
		o.Network, o.Addr, o.DB = named.Network, named.Addr, named.DB
	}
	bounded(o)
	if r.PoolSize > 0 {
		o.PoolSize = r.PoolSize
	}
	return o, nil
}

// bounded sets the bounds of a client of one server.
func bounded(o *redis.Options) {
	o.MaxRetries, o.DialerRetries = -1, 1 // a retry is a request that waits
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	o.ContextTimeoutEnabled = true // else a frozen Redis ignores the budget
	o.DisableIdentity = true       // two round trips less in each handshake, this and the next
	o.PipelinePoolSize = -1        // pipelines use the one pool, whose size is configured
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dialSingle returns a client of one server, or of the primary that Sentinels know. It connects
// when it is first used.
func (c *Conn) dialSingle(greeter Greeter) (redis.UniversalClient, error) {
	o, err := optionsOf(c.redis)
	if err != nil {
		return nil, err
	}
	if c.redis.Sentinels != "" {
		c.sentinels = newSentinels(c.redis, c.keeper)
	}
	o.Dialer, o.CredentialsProviderContext = c.dialPooled, c.credentials
	addr := o.Addr
	c.db = o.DB
	c.addrs = func(context.Context) ([]string, error) { return []string{addr}, nil }
	if greeter != nil {
		c.watch = c.newWatch(greeter)
	}
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
		if err := c.introduce(ctx, conn); err != nil || greeter == nil {
			return err
		}
		return c.watch.admit(ctx, addr, conn)
	}
	return redis.NewClient(o), nil
}

// dialCluster returns a client of a Cluster.
func (c *Conn) dialCluster(greeter Greeter) redis.UniversalClient {
	o := &redis.ClusterOptions{
		Addrs: c.redis.Cluster.List(), PoolSize: c.redis.PoolSize, PipelinePoolSize: -1,
		MaxRetries: -1, DialerRetries: 1,
		MaxRedirects: 3, // -MOVED and -ASK: a healthy Cluster needs one
		DialTimeout:  dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true,
		ClusterStateReloadInterval: topologyEvery,
		Dialer:                     c.dialPooled, CredentialsProviderContext: c.credentials,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if greeter != nil {
		c.watch = c.newWatch(greeter)
		c.watch.node = c.Node
	}
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
		if err := c.introduce(ctx, conn); err != nil || greeter == nil {
			return err
		}
		_, err := greeter.Greet(ctx, conn, c.Node)
		return err
	}
	client := redis.NewClusterClient(o)
	c.addrs = func(ctx context.Context) (addrs []string, err error) {
		var mu sync.Mutex
		err = client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			addrs = append(addrs, node.Options().Addr)
			return nil
		})
		return addrs, err
	}
	return client
}

// dialPooled implements the Dialer of go-redis for the client itself.
func (c *Conn) dialPooled(ctx context.Context, _, addr string) (net.Conn, error) {
	a, err := c.keeper.current()
	if err != nil {
		return nil, dialError{err}
	}
	conn, err := c.dialAs(ctx, addr, a)
	if err != nil {
		return nil, err
	}
	return c.open.add(conn, addr, a), nil
}

// dialAs dials a server as the pool names it.
func (c *Conn) dialAs(ctx context.Context, addr string, a *access) (net.Conn, error) {
	if c.sentinels != nil {
		primary, err := c.sentinels.primary(ctx)
		if err != nil {
			return nil, dialError{err}
		}
		addr = primary
	}
	conn, err := reach(ctx, addr, c.redis.ServerName, a)
	c.dialled.Store(&err)
	return conn, err
}

// credentials implements the CredentialsProviderContext of go-redis.
func (c *Conn) credentials(context.Context) (username, password string, err error) {
	a, err := c.keeper.current()
	if err != nil {
		return "", "", err
	}
	return a.username, a.password, nil
}

// fresh is a client with one connection of its own, made with the access a; nil: with the current
// one. It greets nobody, and has to be closed.
func (c *Conn) fresh(addr string, a *access) *redis.Client {
	get := c.keeper.current
	if a != nil {
		get = func() (*access, error) { return a, nil }
	}
	o := &redis.Options{Addr: addr, DB: c.db, PoolSize: 1,
		ReadBufferSize: freshBuffer, WriteBufferSize: freshBuffer}
	bounded(o)
	o.Dialer = func(ctx context.Context, _, addr string) (net.Conn, error) {
		now, err := get()
		if err != nil {
			return nil, dialError{err}
		}
		return c.dialAs(ctx, addr, now)
	}
	o.CredentialsProviderContext = func(context.Context) (string, string, error) {
		now, err := get()
		if err != nil {
			return "", "", err
		}
		return now.username, now.password, nil
	}
	return redis.NewClient(o)
}

// introduce gives a connection its name in CLIENT LIST, once the server has let it in. A server
// that forbids or does not know that is used all the same.
func (c *Conn) introduce(ctx context.Context, conn *redis.Conn) error {
	if c.label != "" {
		if err := conn.ClientSetName(ctx, c.label).Err(); err != nil &&
			(!isReply(err) || isAccess(err)) {
			return err
		}
	}
	c.keeper.letIn()
	return nil
}
