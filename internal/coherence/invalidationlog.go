package coherence

import (
	"encoding/binary"
	"sync/atomic"

	"sidecar/cachekeys"
)

// An invalidationLog has the invalidations that this process knows: its own, and those that others
// pushed. A tag has one of 64 k slots, in which stands the count at which something in it was last
// invalidated. Two tags that share a slot make the memory tier colder.
type invalidationLog struct {
	counter, floor atomic.Uint64
	slots          [1 << 16]atomic.Uint64
}

func slotOf(tag cachekeys.Digest) uint16 { return binary.BigEndian.Uint16(tag[:]) }

// raise notes that tags were invalidated just now.
func (h *invalidationLog) raise(tags []cachekeys.Digest) {
	if len(tags) == 0 {
		return
	}
	now := h.counter.Add(1)
	for _, t := range tags {
		h.set(slotOf(t), now)
	}
}

// set never lets a slot go back: two who raise the same one may come in any order.
func (h *invalidationLog) set(slot uint16, now uint64) { raiseTo(&h.slots[slot], now) }

func raiseTo(v *atomic.Uint64, now uint64) {
	for {
		have := v.Load()
		if have >= now || v.CompareAndSwap(have, now) {
			return
		}
	}
}

// raiseAll notes that anything may have been invalidated.
func (h *invalidationLog) raiseAll() { raiseTo(&h.floor, h.counter.Add(1)) }

// A Position is a moment in an invalidationLog. A response that was read from Redis or fetched
// after it may be served from memory until one of its tags is invalidated.
type Position uint64

// Position is the present one. Take it before Redis is touched.
func (k *Keyspace) Position() Position { return Position(k.invalidations.counter.Load()) }

// Stands reports whether nothing was heard of any tag of s since n.
func (k *Keyspace) Stands(n Position, s Stamp) bool {
	if k.invalidations.floor.Load() > uint64(n) {
		return false
	}
	for i := range s {
		if k.invalidations.slots[slotOf(s[i].Tag)].Load() > uint64(n) {
			return false
		}
	}
	return true
}
