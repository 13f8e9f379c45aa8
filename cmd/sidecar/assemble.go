package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/internal/invalidation"
	"sidecar/internal/jobs"
	"sidecar/internal/keysecret"
	"sidecar/internal/lease"
	"sidecar/internal/ops"
	"sidecar/internal/peek"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/internal/tracing"
	"sidecar/jobhook"
	"sidecar/policy"
	"sidecar/proxy"
	"sidecar/wire"
)

// A sidecar is all parts put together. It is made by assemble, and run once.
type sidecar struct {
	cfg      config.Config
	log      *slog.Logger
	metrics  *telemetry.Metrics
	registry *prometheus.Registry
	tracer   *tracing.Tracer // nil: there are no traces

	embedded []*redisconn.Embedded
	cache    *redisconn.Conn
	jobsConn *redisconn.Conn
	secret   *keysecret.Secret
	policies *policy.Source
	backend  *backend.Backend
	// nil for an embedded Redis, which never comes back with older data
	incarnation *coherence.Incarnation
	keyspace    *coherence.Keyspace
	invalidator *invalidation.Invalidator
	store       *store.Store
	jobs        *jobs.Jobs
	hook        *jobhook.Hook
	proxy       *proxy.Proxy
	page        *ops.Page
	data, ops   serving

	base       context.Context // of every client's request: done when none may go on
	cutOff     context.CancelFunc
	streams    context.Context // done when WebSockets and event streams may not go on
	endStreams context.CancelFunc
	made       time.Time
	answered   atomic.Bool // the backend has answered once
	leaving    atomic.Bool // clients are to go elsewhere
}

// assemble makes the parts and opens the listeners. It does not wait for Redis or the backend: they
// may be away.
func assemble(cfg config.Config, env func(string) (string, bool),
	log *slog.Logger) (*sidecar, error) {
	s := &sidecar{cfg: cfg, log: log, registry: telemetry.NewRegistry(), made: time.Now()}
	s.base, s.cutOff = context.WithCancel(context.Background())
	s.streams, s.endStreams = context.WithCancel(s.base)
	if err := s.build(env); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *sidecar) build(env func(string) (string, bool)) (err error) {
	s.metrics = telemetry.New(s.registry)
	s.metrics.Build(version, commit(), runtime.Version())
	if s.tracer, err = newTracer(s.cfg.Tracing, s.log); err != nil {
		return err
	}
	if s.tracer != nil {
		s.metrics.Spans(func() telemetry.SpanStats { return telemetry.SpanStats(s.tracer.Stats()) })
	}
	names := cachekeys.NewNames(s.cfg.KeyPrefix)
	if err := s.connect(names); err != nil {
		return err
	}
	if err := s.makeSecret(names); err != nil {
		return err
	}
	if err := s.loadPolicies(env); err != nil {
		return err
	}
	if s.backend, err = backend.New(backend.Options{
		URL: s.cfg.Backend.URL, Timeout: s.cfg.Backend.Timeout, Dial: s.cfg.Backend.Dial,
		HealthPath: s.cfg.Backend.HealthPath,
		Trusted:    s.cfg.TrustedProxies, Via: s.cfg.Via,
		Observe: func(o backend.Outcome, took time.Duration, trace string) {
			s.metrics.BackendAsked(o.String(), took, trace)
		},
		Traced: s.tracer != nil,
	}); err != nil {
		return err
	}
	s.metrics.Backend(func() (up, known bool) {
		reachable := s.backend.Report().Reachable
		return reachable != nil && *reachable, reachable != nil
	})
	s.keyspace = coherence.New(coherence.Options{
		Conn: s.cache, Names: names, Incarnation: s.incarnation, Log: s.log, Disabled: guards(),
	})
	s.invalidator = &invalidation.Invalidator{
		Keyspace: s.keyspace, Table: s.policies.Table,
		Done: func(tags int, err error) { s.metrics.Invalidated("", tags, err) },
	}
	s.store = store.New(store.Options{
		Conn: s.cache, Keyspace: s.keyspace, Names: names, Secret: s.secret.Value,
		Memory:       int64(s.cfg.Memory),
		StoreTimeout: s.cfg.Store, CollapseWait: s.cfg.CollapseWait, Log: s.log,
	})
	s.metrics.Memory(func() telemetry.MemoryStats {
		m := s.store.Memory()
		return telemetry.MemoryStats{
			Bytes: m.Bytes, Limit: m.Limit, Entries: int64(m.Entries),
			Evictions: uint64(m.Evictions),
		}
	})
	if err := s.makeJobs(names); err != nil {
		return err
	}
	return s.listen()
}

// connect makes the connections to the cache and to the job store, and starts the embedded Redis
// where that is configured.
func (s *sidecar) connect(names cachekeys.Names) (err error) {
	shared := s.cfg.JobsRedis == s.cfg.Redis
	if s.cfg.Redis.Embedded {
		if s.cfg.Redis, err = s.embed(); err != nil {
			return err
		}
	}
	switch {
	case shared:
		s.cfg.JobsRedis = s.cfg.Redis
	case s.cfg.JobsRedis.Embedded:
		if s.cfg.JobsRedis, err = s.embed(); err != nil {
			return err
		}
	}
	// Greeters are for servers that may come back with older data.
	var greetCache, greetJobs redisconn.Greeter
	if !s.cfg.Redis.Embedded && !guards().NoHello {
		s.incarnation = coherence.NewIncarnation(names, s.log)
		greetCache = s.incarnation
	}
	if !s.cfg.JobsRedis.Embedded {
		greetJobs = redisconn.Primary{}
	}
	if s.cache, err = s.dial("cache", s.cfg.Redis, names, greetCache); err != nil {
		return err
	}
	s.jobsConn, err = s.dial("jobs", s.cfg.JobsRedis, names, greetJobs)
	return err
}

func (s *sidecar) embed() (config.Redis, error) {
	e, err := redisconn.StartEmbedded(s.cfg.KeyPrefix+":e:", s.cfg.KeyPrefix+":p:")
	if err != nil {
		return config.Redis{}, err
	}
	s.embedded = append(s.embedded, e)
	return e.Config(), nil
}

func (s *sidecar) dial(name string, r config.Redis, names cachekeys.Names,
	greet redisconn.Greeter) (*redisconn.Conn, error) {
	metrics := s.metrics.Redis(name)
	conn, err := redisconn.New(redisconn.Options{
		Name: name, Label: label(s.cfg.KeyPrefix, name), Redis: r,
		Breaker: s.cfg.Breaker, Names: names, Log: s.log, Greet: greet,
		Observe: metrics.Operation, Traced: s.tracer != nil,
		Changed: func(to redisconn.State) { metrics.Breaker(telemetry.BreakerState(to)) },
	})
	if err != nil {
		return nil, err
	}
	metrics.Pool(func() telemetry.PoolStats {
		p := conn.Stats()
		return telemetry.PoolStats{
			Hits: uint64(p.Hits), Misses: uint64(p.Misses), Timeouts: uint64(p.Timeouts),
			Stale:       uint64(p.StaleConns),
			Connections: int(p.TotalConns), Idle: int(p.IdleConns), Limit: p.PoolSize,
			Open: p.OpenConns,
		}
	})
	return conn, nil
}

// label names the connections of this sidecar in CLIENT LIST: a pod's host name is its own name.
func label(prefix, role string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_' // Redis takes no other in a name
		}
		return r
	}, prefix+":"+host)
	return name + ":" + role
}

func (s *sidecar) makeSecret(names cachekeys.Names) error {
	if !s.cfg.KeySecret.IsSet() {
		s.secret = keysecret.Kept(s.jobsConn, names.Secret(), s.log)
		return nil
	}
	value, err := s.cfg.KeySecret.Value()
	if err != nil {
		return err
	}
	if value == "" {
		return errors.New("KEY_SECRET_FILE: the file is empty")
	}
	s.secret = keysecret.Configured(value)
	return nil
}

func (s *sidecar) loadPolicies(env func(string) (string, bool)) (err error) {
	queues := make([]string, 0, len(s.cfg.JobsQueues))
	for q := range s.cfg.JobsQueues {
		queues = append(queues, q)
	}
	s.policies, err = policy.Open(s.cfg.Policies, policy.Options{
		Env: env, Secret: s.secret.Value, Queues: queues, MaxInspect: int64(s.cfg.MaxInspect),
		Format: store.FormatVersion,
	}, s.log, s.metrics.PolicyReload)
	return err
}

func (s *sidecar) makeJobs(names cachekeys.Names) error {
	keys, err := s.cfg.JobsKeys.Value()
	if err != nil {
		return err
	}
	sealer, err := jobs.ParseSealer(keys)
	if err != nil {
		return err
	}
	if sealer == nil && s.policies.Table().HasJobs() {
		s.log.Warn(unsealed)
	}
	s.jobs, err = jobs.New(jobs.Options{
		Redis: s.jobsConn, Names: names, Prefix: s.cfg.KeyPrefix, Sealer: sealer,
		Secret:    s.secret.Value,
		OwnSecret: s.cfg.KeySecret.IsSet(),
		Plan:      s.policies.Plan,
		Schedules: func() []*policy.Schedule { return s.policies.Table().Schedules() },
		Leases:    lease.New(lease.Options{Conn: s.jobsConn, Term: scheduleTerm}),
		Backend:   s.backend, Unsent: backend.IsUnsent, Invalidator: s.invalidator,
		Queues: s.cfg.JobsQueues, Concurrency: s.cfg.JobsConcurrency,
		MaxInspectBody: int64(s.cfg.MaxInspect),
		DrainTimeout:   s.cfg.Shutdown * 2 / 3, EndTimeout: s.cfg.Shutdown,
		Queued: s.metrics.JobQueued,
		Processed: func(jobType string, outcome jobs.Status) {
			s.metrics.JobProcessed(jobType, string(outcome))
		},
		Begun: s.metrics.JobBegun, Attempted: s.metrics.JobAttempted, Tracer: s.tracer,
		Limited: func() []string { return s.policies.Table().LimitedJobs() },
		Log:     s.log,
	})
	if err == nil {
		s.metrics.Queues(s.queueStats)
		s.metrics.Slots(s.slotStats)
	}
	return err
}

// scheduleTerm is how long nobody runs schedules after their leader died.
const scheduleTerm = 5 * time.Second

// scrapeTimeout bounds how long a scrape of the metrics waits for the job store.
const scrapeTimeout = time.Second

// queueStats are the queues' metrics; none while the job store is away.
func (s *sidecar) queueStats() []telemetry.QueueStats {
	ctx, cancel := context.WithTimeout(s.base, scrapeTimeout)
	defer cancel()
	states, err := s.jobs.States(ctx)
	if err != nil {
		return nil
	}
	var out []telemetry.QueueStats
	for queue, q := range states {
		out = append(out, telemetry.QueueStats{
			Queue: queue, Pending: q.Pending, Active: q.Active, Scheduled: q.Scheduled,
			Retry: q.Retry, Archived: q.Archived,
			Oldest: time.Duration(q.Latency * float64(time.Second)),
		})
	}
	return out
}

// slotStats is how many jobs of each route wait for a slot; nothing while the job store is away.
func (s *sidecar) slotStats() map[string]int {
	ctx, cancel := context.WithTimeout(s.base, scrapeTimeout)
	defer cancel()
	waiting, err := s.jobs.Waiting(ctx)
	if err != nil {
		return nil
	}
	return waiting
}

// unsealed is said at the start and in /status.
const unsealed = "JOBS_ENCRYPTION_KEY is not set: jobs stand in Redis as they were sent, with " +
	"their credentials, until they are done"

// Bounds of the request bodies that are held, for writes and for jobs: their bytes in sum, or room
// for four where MAX_INSPECT_BODY is large, and the time for which the rest of one is awaited.
const (
	bodyRoom = 32 << 20
	bodyWait = 10 * time.Second
)

// listen opens the listeners and makes their servers.
func (s *sidecar) listen() (err error) {
	mode, _ := telemetry.ParseStatusMode(s.cfg.CacheStatus) // checked with the configuration
	bodies := peek.NewRoom(max(bodyRoom, 4*int64(s.cfg.MaxInspect)), bodyWait)
	s.hook = jobhook.New(jobhook.Options{
		Bodies: bodies, Jobs: s.jobs, Path: s.cfg.JobsPath, Log: s.log,
		CacheStatus: func(why reason.Reason) string {
			o := telemetry.Outcome{Result: telemetry.ResultJob, Reason: why}
			if why == reason.AnsweredInTime { // it went to the backend like any other write
				o.Result = telemetry.ResultWrite
			}
			return o.CacheStatus(mode)
		},
		AuthFailed: func() { s.metrics.AuthFailed(telemetry.AuthFailureJob) },
		CORS: func(route, origin string) *policy.CORS {
			return s.policies.Table().JobCORS(route, origin)
		},
	})
	s.proxy = &proxy.Proxy{
		Table: s.policies.Table, Store: s.store, Keyspace: s.keyspace, Redis: s.cache,
		Backend: s.backend, Jobs: s.hook,
		Metrics: s.metrics, Tracer: s.tracer, Access: telemetry.NewAccessLog(s.log,
			telemetry.AccessMode(s.cfg.AccessLog), s.cfg.JobsPath),
		RedisTimeout: s.cfg.Timeout, Bodies: bodies, MaxInspectBody: int64(s.cfg.MaxInspect),
		CacheStatus: mode,
		Answered:    s.noteAnswer,
		Draining:    s.leaving.Load, Streams: s.streams, Log: s.log,
	}
	limits := dataLimits{
		readHeader: s.cfg.ReadHeader, idle: s.cfg.Idle, headerBytes: int(s.cfg.MaxHeader),
	}
	s.data = serving{name: "data", server: dataServer(s.proxy, s.base, limits, s.log)}
	s.page = ops.NewPage(ops.PageSource{
		Version: version, Totals: s.metrics.Totals, Invalidations: s.metrics.RecentInvalidations,
		Reporters: s.reporters(), Ended: s.base,
	})
	s.ops = serving{name: "ops", server: opsServer(s.opsHandler(), s.log)}
	l, err := listen(s.cfg.Listen, "LISTEN_ADDR")
	if err != nil {
		return err
	}
	s.data.listener = wire.Listen(l, wire.Options{
		Connections: maxConnections(s.cfg.MaxConns, openFiles()),
		Quick: &wire.Quick{
			Take: s.proxy.Take, Answer: s.proxy.Answer, Base: s.base, Idle: s.cfg.Idle,
		},
	})
	s.ops.listener, err = listen(s.cfg.Ops, "OPS_ADDR")
	return err
}

// handleAll gives every request of the data plane to h: none is answered below net/http. Call it
// before run.
func (s *sidecar) handleAll(h http.Handler) {
	s.data.server.Handler = wire.Handler(h, s.log)
	s.data.listener = wire.Listen(s.data.listener.(*wire.Listener).Listener, wire.Options{
		Connections: maxConnections(s.cfg.MaxConns, openFiles()),
	})
}

// loops run beside the servers.
func (s *sidecar) loops() []func(context.Context) {
	loops := []func(context.Context){
		s.cache.Run, s.jobsConn.Run, s.secret.Run, s.policies.Run, s.keyspace.Run, s.jobs.Run,
		s.giveAdvice, s.page.Run,
	}
	for _, e := range s.embedded {
		loops = append(loops, e.Run)
	}
	return loops
}

// close frees all that assemble has made.
func (s *sidecar) close() {
	s.cutOff()
	for _, l := range []serving{s.data, s.ops} {
		if l.listener != nil {
			_ = l.listener.Close()
		}
	}
	for _, c := range []*redisconn.Conn{s.cache, s.jobsConn} {
		if c != nil {
			_ = c.Close()
		}
	}
	for _, e := range s.embedded {
		_ = e.Stop()
	}
	s.tracer.Shutdown(s.base) // nothing is left, or nobody awaits it: base is done
}

// opsHandler is the handler of the ops address.
func (s *sidecar) opsHandler() http.Handler {
	return ops.Handler(ops.Options{
		Ready:     s.ready,
		Redis:     s.cache.Healthy,
		Reporters: s.reporters(),
		Page:      s.page,
		Purger:    s.invalidator,
		Queue:     adminQueue{s.jobs},
		Explain: func(ctx context.Context, r *http.Request, body []byte) (any, bool) {
			return s.proxy.Explain(ctx, r, body)
		},
		Policies:   s.policiesInForce,
		Reload:     s.policies.Reload,
		Leave:      s.sendElsewhere,
		AdminToken: s.cfg.AdminToken.Value,
		Metrics:    telemetry.Handler(s.registry),
		AuthFailed: func() { s.metrics.AuthFailed(telemetry.AuthFailureAdmin) },
		Log:        s.log,
	})
}
