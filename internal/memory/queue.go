package memory

import (
	"sync/atomic"

	"sidecar/cachekeys"
)

// A home is the queue that a node belongs to.
type home uint8

const (
	small home = iota // entries that have yet to prove themselves
	main              // entries that did
	ghost             // no entries: digests of those that left the small queue last
)

// A node is an entry or a digest in the ghost. With a V of 8 bytes it has 64.
type node[V any] struct {
	older, newer *node[V] // in its queue
	next         *node[V] // in its bucket of the index
	key          cachekeys.Digest
	cost         int64         // bytes: weight plus Overhead; 0 in the ghost
	hits         atomic.Uint32 // 0 to maxHits; written under a read lock too
	home         home
	value        V // none in the ghost
}

// hit counts a hit. Once there are enough it only reads, so that those who ask for the same entry do not fight for its cache
// line; a hit that is lost to a simultaneous one does not matter.
func (n *node[V]) hit() {
	if hits := n.hits.Load(); hits < maxHits {
		n.hits.CompareAndSwap(hits, hits+1)
	}
}

// A queue is a doubly linked list of nodes, so that one can leave from the middle at once and nothing keeps its value alive.
type queue[V any] struct {
	oldest, newest *node[V]
	nodes          int
	bytes          int64 // sum of cost
}

func (q *queue[V]) push(n *node[V]) {
	n.older = q.newest
	if q.newest == nil {
		q.oldest = n
	} else {
		q.newest.newer = n
	}
	q.newest = n
	q.nodes++
	q.bytes += n.cost
}

func (q *queue[V]) remove(n *node[V]) {
	if n.older == nil {
		q.oldest = n.newer
	} else {
		n.older.newer = n.newer
	}
	if n.newer == nil {
		q.newest = n.older
	} else {
		n.newer.older = n.older
	}
	n.older, n.newer = nil, nil
	q.nodes--
	q.bytes -= n.cost
}
