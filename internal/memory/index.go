package memory

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"sidecar/cachekeys"
)

// An index finds nodes by digest. It is a hash table by linear hashing (Litwin, VLDB 1980): it
// grows and shrinks by one bucket at a time, so no Put pauses to move every node.
//
// A Go map takes more memory: it never shrinks, and with as many deletions as insertions it was
// measured to grow to four slots an entry and more.
type index[V any] struct {
	seed    maphash.Seed // unknown to clients, so none can choose a bucket
	buckets []*node[V]   // at least one; about as many as nodes
	nodes   int
}

func newIndex[V any]() index[V] {
	return index[V]{seed: maphash.MakeSeed(), buckets: make([]*node[V], 1)}
}

// bucket is the number of key's bucket: its hash modulo the power of two at or above the number of
// buckets. If that bucket does not exist yet, it is the hash modulo the power below: the bucket
// that will be split to make it.
func (x *index[V]) bucket(key *cachekeys.Digest) int {
	hash := maphash.Bytes(x.seed, key[:])
	mask := uint64(1)<<bits.Len(uint(len(x.buckets)-1)) - 1
	if i := hash & mask; i < uint64(len(x.buckets)) {
		return int(i)
	}
	return int(hash & (mask >> 1))
}

// splitFrom is the bucket that bucket i is split from, and merged into: i without its highest bit.
func splitFrom(i int) int { return i &^ (1 << (bits.Len(uint(i)) - 1)) }

// find returns nil if there is no node of key.
func (x *index[V]) find(key cachekeys.Digest) *node[V] {
	n := x.buckets[x.bucket(&key)]
	for n != nil && n.key != key {
		n = n.next
	}
	return n
}

// insert adds n. There must be no node of its key yet.
func (x *index[V]) insert(n *node[V]) {
	x.link(n)
	x.nodes++
	if x.nodes > len(x.buckets) {
		x.split()
	}
}

func (x *index[V]) link(n *node[V]) {
	head := &x.buckets[x.bucket(&n.key)]
	n.next, *head = *head, n
}

// remove removes n, which must be in the index.
func (x *index[V]) remove(n *node[V]) {
	at := &x.buckets[x.bucket(&n.key)]
	for *at != n {
		at = &(*at).next
	}
	*at, n.next = n.next, nil
	x.nodes--
	// The quarter keeps a steady exchange of nodes from splitting and merging each time.
	for len(x.buckets) > x.nodes+x.nodes/4+1 {
		x.merge()
	}
}

func (x *index[V]) split() {
	from := splitFrom(len(x.buckets))
	x.buckets = append(x.buckets, nil)
	x.relink(from)
}

// merge removes the last bucket.
func (x *index[V]) merge() {
	last := len(x.buckets) - 1
	into := splitFrom(last)
	if x.buckets[last] != nil {
		end := x.buckets[last]
		for end.next != nil {
			end = end.next
		}
		end.next, x.buckets[into] = x.buckets[into], x.buckets[last]
		x.buckets[last] = nil
	}
	x.buckets = x.buckets[:last]
	if cap(x.buckets) > 2*len(x.buckets) {
		x.buckets = slices.Clone(x.buckets)
	}
}

// relink moves each node of bucket i to its present bucket.
func (x *index[V]) relink(i int) {
	n := x.buckets[i]
	x.buckets[i] = nil
	for n != nil {
		next := n.next
		x.link(n)
		n = next
	}
}
