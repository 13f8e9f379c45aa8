package store

import (
	"bytes"
	"hash/maphash"
	"sync"
	"weak"

	"sidecar/internal/entry"
)

// Bounds of sharing.
const (
	minShared = 64 << 10 // shorter bodies are not worth the search
	maxShared = 4096     // bodies that are known; beyond it those that nobody sends are forgotten
)

// A sharing makes requests that answer with the same long body, or chunk of one, at the same time
// hold it once. Each of them has read it from Redis for itself; a client that takes nothing would
// keep it for long. A body that nobody sends is not kept.
type sharing struct {
	seed  maphash.Seed
	mu    sync.Mutex
	known map[uint64]weak.Pointer[entry.Entry] // who holds the body, by its hash
}

func newSharing() *sharing {
	return &sharing{seed: maphash.MakeSeed(), known: map[uint64]weak.Pointer[entry.Entry]{}}
}

// share gives e the body that another holds, if that is the same. It reports whether it is free of
// the one that it had.
func (s *sharing) share(e *entry.Entry) (free bool) {
	if len(e.Body) < minShared {
		return false
	}
	hash := maphash.Bytes(s.seed, e.Body)
	s.mu.Lock()
	held := s.known[hash].Value()
	s.mu.Unlock()
	if held != nil && bytes.Equal(held.Body, e.Body) {
		e.ShareBody(held)
		free = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxShared {
		s.forget()
	}
	// the latest, which is likely to last the longest; e changes no more
	s.known[hash] = weak.Make(e)
	return free
}

// forget drops those that nobody holds, and all if that are none. mu is held.
func (s *sharing) forget() {
	for hash, holder := range s.known {
		if holder.Value() == nil {
			delete(s.known, hash)
		}
	}
	if len(s.known) >= maxShared {
		clear(s.known)
	}
}
