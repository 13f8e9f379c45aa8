// Package store finds and keeps entries: tier by tier on the way in, behind the answer on the way
// out. Package coherence judges whether an entry may still be used, package entry has its format,
// and httpcache judges freshness.
package store

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/collapse"
	"sidecar/internal/lease"
	"sidecar/internal/memory"
	"sidecar/internal/redisconn"
)

// A Store is the two tiers, memory before Redis. It is safe for concurrent use.
type Store struct {
	conn     *redisconn.Conn
	keyspace *coherence.Keyspace
	names    cachekeys.Names
	secret   func() []byte
	hints    *hints
	bodies   *sharing
	searches atomic.Bool // some path is known to have a rule for its queries
	pending  *pending
	// of this process; bounded by the requests under way
	flights      collapse.Group[flightID, *Fill, Result]
	leases       *lease.Leases
	chunkWriters *chunkWriters
	memory       *memory.Cache[*held]    // nil: there is no memory tier
	decoded      *memory.Cache[*decoded] // nil: nothing is kept
	timeout      time.Duration
	collapseWait time.Duration
	log          *slog.Logger

	slots   chan struct{} // one for each store under way
	stores  tasks
	closing context.Context
	abort   context.CancelFunc
}

// Options of a Store.
type Options struct {
	Conn     *redisconn.Conn
	Keyspace *coherence.Keyspace
	Names    cachekeys.Names
	// HMAC key of entry keys; nil result: not known yet, and nothing is asked of the store
	Secret       func() []byte
	StoreTimeout time.Duration // bound of one store behind an answer; 0: 2 s
	// CollapseWait bounds how long a request waits for an answer that another one fetches and that
	// has not begun to come; 0: each request fetches for itself.
	CollapseWait time.Duration
	Memory       int64        // bound of the memory tier in bytes; 0: there is none
	MaxStores    int          // how many may be under way at once; 0: 64. One more is dropped.
	Log          *slog.Logger // nil: slog.Default
}

// New returns a store on o.Conn.
func New(o Options) *Store {
	if o.StoreTimeout <= 0 {
		o.StoreTimeout = 2 * time.Second
	}
	if o.MaxStores <= 0 {
		o.MaxStores = 64
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	s := &Store{
		conn: o.Conn, keyspace: o.Keyspace, names: o.Names, secret: o.Secret,
		hints: newHints(), bodies: newSharing(), pending: newPending(),
		leases:       lease.New(lease.Options{Conn: o.Conn}),
		chunkWriters: newChunkWriters(), timeout: o.StoreTimeout,
		collapseWait: o.CollapseWait, log: o.Log,
		slots: make(chan struct{}, o.MaxStores), decoded: newDecoded(o.Memory),
	}
	if o.Memory > 0 {
		s.memory = memory.New[*held](o.Memory)
	}
	s.closing, s.abort = context.WithCancel(context.Background())
	return s
}

// Close waits for the stores under way until ctx is done. Those that are left then are ended: at
// once, or, where Redis is silent, with its connections.
func (s *Store) Close(ctx context.Context) {
	select {
	case <-s.stores.Ended():
	case <-ctx.Done():
	}
	s.abort()
}
