package memory

import (
	"sync/atomic"

	"sidecar/cachekeys"
)

// A home is the queue that a node belongs to.
type home uint8

const (
	small home = iota // new entries
	main              // entries with enough hits
	ghost             // digests of the entries that the small queue evicted last
)

// A node is an entry, or a digest in the ghost. With a V of 8 bytes it takes 64 bytes.
type node[V any] struct {
	older, newer *node[V] // in its queue
	next         *node[V] // in its bucket of the index
	key          cachekeys.Digest
	cost         int64         // bytes: weight plus Overhead; 0 in the ghost
	hits         atomic.Uint32 // 0 to maxHits; written under a read lock too
	home         home
	value        V // zero in the ghost
}

// hit counts a hit, up to maxHits. From then on it only reads, so that concurrent readers of one
// entry do not contend for its cache line. Concurrent hits may count as one.
func (n *node[V]) hit() {
	if hits := n.hits.Load(); hits < maxHits {
		n.hits.CompareAndSwap(hits, hits+1)
	}
}

// A queue is a doubly linked list, so that a node can leave from the middle in constant time.
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
