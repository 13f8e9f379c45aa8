package coherence

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sidecar/cachekeys"
)

// maxDirty bounds the dirty list, in tags. Beyond it the list is the one tag All.
const maxDirty = 10_000

// dirtyRetry is how long the list waits before it tries Redis again.
const dirtyRetry = 50 * time.Millisecond

// A dirtyList holds the tags whose deletion failed, or has an unknown outcome. While it holds
// anything, nothing is read from Redis: a frozen Redis that thaws with all its data would
// otherwise serve what a write, acknowledged meanwhile, had made old.
type dirtyList struct {
	mu   sync.Mutex
	tags map[cachekeys.Digest]dirtyTag
	// what else is to be done with them: for the rules in force when the latest was added, and
	// the longest settle
	e    ending
	n    uint64
	wake chan struct{} // has a value if there may be something to do
}

// A dirtyTag is when it was added, in counts, and whether it is a guard, which is deleted before
// tags.
type dirtyTag struct {
	added uint64
	guard bool
}

func newDirtyList() *dirtyList {
	return &dirtyList{tags: map[cachekeys.Digest]dirtyTag{}, wake: make(chan struct{}, 1)}
}

// add takes an ending that failed. What it released stays closed until it runs out.
func (d *dirtyList) add(e ending) {
	tags := e.tags
	d.mu.Lock()
	d.n++
	if !e.rules.IsZero() {
		d.e.rules = e.rules
	}
	d.e.settle = max(d.e.settle, e.settle)
	if len(d.tags)+len(tags) > maxDirty {
		clear(d.tags)
		tags, e.guards = []cachekeys.Digest{allDigest}, 0
	}
	if _, everything := d.tags[allDigest]; everything {
		// it is deleted anew: the newest failure counts
		tags, e.guards = []cachekeys.Digest{allDigest}, 0
	}
	for i, t := range tags {
		d.tags[t] = dirtyTag{d.n, i < e.guards}
	}
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dirtyList) empty() bool { return d.size() == 0 }

func (d *dirtyList) size() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tags)
}

// snapshot returns what is to be done, guards first, and the count up to which it was added.
func (d *dirtyList) snapshot() (ending, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, tags := d.e, make([]cachekeys.Digest, 0, len(d.tags))
	for t, dirty := range d.tags {
		if dirty.guard {
			e.tags = append(e.tags, t)
		} else {
			tags = append(tags, t)
		}
	}
	e.guards = len(e.tags)
	e.tags = append(e.tags, tags...)
	return e, d.n
}

// done takes off what was added up to count; a tag that failed again since stays.
func (d *dirtyList) done(tags []cachekeys.Digest, count uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range tags {
		if d.tags[t].added <= count {
			delete(d.tags, t)
		}
	}
	if len(d.tags) == 0 {
		d.e = ending{}
	}
}

type deleter func(ctx context.Context, e ending) error

// run deletes what is on the list as soon as Redis takes it, until ctx is done.
func (d *dirtyList) run(ctx context.Context, remove deleter, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		if d.empty() {
			continue
		}
		log.Warn("invalidations are pending, the cache is bypassed until Redis takes them", "tags", d.size())
		for !d.flush(ctx, remove) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(dirtyRetry):
			}
		}
		log.Info("pending invalidations are made good")
	}
}

// flush reports whether the list is empty now.
func (d *dirtyList) flush(ctx context.Context, remove deleter) bool {
	e, count := d.snapshot()
	if len(e.tags) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if remove(ctx, e) != nil {
		return false
	}
	d.done(e.tags, count)
	return d.empty()
}
