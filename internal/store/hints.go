package store

import (
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/httpfield"
)

// maxHints and maxHintNames bound each of the two generations of hints, in keys and in names.
const maxHints, maxHintNames = 32 << 10, 64 << 10

// A hint is what this process remembers of a primary key, so that one round trip asks for
// everything at once. It is only ever a guess of what to read: what is read decides.
type hint struct {
	vary        []string        // the fields by which the variants are told apart
	names       []cachekeys.Tag // the names that the answer gave
	unshareable time.Time       // until when each request fetches its answers for itself

	variants []entry.Variant // that the backend can be asked about

	search httpfield.SearchVariance // under the bare key of a path: by what its answers vary
}

// hints is a bounded memory with two generations: when the young one is full it becomes the old
// one, and what was not asked for meanwhile is forgotten.
type hints struct {
	mu         sync.Mutex
	young, old map[cachekeys.Digest]hint
	names      int // in young
}

func newHints() *hints { return &hints{young: map[cachekeys.Digest]hint{}} }

func (h *hints) get(primary cachekeys.Digest) hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.find(primary)
}

// find is get. mu is held.
func (h *hints) find(primary cachekeys.Digest) hint {
	got, ok := h.young[primary]
	if !ok {
		if got, ok = h.old[primary]; ok {
			h.put(primary, got)
		}
	}
	return got
}

// setUnshareable remembers until when answers under the key are not shared.
func (h *hints) setUnshareable(primary cachekeys.Digest, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.find(primary)
	got.unshareable = until
	h.put(primary, got)
}

// set remembers got; an empty hint is not worth remembering, but replaces one. Until when answers
// are not shared is not forgotten for it.
func (h *hints) set(primary cachekeys.Digest, got hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.find(primary); old.unshareable.After(got.unshareable) && time.Now().Before(old.unshareable) {
		got.unshareable = old.unshareable
	}
	if len(got.vary) == 0 && len(got.names) == 0 && got.unshareable.IsZero() && got.search.String() == "" {
		delete(h.young, primary)
		delete(h.old, primary)
		return
	}
	h.put(primary, got)
}

func (h *hints) put(primary cachekeys.Digest, got hint) {
	if len(h.young) >= maxHints || h.names >= maxHintNames {
		h.young, h.old, h.names = map[cachekeys.Digest]hint{}, h.young, 0
	}
	h.names += len(got.names) // of one that is put twice, twice: it turns the sooner
	h.young[primary] = got
}
