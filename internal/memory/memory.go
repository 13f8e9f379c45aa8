// Package memory is a bounded in-process cache: values by digest, weighed in bytes.
//
// It evicts by S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
// A new entry goes to a small queue, which has a tenth of the bytes. With two hits there it moves
// on to the main queue; without, it is evicted early, so a scan through cold keys costs only the
// small queue. A ghost queue remembers the digests of entries that the small queue evicted; one
// that is put again soon goes straight to the main queue. The main queue gives an entry another
// round for each hit, up to three.
//
// It deviates from the paper:
//   - Entries have a weight, and the queues are measured in bytes instead of entries.
//   - The ghost is as long as there are entries, so that Overhead covers its bytes.
//   - A value that replaces another keeps its queue and hits, and begins a new round there.
//     Objects of the paper never change.
//   - The cache is divided by digest into shards, each an S3-FIFO of its own.
package memory

import "sidecar/cachekeys"

// Overhead is the memory that an entry takes beside its weight, in bytes: its node, the node of one
// digest in the ghost, and the slots of both in the index. A test measures it.
const Overhead = 160

// Bounds of the shards.
const (
	maxShards = 16      // a power of two, at most 256
	minShare  = 4 << 20 // bytes of a shard, if there are several: four times the default max_body
)

// A Cache holds values of type V. It is safe for concurrent use; a hit takes a read lock and
// allocates nothing. A value is shared by all callers of Get, so it must not change.
type Cache[V any] struct {
	limit  int64
	shards []shard[V]
}

// New returns a cache that never holds more than limit bytes: the weights plus Overhead for each
// entry. With a limit of 0 or less it holds nothing. It has up to 16 shards with equal shares of
// the limit, of at least 4 MiB where there are several.
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

// shardOf relies on uniformly distributed digests, as cachekeys makes them.
func (c *Cache[V]) shardOf(key cachekeys.Digest) *shard[V] {
	return &c.shards[int(key[len(key)-1])&(len(c.shards)-1)]
}

// Get returns the latest value of key, unless it was deleted or evicted.
func (c *Cache[V]) Get(key cachekeys.Digest) (V, bool) {
	return c.shardOf(key).get(key)
}

// Put stores value under key and replaces an earlier one. weight is the number of bytes that value
// keeps alive beyond the first 8 of V itself; a negative one counts as 0. A value that is larger
// than an empty shard (weight plus Overhead against limit by number of shards) is not stored; the
// earlier one is dropped in that case too.
func (c *Cache[V]) Put(key cachekeys.Digest, value V, weight int64) {
	c.shardOf(key).put(key, value, max(weight, 0))
}

func (c *Cache[V]) Delete(key cachekeys.Digest) {
	c.shardOf(key).deleteIf(key, nil)
}

// DeleteIf deletes the value of key if f returns true for it. f runs under the shard's lock, so
// that no Put comes between f and the deletion: it must be quick and must not use the cache.
// Without a value f is not called.
func (c *Cache[V]) DeleteIf(key cachekeys.Digest, f func(V) bool) {
	c.shardOf(key).deleteIf(key, f)
}

// Clear drops all values and the ghost, one shard after the other. A value that is put meanwhile
// may stay.
func (c *Cache[V]) Clear() {
	for i := range c.shards {
		c.shards[i].clear()
	}
}

// Stats are numbers about a Cache.
type Stats struct {
	Bytes     int64 // weights plus Overhead for each entry; at most Limit
	Entries   int
	Evictions uint64 // entries evicted since New
	Limit     int64  // bytes
}

// Stats reads one shard after the other: each shard's numbers were right at some moment during the
// call.
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
