package coherence

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sidecar/cachekeys"
)

// maxDirty bounds the tags of the dirty list. Beyond it the list is the one tag All. It bounds the
// intents to give back too; those beyond it expire by themselves.
const maxDirty = 10_000

// dirtyRetry is how long the list waits before it tries Redis again.
const dirtyRetry = 50 * time.Millisecond

// A dirtyList holds the tags whose deletion failed, or has an unknown outcome. While it holds a
// tag, nothing is read from Redis: a frozen Redis that thaws with all its data would otherwise
// serve entries that a write, acknowledged meanwhile, had made old.
//
// It also holds the intents of the writes that failed to end. They are given back after the tags
// have been deleted, so that the tags do not stay closed until the intents expire.
type dirtyList struct {
	mu    sync.Mutex
	tags  map[cachekeys.Digest]dirtyTag
	rules cachekeys.Tag // in force when the latest tag was added
	owed  []givenBack
	nOwed int // tags in owed
	n     uint64
	wake  chan struct{} // has a value if there may be something to do
}

// A dirtyTag is a tag to delete.
type dirtyTag struct {
	added  uint64 // in counts of the list
	guard  bool   // guards are deleted before tags
	settle time.Duration
}

// givenBack are the intents of a write that is over.
type givenBack struct {
	id      Token
	tags    []cachekeys.Digest
	expires time.Time // they have expired in Redis by then
}

func newDirtyList() *dirtyList {
	return &dirtyList{tags: map[cachekeys.Digest]dirtyTag{}, wake: make(chan struct{}, 1)}
}

// add takes an ending that failed. The intents of its write last no longer than lease.
func (d *dirtyList) add(e ending, lease time.Duration) {
	tags := e.tags
	d.mu.Lock()
	d.n++
	if !e.rules.IsZero() {
		d.rules = e.rules
	}
	if len(d.tags)+len(tags) > maxDirty {
		for _, dirty := range d.tags {
			e.settle = max(e.settle, dirty.settle)
		}
		clear(d.tags)
		tags, e.guards = []cachekeys.Digest{allDigest}, 0
	}
	if _, everything := d.tags[allDigest]; everything && len(tags) > 0 {
		// it is deleted anew: the newest failure counts
		tags, e.guards = []cachekeys.Digest{allDigest}, 0
	}
	for i, t := range tags {
		d.tags[t] = dirtyTag{d.n, i < e.guards, max(d.tags[t].settle, e.settle)}
	}
	d.mu.Unlock()
	d.giveBack(e, lease)
}

// giveBack takes the intents of a write that is over, and wakes the list.
func (d *dirtyList) giveBack(e ending, lease time.Duration) {
	d.mu.Lock()
	if n := len(e.begun); n > 0 && d.nOwed+n <= maxDirty {
		d.owed = append(d.owed, givenBack{e.id, e.begun, time.Now().Add(lease)})
		d.nOwed += n
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

// snapshot returns the endings to repeat: first those of guards, then those of tags, one for each
// settle; and the count up to which their tags were added.
func (d *dirtyList) snapshot() (endings []ending, count uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, guards := range []bool{true, false} {
		bySettle := map[time.Duration][]cachekeys.Digest{}
		for t, dirty := range d.tags {
			if dirty.guard == guards {
				bySettle[dirty.settle] = append(bySettle[dirty.settle], t)
			}
		}
		for settle, tags := range bySettle {
			endings = append(endings, ending{rules: d.rules, settle: settle, tags: tags})
		}
	}
	return endings, d.n
}

// owing returns the intents to give back; those that have expired are forgotten.
func (d *dirtyList) owing() []givenBack {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, kept := time.Now(), d.owed[:0]
	d.nOwed = 0
	for _, g := range d.owed {
		if g.expires.After(now) {
			kept = append(kept, g)
			d.nOwed += len(g.tags)
		}
	}
	clear(d.owed[len(kept):])
	d.owed = kept
	return append([]givenBack(nil), kept...)
}

// done takes off tags that were added up to count; a tag that failed again since stays.
func (d *dirtyList) done(tags []cachekeys.Digest, count uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range tags {
		if dirty, ok := d.tags[t]; ok && dirty.added <= count {
			delete(d.tags, t)
		}
	}
}

// returned takes off the intents of the write.
func (d *dirtyList) returned(id Token) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, g := range d.owed {
		if g.id == id {
			d.owed = append(d.owed[:i], d.owed[i+1:]...)
			d.nOwed -= len(g.tags)
			return
		}
	}
}

type repeater func(ctx context.Context, e ending) error

// run repeats the listed invalidations as soon as Redis takes them, until ctx is done.
func (d *dirtyList) run(ctx context.Context, repeat repeater, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		}
		pending := d.size()
		if pending > 0 {
			log.Warn("invalidations are pending, the cache is bypassed until Redis takes them",
				"tags", pending)
		}
		for !d.flush(ctx, repeat) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(dirtyRetry):
			}
		}
		if pending > 0 {
			log.Info("pending invalidations are made good")
		}
	}
}

// flush deletes the tags, then gives the intents back. It reports whether the list is empty now.
func (d *dirtyList) flush(ctx context.Context, repeat repeater) bool {
	owed := d.owing() // their tags are in the snapshot
	endings, count := d.snapshot()
	for _, e := range endings {
		if !within(ctx, repeat, e) {
			return false
		}
	}
	for _, e := range endings {
		d.done(e.tags, count)
	}
	for _, g := range owed {
		if !within(ctx, repeat, ending{id: g.id, released: g.tags}) {
			return false
		}
		d.returned(g.id)
	}
	return d.empty() && len(d.owing()) == 0
}

// within repeats e in bounded time, and reports success.
func within(ctx context.Context, repeat repeater, e ending) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return repeat(ctx, e) == nil
}
