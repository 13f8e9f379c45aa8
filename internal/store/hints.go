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

// A hint is this process's memory of a primary key, so that one round trip asks for everything at
// once. It only guesses the keys to read: the values decide.
type hint struct {
	vary        []string        // the fields by which the variants are told apart
	names       []cachekeys.Tag // the names that the answer gave
	unshareable time.Time       // until when each request fetches its answers for itself

	variants []entry.Variant // that the backend can be asked about

	search httpfield.SearchVariance // under the bare key of a path: how its answers vary
}

// hints is a bounded memory with two generations: when the young one is full it becomes the old
// one, and hints that nobody asked for meanwhile are forgotten.
type hints struct {
	mu         sync.Mutex
	young, old map[cachekeys.Digest]hint
	names      int // in young
	routes     map[string]routeHint
}

// A routeHint is this process's memory of a route's answers, for URLs without a hint.
type routeHint struct {
	vary                   []string  // of the last one that was shareable
	shareable, unshareable time.Time // when one last was, and was not
}

// maxRoutes bounds the routes that are remembered. Policies that are reloaded under new names
// again and again begin anew.
const maxRoutes = 4096

// unshareableTime is how long nobody waits for answers after one was not shareable. One that is
// ends it.
const unshareableTime = 10 * time.Minute

func newHints() *hints {
	return &hints{young: map[cachekeys.Digest]hint{}, routes: map[string]routeHint{}}
}

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

// expected is by which fields the answers under a key are told apart, and whether they are likely
// to be shareable, as far as is known: of the key itself, or else of its route.
func (h *hints) expected(route string, primary cachekeys.Digest,
	now time.Time) (vary []string, shareable bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own, of := h.find(primary), h.routes[route]
	if vary = own.vary; len(vary) == 0 {
		vary = of.vary
	}
	if now.Before(own.unshareable) {
		return vary, false
	}
	known := len(own.vary)+len(own.names) > 0 // a shareable answer was stored under it
	if known || now.Sub(of.shareable) < unshareableTime {
		return vary, true
	}
	return vary, now.Sub(of.unshareable) >= unshareableTime
}

// setUnshareable remembers that an answer under the key was not shareable.
func (h *hints) setUnshareable(route string, primary cachekeys.Digest, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.find(primary)
	got.unshareable = now.Add(unshareableTime)
	h.put(primary, got)
	of := h.routes[route]
	of.unshareable = now
	h.putRoute(route, of)
}

// setShareable remembers that an answer under the key was shareable, and varies so.
func (h *hints) setShareable(route string, primary cachekeys.Digest, vary []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if got := h.find(primary); !got.unshareable.IsZero() {
		got.unshareable = time.Time{}
		h.put(primary, got)
	}
	of := h.routes[route]
	of.vary, of.shareable = vary, time.Now()
	h.putRoute(route, of)
}

// putRoute remembers a hint for a route that has a name. mu is held.
func (h *hints) putRoute(route string, of routeHint) {
	if route == "" {
		return
	}
	if _, found := h.routes[route]; !found && len(h.routes) >= maxRoutes {
		clear(h.routes)
	}
	h.routes[route] = of
}

// set remembers got; an empty hint is not worth remembering, but replaces one. Until when answers
// are not shared is not forgotten for it.
func (h *hints) set(primary cachekeys.Digest, got hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.find(primary); old.unshareable.After(got.unshareable) &&
		time.Now().Before(old.unshareable) {
		got.unshareable = old.unshareable
	}
	if len(got.vary) == 0 && len(got.names) == 0 && got.unshareable.IsZero() &&
		got.search.String() == "" {
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
