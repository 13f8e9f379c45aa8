package store

import (
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
	"sidecar/internal/memory"
)

// A readAt is when a look-up or a fill began that may end in this process's memory: before Redis
// was touched.
type readAt struct {
	position coherence.Position
	at       time.Duration // since epoch
}

// epoch is a time of this process: a duration since then is a third of a time.Time.
var epoch = time.Now()

func (s *Store) now() readAt { return readAt{s.keyspace.Position(), time.Since(epoch)} }

// held is an entry in memory. It is served while no invalidation of its tags was heard since it
// began, and for as long as the route allows.
type held struct {
	began readAt
	stamp coherence.Stamp
	entry *entry.Entry
}

// fromMemory returns an entry that may be served without asking Redis, or nil.
func (s *Store) fromMemory(q Query, variant cachekeys.Digest) *held {
	if q.Memory <= 0 || s.memory == nil || !s.keyspace.Current() {
		return nil
	}
	h, ok := s.memory.Get(variant)
	if !ok {
		return nil
	}
	now := time.Now()
	if now.Sub(epoch)-h.began.at >= q.Memory || h.entry.Fresh(now) <= 0 ||
		!s.keyspace.Stands(h.began.position, h.stamp) {
		return nil
	}
	return h
}

// toMemory holds e, which must not be changed any more, while it is fresh, and reports whether it
// does: a stale entry is looked up in Redis, where another process may have validated it. A body in
// chunks is not held.
func (s *Store) toMemory(q Query, variant cachekeys.Digest, began readAt, e *entry.Entry,
	stamp coherence.Stamp) bool {
	if q.Memory <= 0 || s.memory == nil || e.Chunks != nil || e.Fresh(time.Now()) <= 0 ||
		!s.keyspace.Stands(began.position, stamp) {
		return false
	}
	h := hold(began, e, stamp)
	s.memory.Put(variant, h, h.weight())
	return true
}

// hold makes the form in which memory has an entry: of a short one, nothing is kept but itself. A
// long body may be shared, and is not copied.
func hold(began readAt, e *entry.Entry, stamp coherence.Stamp) *held {
	if len(e.Body) < minShared {
		e = e.Compact()
	}
	return &held{began, slices.Clip(slices.Clone(stamp)), e}
}

// weight is about how many bytes of memory an entry takes, without the cache's own overhead. A test
// measures it.
func (h *held) weight() int64 {
	const structs, mark = 300, 32
	size := structs + len(h.entry.Head()) + cap(h.entry.Body) + mark*len(h.stamp)
	if h.entry.IsView() {
		size += len(h.entry.Head()) + mark*len(h.stamp) // the rest of the record
	}
	return int64(size)
}

// Memory are the statistics of the memory tier; zero if there is none.
func (s *Store) Memory() memory.Stats {
	if s.memory == nil {
		return memory.Stats{}
	}
	return s.memory.Stats()
}
