// Package memory is the data structure of a cache inside the process: values by digest, weighed in bytes, bounded.
//
// It evicts by S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a new entry goes to a small
// queue of a tenth of the bytes. Whoever is asked for at least twice there moves on to the main queue; the others leave early, so
// that a scan through keys that nobody asks for again costs the small queue only. A ghost remembers the digests of those
// that left; whoever comes back soon goes to the main queue at once. The main queue gives an entry another round for each hit, up to
// three.
//
// Where this deviates from the paper:
//   - Entries have a weight, and the queues are measured in bytes instead of entries.
//   - The ghost is as long as there are entries, not as the main queue would hold: its bytes belong to Overhead.
//   - A value that replaces another keeps that one's queue and hits and begins a new round there. The paper's objects never change.
//   - The cache is cut into shards by digest, each an S3-FIFO of its own.
package memory

import "sidecar/cachekeys"

// Overhead is the bytes that an entry takes beside its weight: its node, the node of one digest in the ghost, and the places of both
// in the index. It is measured, and a test holds it to that.
const Overhead = 160

// Bounds of the shards.
const (
	maxShards = 16      // a power of two, at most 256
	minShare  = 4 << 20 // bytes of a shard, unless it is the only one: four answers of the default max_body
)

// A Cache holds values of type V. It is safe for concurrent use; a Get that finds something takes a read lock and allocates nothing.
// What is put in is shared by all who get it, so it must not be changed.
type Cache[V any] struct {
	limit  int64
	shards []shard[V]
}

// New returns a cache that never holds more than limit bytes by its own count: the weights plus Overhead an entry. With a limit
// of 0 or less it holds nothing. It has up to 16 shards with equal shares of the limit, of at least 4 MiB where there are several.
func New[V any](limit int64) *Cache[V] {
	limit = max(limit, 0)
	count := int64(maxShards)
	for count > 1 && limit/count < minShare {
		count /= 2
	}
	c := &Cache[V]{limit: limit, shards: make([]shard[V], count)}
	for i := range c.shards {
		c.shards[i].share = limit / count
		c.shards[i].reset()
	}
	return c
}

// shardOf relies on digests being even in every bit, as those of cachekeys are.
func (c *Cache[V]) shardOf(key cachekeys.Digest) *shard[V] {
	return &c.shards[int(key[len(key)-1])&(len(c.shards)-1)]
}

// Get returns the value that was last put under key, unless it was deleted or evicted.
func (c *Cache[V]) Get(key cachekeys.Digest) (V, bool) {
	return c.shardOf(key).get(key)
}

// Put stores value under key, in place of what stands there. Weight is the bytes that value keeps alive, beyond the first 8 of
// V itself; less than 0 counts as 0. A value that would not fit into an empty shard (weight plus Overhead, against limit
// by number of shards) is not taken, and what stands under key is dropped nevertheless.
func (c *Cache[V]) Put(key cachekeys.Digest, value V, weight int64) {
	c.shardOf(key).put(key, value, max(weight, 0))
}

// Delete drops what stands under key, if anything does.
func (c *Cache[V]) Delete(key cachekeys.Digest) {
	c.shardOf(key).deleteIf(key, nil)
}

// DeleteIf drops what stands under key if f says so of it. Nothing can be put under key between f and the deletion: f runs under
// the shard's lock, so it has to be quick and must not use the cache. It is not called if nothing stands there.
func (c *Cache[V]) DeleteIf(key cachekeys.Digest, f func(V) bool) {
	c.shardOf(key).deleteIf(key, f)
}

// Clear drops everything, the ghost included, one shard after the other: what is put meanwhile may stay.
func (c *Cache[V]) Clear() {
	for i := range c.shards {
		c.shards[i].clear()
	}
}

// Stats are numbers about a Cache.
type Stats struct {
	Bytes     int64 // weights plus Overhead an entry; at most Limit
	Entries   int
	Evictions uint64 // entries that had to make room for others, since New
	Limit     int64  // bytes
}

// Stats asks one shard after the other; each number was right for each shard at some moment during the call.
func (c *Cache[V]) Stats() Stats {
	all := Stats{Limit: c.limit}
	for i := range c.shards {
		one := c.shards[i].stats()
		all.Bytes += one.Bytes
		all.Entries += one.Entries
		all.Evictions += one.Evictions
	}
	return all
}
