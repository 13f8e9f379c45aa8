package memory

import (
	"sync"

	"sidecar/cachekeys"
)

// The parameters of S3-FIFO, as in the paper.
const (
	smallPart   = 10 // the small queue has one byte in so many
	promoteHits = 2  // hits that move an entry from the small queue to the main queue
	maxHits     = 3  // more hits are not counted
)

// A shard is an S3-FIFO cache of share bytes. Every node of its index is in exactly one of its
// queues. Changes to either need the write lock.
type shard[V any] struct {
	share int64 // bytes

	mu        sync.RWMutex
	index     index[V]
	queues    [3]queue[V] // by home
	evictions uint64
}

func (s *shard[V]) get(key cachekeys.Digest) (value V, there bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := s.index.find(key)
	if n == nil || n.home == ghost {
		return value, false
	}
	n.hit()
	return n.value, true
}

func (s *shard[V]) put(key cachekeys.Digest, value V, weight int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.index.find(key)
	if weight > s.share-Overhead {
		if n != nil && n.home != ghost {
			s.drop(n)
		}
		return
	}
	// n stays out of the queues while makeRoom runs, so that it is not evicted itself.
	if n == nil {
		n = &node[V]{key: key, home: small}
		s.index.insert(n)
	} else {
		s.queues[n.home].remove(n)
		if n.home == ghost {
			n.home = main
		}
	}
	s.makeRoom(weight + Overhead)
	n.value, n.cost = value, weight+Overhead
	s.queues[n.home].push(n)
	s.trimGhost()
}

// deleteIf deletes unconditionally if f is nil.
func (s *shard[V]) deleteIf(key cachekeys.Digest, f func(V) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.index.find(key); n != nil && n.home != ghost && (f == nil || f(n.value)) {
		s.drop(n)
	}
}

func (s *shard[V]) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reset()
}

// reset empties the shard; its count of evictions stays.
func (s *shard[V]) reset() {
	s.index = newIndex[V]()
	s.queues = [3]queue[V]{}
}

func (s *shard[V]) stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{Bytes: s.bytes(), Entries: s.entries(), Evictions: s.evictions}
}

func (s *shard[V]) bytes() int64 { return s.queues[small].bytes + s.queues[main].bytes }

func (s *shard[V]) entries() int { return s.queues[small].nodes + s.queues[main].nodes }

// makeRoom evicts until cost more bytes fit. It terminates: every step removes an entry from the
// small queue, or a hit or an entry from the main queue, and no hit is counted under the write
// lock.
func (s *shard[V]) makeRoom(cost int64) {
	for s.bytes() > s.share-cost {
		if s.queues[main].nodes == 0 ||
			s.queues[small].nodes > 0 && s.queues[small].bytes >= s.share/smallPart {
			s.stepSmall(s.queues[small].oldest)
		} else {
			s.stepMain(s.queues[main].oldest)
		}
	}
}

// stepSmall moves n, the oldest of the small queue, to the main queue, or evicts it to the ghost.
func (s *shard[V]) stepSmall(n *node[V]) {
	s.queues[small].remove(n)
	if n.hits.Load() >= promoteHits {
		n.home = main
	} else {
		var none V
		n.home, n.value, n.cost = ghost, none, 0
		s.evictions++
	}
	n.hits.Store(0)
	s.queues[n.home].push(n)
}

// stepMain gives n, the oldest of the main queue, another round for one of its hits, or evicts it.
func (s *shard[V]) stepMain(n *node[V]) {
	hits := n.hits.Load()
	if hits == 0 {
		s.forget(n)
		s.evictions++
		return
	}
	n.hits.Store(hits - 1)
	s.queues[main].remove(n)
	s.queues[main].push(n)
}

// trimGhost bounds the ghost by the number of entries: the Overhead of each counts a digest there.
func (s *shard[V]) trimGhost() {
	for s.queues[ghost].nodes > s.entries() {
		s.forget(s.queues[ghost].oldest)
	}
}

func (s *shard[V]) drop(n *node[V]) {
	s.forget(n)
	s.trimGhost()
}

func (s *shard[V]) forget(n *node[V]) {
	s.queues[n.home].remove(n)
	s.index.remove(n)
}
