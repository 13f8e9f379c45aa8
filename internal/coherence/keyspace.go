package coherence

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// A Keyspace is the protocol on one Redis under one prefix. It is safe for concurrent use.
type Keyspace struct {
	conn          *redisconn.Conn
	names         cachekeys.Names
	tokens        *Tokens
	incarnation   *Incarnation
	dirty         *dirtyList
	invalidations *invalidationLog
	listener      *listener
	log           *slog.Logger
	intentTime    time.Duration
	disabled      Disabled
	between       func() // called between the two pipelines of an end in Cluster; only in tests
}

// Options of a Keyspace.
type Options struct {
	Conn  *redisconn.Conn
	Names cachekeys.Names
	// Incarnation greets Conn's connections; nil: the server cannot come back with older data (the
	// embedded one).
	Incarnation *Incarnation
	Log         *slog.Logger // nil: slog.Default
	// IntentTime is how long a tag stays closed when its writer was killed; 0: 10 s.
	IntentTime time.Duration
	// Disabled has the parts of the protocol that are switched off, so that a test can see the
	// stale reads without them. The zero value is the protocol; nothing outside tests sets it.
	Disabled Disabled
}

// Disabled are the parts of the protocol that a test can switch off. A test that passes without the
// part proves nothing.
type Disabled struct {
	TokensAfterFetch bool // open after the backend's answer instead of before the request
	NoDirtyList      bool // forget an invalidation that failed
	IgnoreGuards     bool // store names learned from a response without looking at their guards
	NoBegin          bool // writes announce nothing
	AllNotCarried    bool // entries do not carry the tag All
	NoHello          bool // a Redis that nobody has met is used as it comes
	JoinByKey        bool // share answers by key alone, without comparing tokens
	GuardsAfterTags  bool // in Cluster
	// validate a stale entry by a time, though it was written to between look-up and open
	StaleUnproved bool
	NoOwnEcho     bool // answer from memory without knowing whether all pushes were heard
}

// New returns the protocol on o.Conn. Run does its work in the background.
func New(o Options) *Keyspace {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.IntentTime <= 0 {
		o.IntentTime = 10 * time.Second
	}
	k := &Keyspace{conn: o.Conn, names: o.Names, tokens: NewTokens(), incarnation: o.Incarnation,
		dirty:         newDirtyList(),
		invalidations: new(invalidationLog), log: o.Log, intentTime: o.IntentTime,
		disabled: o.Disabled}
	k.listener = newListener(o.Conn, o.Names.Channel(), k.invalidations, k.tokens, o.Log)
	k.listener.always = o.Disabled.NoOwnEcho
	return k
}

// Run makes good the invalidations that failed, greets the server again and again, and hears the
// invalidations of other processes, until ctx is done. One Run for each Keyspace.
func (k *Keyspace) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { k.dirty.run(ctx, k.makeGood, k.log) })
	running.Go(func() { k.heartbeat(ctx) })
	running.Go(func() { k.listener.run(ctx) })
	running.Wait()
}

// makeGood repeats an ending that failed. Tags are deleted under a new id, for their settle.
func (k *Keyspace) makeGood(ctx context.Context, e ending) error {
	if e.id.IsZero() {
		e.id = k.tokens.Next()
	}
	others, err := k.send(ctx, nil, e)
	k.invalidations.raise(others)
	return err
}

// heartbeatEvery is how often the server is greeted again.
const heartbeatEvery = 5 * time.Second

func (k *Keyspace) heartbeat(ctx context.Context) {
	if k.incarnation == nil {
		return
	}
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		_ = k.conn.Do(bounded, nil, "hello", k.beat) // a failure is seen and reported by the probe
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *Keyspace) beat(ctx context.Context, c redis.UniversalClient) error {
	return k.eachServer(ctx, c,
		func(ctx context.Context, node redis.Cmdable, at func(addr string) *redis.Client) error {
			return k.incarnation.Beat(ctx, node, at)
		})
}

// Readable reports whether anything may be read from Redis: false while an invalidation is still
// to be made good. Ask after the request came and before anything is sent to Redis for it.
func (k *Keyspace) Readable() bool { return k.dirty.empty() }

// Pending is how many tags wait to be invalidated.
func (k *Keyspace) Pending() int { return k.dirty.size() }

// Generation is that of the Incarnation. A look-up during which it changed counts as not found.
func (k *Keyspace) Generation() uint64 { return k.incarnation.Generation() }

// standingBatch is how many tags Standing asks for in one round trip.
const standingBatch = 1000

// Standing counts the tags that a stored response, or a fetch under way, may carry: their tokens
// stand in Redis.
func (k *Keyspace) Standing(ctx context.Context, tags []cachekeys.Tag) (n int, err error) {
	for batch := range slices.Chunk(tags, standingBatch) {
		count := func(ctx context.Context, c redis.UniversalClient) error {
			pipe := c.Pipeline()
			found := make([]*redis.IntCmd, len(batch))
			for i, t := range batch {
				found[i] = pipe.Exists(ctx, k.names.Token(t.Digest()))
			}
			err := redisconn.Exec(ctx, pipe)
			for _, f := range found {
				n += int(f.Val())
				err = cmp.Or(err, f.Err())
			}
			return err
		}
		if err := k.conn.Do(ctx, nil, "standing", count); err != nil {
			return n, err
		}
	}
	return n, nil
}

// JoinByKey reports whether Disabled says so.
func (k *Keyspace) JoinByKey() bool { return k.disabled.JoinByKey }

// TokenKeys appends the Redis keys of the tokens of All and of tags to keys, in this order; a
// reader sends them in one Read with the entry and gives the values to NewReading.
func (k *Keyspace) TokenKeys(keys []string, tags []cachekeys.Digest) []string {
	keys = append(keys, k.names.Token(allDigest))
	return k.MoreTokenKeys(keys, tags)
}

// MoreTokenKeys is TokenKeys without All, for the tags that Judge found missing.
func (k *Keyspace) MoreTokenKeys(keys []string, tags []cachekeys.Digest) []string {
	for _, t := range tags {
		keys = append(keys, k.names.Token(t))
	}
	return keys
}

// NewReading pairs Redis's answers for TokenKeys with the tags.
func (k *Keyspace) NewReading(tags []cachekeys.Digest, values []any) Reading {
	all := parseToken(values[0])
	if k.disabled.AllNotCarried {
		all = notCarried
	}
	r := Reading{
		tags: make([]cachekeys.Digest, 0, len(values)), tokens: make([]Token, 0, len(values)),
	}
	r.add(allDigest, all)
	r.Add(tags, values[1:])
	return r
}

// NewStampReading pairs Redis's answers for MoreTokenKeys with a stamp, whose tags they are of.
func (k *Keyspace) NewStampReading(s Stamp, values []any) Reading {
	if k.disabled.AllNotCarried {
		values = slices.Clone(values)
		for i, m := range s {
			if m.Tag == allDigest {
				values[i] = string(notCarried[:])
			}
		}
	}
	return Reading{of: s, values: values}
}

// notCarried stands for All's token where Disabled says that it does not count.
var notCarried = Token{1}

// Add pairs Redis's answers for MoreTokenKeys with the tags.
func (r *Reading) Add(tags []cachekeys.Digest, values []any) {
	for i, t := range tags {
		r.add(t, parseToken(values[i]))
	}
}
