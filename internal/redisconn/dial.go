package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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

// dial returns a client that connects when it is first used.
func dial(r config.Redis, greet Greeter) (redis.UniversalClient, error) {
	if r.Cluster != "" {
		return dialCluster(r, greet), nil
	}
	o := &redis.Options{Addr: net.JoinHostPort(r.Host, r.Port), DB: r.DB}
	username, password := r.Username, r.Password
	if r.URL.IsSet() {
		text, err := r.URL.Value()
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		if o, err = redis.ParseURL(text); err != nil {
			return nil, errors.New("REDIS_URL is no URL like redis://user:password@host:6379/0") // it may hold a password
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
	o.MaxRetries, o.DialerRetries = -1, 1 // a retry is a request that waits
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	o.ContextTimeoutEnabled = true // else a frozen Redis ignores the budget
	o.DisableIdentity = true       // two round trips less in each handshake, this and the next
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	// Read anew for each connection, so that a rotated password needs no restart.
	o.CredentialsProviderContext = func(context.Context) (string, string, error) {
		value, err := password.Value()
		return username, value, err
	}
	if greet != nil {
		o.OnConnect = func(ctx context.Context, conn *redis.Conn) error { return greet(ctx, conn, nil) }
	}
	return redis.NewClient(o), nil
}

func dialCluster(r config.Redis, greet Greeter) redis.UniversalClient {
	o := &redis.ClusterOptions{
		Addrs: strings.Split(r.Cluster, ","), PoolSize: r.PoolSize, MaxRetries: -1, DialerRetries: 1,
		MaxRedirects: 3, // -MOVED and -ASK, of which a healthy Cluster needs one
		DialTimeout:  dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout,
		ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		CredentialsProviderContext: credentialsOf(r),
	}
	if greet != nil {
		o.OnConnect = func(ctx context.Context, conn *redis.Conn) error {
			return greet(ctx, conn, func(addr string) *redis.Client { return nodeOf(r, addr) })
		}
	}
	return redis.NewClusterClient(o)
}

// nodeOf is a client of one node of a Cluster.
func nodeOf(r config.Redis, addr string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig:   &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		CredentialsProviderContext: credentialsOf(r),
	})
}

// credentialsOf reads the password anew for each connection, so that a rotated one needs no
// restart.
func credentialsOf(r config.Redis) func(context.Context) (string, string, error) {
	return func(context.Context) (string, string, error) {
		value, err := r.Password.Value()
		return r.Username, value, err
	}
}
