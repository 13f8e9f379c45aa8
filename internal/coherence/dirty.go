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

// A dirtyList holds the tags whose deletion failed, or of which nobody knows. While it holds anything, nothing is read
// from Redis: a frozen Redis that thaws with all its data would otherwise serve what a write, acknowledged meanwhile,
// had made old.
type dirtyList struct {
	mu    sync.Mutex
	tags  map[cachekeys.Digest]uint64 // when it was added, in counts
	rules cachekeys.Tag               // in force when the latest was added: what other rules filled is deleted too
	n     uint64
	wake  chan struct{} // has a value if there may be something to do
}

func newDirtyList() *dirtyList {
	return &dirtyList{tags: map[cachekeys.Digest]uint64{}, wake: make(chan struct{}, 1)}
}

func (d *dirtyList) add(tags []cachekeys.Digest, rules cachekeys.Tag) {
	d.mu.Lock()
	d.n++
	if !rules.IsZero() {
		d.rules = rules
	}
	if len(d.tags)+len(tags) > maxDirty {
		clear(d.tags)
		tags = []cachekeys.Digest{allDigest}
	}
	if _, everything := d.tags[allDigest]; everything {
		tags = []cachekeys.Digest{allDigest} // it is deleted anew: the newest failure counts
	}
	for _, t := range tags {
		d.tags[t] = d.n
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

// snapshot returns the tags and the count up to which they were added.
func (d *dirtyList) snapshot() ([]cachekeys.Digest, cachekeys.Tag, uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	tags := make([]cachekeys.Digest, 0, len(d.tags))
	for t := range d.tags {
		tags = append(tags, t)
	}
	return tags, d.rules, d.n
}

// done takes off what was added up to count; a tag that failed again since stays.
func (d *dirtyList) done(tags []cachekeys.Digest, count uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range tags {
		if d.tags[t] <= count {
			delete(d.tags, t)
		}
	}
}

type deleter func(ctx context.Context, tags []cachekeys.Digest, rules cachekeys.Tag) error

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
	tags, rules, count := d.snapshot()
	if len(tags) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if remove(ctx, tags, rules) != nil {
		return false
	}
	d.done(tags, count)
	return d.empty()
}
