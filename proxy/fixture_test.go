package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/internal/peek"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/internal/tracing"
	"sidecar/policy"
	"sidecar/proxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// shared is the Redis of every test that does not break it: each has a key prefix of its own.
var shared *redisd.Server

var prefixes atomic.Int64

func TestMain(m *testing.M) {
	proc.SideBySide(8)
	os.Exit(redisd.Run(m, &shared))
}

// A sidecar is a Proxy on a server of its own, put together as cmd/sidecar does it.
type sidecar struct {
	t      testing.TB
	url    string
	prefix string
	redis  *redisd.Server
	keys   *coherence.Keyspace
	store  *store.Store
	proxy  *proxy.Proxy
	mu     sync.Mutex
	done   map[string]int // Redis operations, by name
}

// A setup has the options of start.
type setup struct {
	redis    *redisd.Server
	prefix   string
	away     bool          // Redis is not waited for
	budget   time.Duration // of Redis, for one request
	inspect  int64
	bodies   *peek.Room
	collapse time.Duration // CollapseWait
	intents  time.Duration // how long an intent stays that nobody takes back; 0: the default
	backend  backend.Options
	wrap     func(http.Handler) http.Handler
	log      *slog.Logger
	tracer   *tracing.Tracer
}

// start serves the routes, one a line, before the backend. It ends with the test.
func start(t testing.TB, b *api, routes string, change ...func(*setup)) *sidecar {
	t.Helper()
	o := setup{redis: shared, prefix: fmt.Sprint("t", prefixes.Add(1)), budget: 10 * time.Second,
		inspect: 1 << 20, bodies: peek.NewRoom(32<<20, 20*time.Second), collapse: 10 * time.Second,
		backend: backend.Options{URL: b.URL, Timeout: 20 * time.Second, Dial: time.Second}}
	for _, f := range change {
		f(&o)
	}
	s := &sidecar{t: t, prefix: o.prefix, redis: o.redis, done: map[string]int{}}
	key := []byte("a key for the tests of this package")
	secret := func() []byte { return key }
	table, _, err := policy.Load([]byte("version: 1\n"+routes), policy.Options{
		Secret: secret, MaxInspect: o.inspect,
		Env: func(name string) (string, bool) {
			return strings.Repeat("k", 32), name == "TOKEN_SECRET"
		},
	})
	check(t, err)
	log, names := slog.New(slog.DiscardHandler), cachekeys.NewNames(o.prefix)
	incarnation := coherence.NewIncarnation(names, log)
	conn, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: config.Redis{Host: o.redis.Host(), Port: o.redis.Port()},
		Names: names, Log: log,
		Breaker: config.Breaker{MaxRequests: 1, Interval: 10 * time.Second,
			Timeout: 50 * time.Millisecond, MinRequests: 3, FailureRatio: 0.6},
		Greet: incarnation, Observe: s.operated, Traced: o.tracer != nil,
	})
	check(t, err)
	s.keys = coherence.New(coherence.Options{Conn: conn, Names: names, Incarnation: incarnation,
		Log: log, IntentTime: o.intents})
	s.store = store.New(store.Options{Conn: conn, Keyspace: s.keys, Names: names, Secret: secret,
		Memory: 8 << 20, Log: log, CollapseWait: o.collapse})
	o.backend.Traced = o.tracer != nil
	transport, err := backend.New(o.backend)
	check(t, err)
	p := &proxy.Proxy{
		Table: func() *policy.Table { return table }, Store: s.store, Keyspace: s.keys, Redis: conn,
		Backend:      transport,
		Metrics:      telemetry.New(prometheus.NewRegistry()),
		Access:       telemetry.NewAccessLog(log, telemetry.AccessMode{}, ""),
		RedisTimeout: o.budget, Bodies: o.bodies, MaxInspectBody: o.inspect,
		CacheStatus: telemetry.StatusFull,
		Log:         o.log, Tracer: o.tracer,
	}
	s.proxy = p
	handler := http.Handler(p)
	if o.wrap != nil {
		handler = o.wrap(p)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Config.DisableGeneralOptionsHandler, server.Config.ErrorLog = true,
		slog.NewLogLogger(log.Handler(), 0)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	s.url = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { conn.Run(ctx) })
	running.Go(func() { s.keys.Run(ctx) })
	t.Cleanup(func() {
		server.Close()
		p.Close()
		closing, stop := context.WithTimeout(ctx, 10*time.Second)
		defer stop()
		s.store.Close(closing)
		transport.Close()
		cancel()
		running.Wait()
		_ = conn.Close()
	})
	if !o.away {
		// A server that is met during a fill makes its store void.
		await(t, "the sidecar has met its Redis", func() bool {
			return conn.Healthy() == nil &&
				s.keys.Current()
		})
	}
	return s
}

func (s *sidecar) operated(op string, _ time.Duration, _ bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done[op]++
}

// awaitOpens waits until n requests have opened their tokens: each of them fetches then, or waits.
func (s *sidecar) awaitOpens(n int) {
	s.t.Helper()
	await(s.t, fmt.Sprint(n, " requests opened their tokens"),
		func() bool { return s.operations("open") >= n })
}

// operations is how often Redis was asked for this.
func (s *sidecar) operations(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done[name]
}
