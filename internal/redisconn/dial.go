package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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
)

// optionsOf are those of a client of one server. Errors never repeat REDIS_URL: it may hold a
// password, and a part of one where it cannot be parsed.
func optionsOf(r config.Redis) (*redis.Options, error) {
	o := &redis.Options{Addr: net.JoinHostPort(r.Host, r.Port), DB: r.DB}
	username, password := r.Username, r.Password
	if r.URL.IsSet() {
		text, err := r.URL.Value()
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		// An unescaped # ends the URL, and without // there is no host: a part of the password
		// would be dialled and logged, or another server be taken.
		if o, err = redis.ParseURL(text); err != nil || strings.Contains(text, "#") || !strings.Contains(text, "://") {
			return nil, errURL
		}
		if o.TLSConfig != nil {
			return nil, errors.New("REDIS_URL: rediss:// is not built yet")
		}
		if o.Username != "" {
			username = o.Username
		}
		if o.Password != "" {
			password = config.NewSecret(o.Password)
		}
		o.Username, o.Password = "", ""
	}
	o.PoolSize = r.PoolSize
	bounded(o)
	// Read anew for each connection, so that a rotated password needs no restart.
	o.CredentialsProviderContext = func(context.Context) (string, string, error) {
		value, err := password.Value()
		return username, value, err
	}
	return o, nil
}

var errURL = errors.New("REDIS_URL is no URL like redis://user:password@host:6379/0," +
	" in which all but letters, digits and -._~ of user and password is written as %XX")

// bounded sets the bounds of a client of one server.
func bounded(o *redis.Options) {
	o.MaxRetries, o.DialerRetries = -1, 1 // a retry is a request that waits
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	o.ContextTimeoutEnabled = true // else a frozen Redis ignores the budget
	o.DisableIdentity = true       // two round trips less in each handshake, this and the next
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// dialSingle returns a client of one server, which connects when it is first used, and its watch;
// nil without a greeter.
func (c *Conn) dialSingle(r config.Redis, greeter Greeter) (redis.UniversalClient, *watch, error) {
	o, err := optionsOf(r)
	if err != nil {
		return nil, nil, err
	}
	o.Dialer = c.open.dial
	if greeter == nil {
		return redis.NewClient(o), nil, nil
	}
	again := *o
	again.Dialer, again.PoolSize = nil, 1
	w := c.newWatch(greeter)
	w.fresh = func(string) *redis.Client { copied := again; return redis.NewClient(&copied) }
	w.addrs = func(context.Context) ([]string, error) { return []string{o.Addr}, nil }
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error { return w.admit(ctx, o.Addr, conn) }
	return redis.NewClient(o), w, nil
}

// dialCluster returns a client of a Cluster, and its watch; nil without a greeter.
func (c *Conn) dialCluster(r config.Redis, greeter Greeter) (redis.UniversalClient, *watch) {
	o := &redis.ClusterOptions{
		Addrs: strings.Split(r.Cluster, ","), PoolSize: r.PoolSize, MaxRetries: -1, DialerRetries: 1,
		MaxRedirects: 3, // -MOVED and -ASK: a healthy Cluster needs one
		DialTimeout:  dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true, Dialer: c.open.dial,
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		CredentialsProviderContext: credentialsOf(r),
	}
	if greeter == nil {
		return redis.NewClusterClient(o), nil
	}
	w := c.newWatch(greeter)
	w.node = func(addr string) *redis.Client { return nodeOf(r, addr) }
	w.fresh = w.node
	o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
		_, err := greeter.Greet(ctx, conn, w.node)
		return err
	}
	client := redis.NewClusterClient(o)
	w.addrs = func(ctx context.Context) (addrs []string, err error) {
		var mu sync.Mutex
		err = client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			addrs = append(addrs, node.Options().Addr)
			return nil
		})
		return addrs, err
	}
	return client, w
}

// nodeOf is a client of one node of a Cluster.
func nodeOf(r config.Redis, addr string) *redis.Client {
	o := &redis.Options{Addr: addr, PoolSize: 1, CredentialsProviderContext: credentialsOf(r)}
	bounded(o)
	return redis.NewClient(o)
}

// credentialsOf reads the password anew for each connection, so that a rotated one needs no
// restart.
func credentialsOf(r config.Redis) func(context.Context) (string, string, error) {
	return func(context.Context) (string, string, error) {
		value, err := r.Password.Value()
		return r.Username, value, err
	}
}
