package coherence

import (
	"context"
	"log/slog"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// A Keyspace is the protocol on one Redis under one prefix. It is safe for concurrent use.
type Keyspace struct {
	conn   *redisconn.Conn
	names  cachekeys.Names
	tokens *Tokens
	dirty  *dirtyList
	log    *slog.Logger
	guards Guards
}

// Options of a Keyspace.
type Options struct {
	Conn  *redisconn.Conn
	Names cachekeys.Names
	Log   *slog.Logger // nil: slog.Default
	// Guards switches parts of the protocol off, so that a test can see what happens without them. The zero value is the
	// protocol; nothing outside tests sets it.
	Guards Guards
}

// Guards are the parts of the protocol that a test can switch off. A test that passes without the guard proves nothing.
type Guards struct {
	TokensAfterFetch bool // open after the backend's answer instead of before the request
	NoDirtyList      bool // forget an invalidation that failed
	IgnoreGuards     bool // store names learned from a response without looking at their guards
}

// New returns the protocol on o.Conn. Run makes good what failed.
func New(o Options) *Keyspace {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Keyspace{conn: o.Conn, names: o.Names, tokens: NewTokens(), dirty: newDirtyList(), log: o.Log, guards: o.Guards}
}

// Run makes good the invalidations that failed, until ctx is done. One Run for each Keyspace.
func (k *Keyspace) Run(ctx context.Context) { k.dirty.run(ctx, k.delete, k.log) }

// Readable reports whether anything may be read from Redis: false while an invalidation is still to be made good.
// Ask after the request came and before anything is sent to Redis for it.
func (k *Keyspace) Readable() bool { return k.dirty.empty() }

// Pending is how many tags wait to be invalidated.
func (k *Keyspace) Pending() int { return k.dirty.size() }

// TokenKeys appends the Redis keys of the tokens of All and of tags to keys, in this order; a reader sends them in one
// MGET with the entry and gives the values to Reading.
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

// NewReading pairs what Redis answered for TokenKeys with the tags.
func NewReading(tags []cachekeys.Digest, values []any) Reading {
	r := make(Reading, len(values))
	r[allDigest] = parseToken(values[0])
	r.Add(tags, values[1:])
	return r
}

// Add pairs what Redis answered for MoreTokenKeys with the tags.
func (r Reading) Add(tags []cachekeys.Digest, values []any) {
	for i, t := range tags {
		r[t] = parseToken(values[i])
	}
}
