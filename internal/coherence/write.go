package coherence

import (
	"context"
	"slices"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// UnknownSettle is how long intents stay if the outcome of a write is unknown: it may commit after
// its 504.
const UnknownSettle = 10 * time.Second

// A Write is a write under way: its tags are closed, so that nothing that is read meanwhile is
// stored. It is renewed until End.
type Write struct {
	keyspace *Keyspace
	id       Token
	rules    cachekeys.Tag
	begun    []cachekeys.Digest // guards and tags

	mu     sync.Mutex
	others []cachekeys.Digest // what other rules filled, begun too
	// before the last begin that was acknowledged was sent; zero: none was
	since time.Time

	generation uint64 // of the server that took the intents
	stop       context.CancelFunc
	renewed    chan struct{} // closed when nothing is renewed any more; nil: nothing ever was
}

// Begin closes tags before a write is forwarded, guards and all. rules are those in force here.
// On an error nothing is known to be closed; the write that is returned is then to be ended all
// the same, if it is forwarded.
func (k *Keyspace) Begin(ctx context.Context, b *redisconn.Budget, rules cachekeys.Tag, tags, guards []cachekeys.Tag) (*Write, error) {
	w := &Write{keyspace: k, id: k.tokens.Next(), rules: rules, generation: k.incarnation.Generation(), stop: func() {}}
	if k.disabled.NoBegin {
		return w, nil
	}
	w.begun = append(digests(guards), digests(tags)...)
	k.invalidations.raise(w.begun)
	sent := time.Now()
	if err := w.begin(ctx, b); err != nil {
		return w, err
	}
	w.since = sent
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop, w.renewed = stop, make(chan struct{})
	go func() { // until End
		defer close(w.renewed)
		w.renew(renewing)
	}()
	return w, nil
}

// begin closes the tags, and those of other rules.
func (w *Write) begin(ctx context.Context, b *redisconn.Budget) error {
	k := w.keyspace
	answers, err := k.do(ctx, b, step{op: "begin", rules: w.rules, spreads: true, first: w.begun, call: func(part step) redisconn.Call {
		own, keys := k.ruleKeys(part)
		return redisconn.Call{Script: beginScript, Keys: k.pairs(keys, part.then), Args: []any{
			w.id[:], k.intentTime.Milliseconds(), own, k.names.TokenPrefix(), k.names.IntentsPrefix(),
		}}
	}})
	if err == nil {
		w.note(parseDigests(answers))
	}
	return err
}

// note remembers what other rules filled, and is closed now.
func (w *Write) note(others []cachekeys.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range others {
		if !slices.Contains(w.others, d) {
			w.others = append(w.others, d)
		}
	}
}

// renew keeps the intents from running out, until ctx is done.
func (w *Write) renew(ctx context.Context) {
	tick := time.NewTicker(w.keyspace.intentTime / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		bounded, cancel := context.WithTimeout(ctx, w.keyspace.intentTime/3)
		sent := time.Now()
		if w.begin(bounded, nil) == nil {
			w.mu.Lock()
			w.since = sent
			w.mu.Unlock()
		}
		cancel()
	}
}

// begunSince is when what stands was begun, and what of other rules was.
func (w *Write) begunSince() (since time.Time, others []cachekeys.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since, slices.Clone(w.others)
}

// awaitRenewal waits for a renewal that is under way, which would close the tags after the end. It
// waits no longer than the request may wait for Redis: a renewal that comes late leaves the tags
// closed until it expires.
func (w *Write) awaitRenewal(ctx context.Context, b *redisconn.Budget) {
	if w.renewed == nil {
		return
	}
	ctx, cancel := b.Bound(ctx)
	defer cancel()
	select {
	case <-w.renewed:
	case <-ctx.Done():
	}
}

// closed reports whether each of tags is closed for certain, and for so long, by an intent of w:
// on the server that took it, which has not been replaced as far as this process knows.
func (w *Write) closed(tags []cachekeys.Digest, settle time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.keyspace.intentTime - time.Since(w.since)
	if w.generation != w.keyspace.incarnation.Generation() || w.since.IsZero() || left <= 0 || settle > left {
		return false
	}
	return !slices.ContainsFunc(tags, func(t cachekeys.Digest) bool {
		return !slices.Contains(w.begun, t) && !slices.Contains(w.others, t)
	})
}

// An Outcome is what is known of a write that is over.
type Outcome int

// The outcomes.
const (
	Done    Outcome = iota // it changed what its tags name
	Refused                // it changed nothing
	// it may change something yet: intents stay for UnknownSettle, or longer if the route says so
	Unknown
)

// End ends w, before its answer is handed on, and is called once. tags and their guards are what
// changed; what was begun beside them is taken back. settle is how long they stay closed, for
// database replicas that lag; 0: they open at once.
//
// When End returns, this process reads nothing that carries one of the tags, from memory or from
// Redis. An error means that others may go on serving it until this process has made it good;
// covered reports whether they are kept from it even so, by intents that stand for certain until
// then or until they run out.
func (w *Write) End(ctx context.Context, b *redisconn.Budget, outcome Outcome, tags, guards []cachekeys.Tag, settle time.Duration) (covered bool, err error) {
	w.stop()
	w.awaitRenewal(ctx, b)
	since, others := w.begunSince()
	e := ending{id: w.id, rules: w.rules, settle: settle}
	switch outcome {
	case Refused:
		if since.IsZero() {
			return true, nil // nothing was begun, or it runs out
		}
		e.rules, e.released = cachekeys.Tag{}, slices.Concat(w.begun, others)
		return true, w.keyspace.end(ctx, b, e)
	case Unknown:
		e.settle = max(settle, UnknownSettle)
		e.tags = slices.Concat(digests(guards), w.begun, digests(tags), others)
	default:
		e.tags = slices.Concat(digests(guards), digests(tags), others)
		e.released = slices.DeleteFunc(slices.Clone(w.begun), func(t cachekeys.Digest) bool { return slices.Contains(e.tags, t) })
	}
	e.guards = len(guards)
	err = w.keyspace.end(ctx, b, e)
	return err == nil || w.closed(e.tags, e.settle), err
}
