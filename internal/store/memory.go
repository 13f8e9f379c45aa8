package store

import (
	"bytes"
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
	at       time.Time
}

func (s *Store) now() readAt { return readAt{s.keyspace.Position(), time.Now()} }

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
	if now.Sub(h.began.at) >= q.Memory || h.entry.Fresh(now) <= 0 ||
		!s.keyspace.Stands(h.began.position, h.stamp) {
		return nil
	}
	return h
}

// toMemory holds e, which must not be changed any more, while it is fresh: a stale entry is looked
// up in Redis, where another process may have validated it. A body in chunks is not held.
func (s *Store) toMemory(q Query, variant cachekeys.Digest, began readAt, e *entry.Entry,
	stamp coherence.Stamp) {
	if q.Memory <= 0 || s.memory == nil || e.Chunks != nil || e.Fresh(time.Now()) <= 0 ||
		!s.keyspace.Stands(began.position, stamp) {
		return
	}
	s.memory.Put(variant, &held{began, stamp, e}, weight(e, stamp))
}

// weight is about how many bytes of memory an entry takes, without the cache's own overhead. A test
// measures it: the head lies in the record, in the entry and in the parsed fields, and the stamp in
// the record and beside it.
func weight(e *entry.Entry, stamp coherence.Stamp) int64 {
	const structs, line, mark = 620, 40, 2 * 32
	head := e.Head()
	return int64(structs + 3*len(head) + line*bytes.Count(head, []byte{'\n'}) +
		cap(e.Body) + mark*cap(stamp))
}

// Memory are the statistics of the memory tier; zero if there is none.
func (s *Store) Memory() memory.Stats {
	if s.memory == nil {
		return memory.Stats{}
	}
	return s.memory.Stats()
}
