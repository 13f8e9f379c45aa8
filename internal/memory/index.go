package memory

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"sidecar/cachekeys"
)

// An index finds nodes by digest. It is a hash table by linear hashing (Litwin, VLDB 1980): it grows and shrinks by one bucket at a
// time, so no Put stops to move everything. Go's own map would do but for its memory: it never shrinks, and where as much
// is deleted as is inserted, it was measured to grow for as long as it was watched, to four slots an entry and more.
type index[V any] struct {
	seed    maphash.Seed // whoever chooses digests cannot choose their bucket
	buckets []*node[V]   // at least one; about as many as nodes
	nodes   int
}

func newIndex[V any]() index[V] {
	return index[V]{seed: maphash.MakeSeed(), buckets: make([]*node[V], 1)}
}

// bucket is the number of key's bucket: its hash modulo the power of two at or above the number of buckets or, where there
// is no such bucket yet, modulo the power below, which is the bucket that will be split to make it.
func (x *index[V]) bucket(key *cachekeys.Digest) int {
	hash := maphash.Bytes(x.seed, key[:])
	mask := uint64(1)<<bits.Len(uint(len(x.buckets)-1)) - 1
	if i := hash & mask; i < uint64(len(x.buckets)) {
		return int(i)
	}
	return int(hash & (mask >> 1))
}

// splitFrom is the bucket that bucket i is split from, and merges into: i without its highest bit.
func splitFrom(i int) int { return i &^ (1 << (bits.Len(uint(i)) - 1)) }

// find returns nil if there is no node of key.
func (x *index[V]) find(key cachekeys.Digest) *node[V] {
	n := x.buckets[x.bucket(&key)]
	for n != nil && n.key != key {
		n = n.next
	}
	return n
}

// insert adds n, of whose key there is no node yet.
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

// remove takes n out, which is there.
func (x *index[V]) remove(n *node[V]) {
	at := &x.buckets[x.bucket(&n.key)]
	for *at != n {
		at = &(*at).next
	}
	*at, n.next = n.next, nil
	x.nodes--
	// A quarter to spare, so that a node that comes for each that goes does not split and merge each time.
	for len(x.buckets) > x.nodes+x.nodes/4+1 {
		x.merge()
	}
}

// split adds a bucket.
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

// relink puts each node of bucket i where it belongs now.
func (x *index[V]) relink(i int) {
	n := x.buckets[i]
	x.buckets[i] = nil
	for n != nil {
		next := n.next
		x.link(n)
		n = next
	}
}
