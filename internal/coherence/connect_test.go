package coherence_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/redisd"
)

var names = cachekeys.NewNames("test")

// connect returns a connection with a breaker that hardly waits.
func connect(t testing.TB, r config.Redis, greet redisconn.Greeter) *redisconn.Conn {
	t.Helper()
	conn, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: r, Names: names, Greet: greet,
		Breaker: config.Breaker{
			MaxRequests: 1, Interval: 10 * time.Second, Timeout: 100 * time.Millisecond,
			MinRequests: 3, FailureRatio: 0.6,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A process is one sidecar's part in the protocol.
type process struct {
	t testing.TB
	*coherence.Keyspace
	conn        *redisconn.Conn
	incarnation *coherence.Incarnation
}

func newProcess(t testing.TB, r config.Redis, guards coherence.Disabled,
	intent ...time.Duration) *process {
	t.Helper()
	p := &process{t: t, incarnation: coherence.NewIncarnation(names, nil)}
	p.conn = connect(t, r, p.incarnation)
	o := coherence.Options{Conn: p.conn, Names: names, Incarnation: p.incarnation, Disabled: guards}
	if len(intent) > 0 {
		o.IntentTime = intent[0]
	}
	p.Keyspace = coherence.New(o)
	// meet all nodes, as the heartbeat does at the start
	if cluster, ok := p.conn.Client().(*redis.ClusterClient); ok {
		if err := cluster.ForEachMaster(t.Context(),
			func(ctx context.Context, node *redis.Client) error {
				return node.Ping(ctx).Err()
			}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// run does the process's background work until the test ends.
func (p *process) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	p.t.Cleanup(func() { cancel(); <-done })
}

func addressOf(s *redisd.Server) config.Redis {
	return config.Redis{Host: s.Host(), Port: s.Port()}
}

func (p *process) open(carried, guards []cachekeys.Tag) *coherence.Opened {
	p.t.Helper()
	opened, err := p.Open(p.t.Context(), nil,
		coherence.Opening{Carried: carried, Guards: guards, TTL: time.Minute})
	if err != nil {
		p.t.Fatal(err)
	}
	return opened
}

func (p *process) begin(tags ...cachekeys.Tag) *coherence.Write {
	p.t.Helper()
	w := p.Write(cachekeys.Tag{})
	if err := w.Begin(p.t.Context(), nil, tags, guardsOf(tags)); err != nil {
		p.t.Fatal(err)
	}
	return w
}

func (p *process) end(w *coherence.Write, outcome coherence.Outcome, settle time.Duration,
	tags ...cachekeys.Tag) {
	p.t.Helper()
	covered, err := w.End(p.t.Context(), nil, outcome, tags, guardsOf(tags), settle)
	if err != nil || !covered {
		p.t.Fatalf("covered %t, %v", covered, err)
	}
}

func guardsOf(tags []cachekeys.Tag) (guards []cachekeys.Tag) {
	for _, t := range tags {
		guards = append(guards, t.Guards(nil)...)
	}
	return guards
}

// intents is how many writes to the tag are under way.
func (p *process) intents(tag cachekeys.Tag) (n int64) {
	p.t.Helper()
	err := p.conn.Do(p.t.Context(), nil, "test",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			n, err = c.ZCount(ctx, names.Intents(tag.Digest()), "-inf", "(inf").Result()
			return err
		})
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// judge reads the stamp's tokens as a hit does, and judges.
func (p *process) judge(stamp coherence.Stamp) coherence.Verdict {
	p.t.Helper()
	verdict, missing := coherence.Judge(stamp, coherence.Reading{})
	if verdict != coherence.Unread {
		return verdict
	}
	values, err := p.Read(p.t.Context(), nil, "test", p.MoreTokenKeys(nil, missing))
	if err != nil {
		p.t.Fatal(err)
	}
	reading := coherence.Reading{}
	reading.Add(missing, values)
	verdict, _ = coherence.Judge(stamp, reading)
	return verdict
}
