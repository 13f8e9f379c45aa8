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

// A Write is one write. From Begin to End its tags are closed: nothing that is read meanwhile is
// stored. A write without Begin is as correct once End has returned, but no intent stands for it
// if this process is killed, or if its end is lost. It is safe for concurrent use.
type Write struct {
	keyspace *Keyspace
	id       Token
	rules    cachekeys.Tag

	steps sync.Mutex         // held during Begin, and by End until it knows the intents
	over  bool               // it has ended: nothing is begun any more
	begun []cachekeys.Digest // guards and tags
	// the last answer to begin is missing, so it may be executed late
	uncertain  bool
	generation uint64 // of the server that took the intents
	stop       context.CancelFunc
	renewed    chan struct{} // closed when nothing is renewed any more; nil: nothing ever was

	mu     sync.Mutex         // guards the fields that renewals change
	others []cachekeys.Digest // tags of other rules, begun too
	// before the last begin that was acknowledged was sent; zero: none was
	since time.Time
}

// Write returns a write that has not begun. rules are those in force here.
func (k *Keyspace) Write(rules cachekeys.Tag) *Write {
	return &Write{keyspace: k, id: k.tokens.Next(), rules: rules, stop: func() {}}
}

// Begin announces w: it closes tags and guards, and keeps them closed until End. It is called
// once, before the backend can have the whole request. After End it does nothing. On an error
// nothing is known to be closed, and w has to be ended all the same if it is sent.
func (w *Write) Begin(ctx context.Context, b *redisconn.Budget,
	tags, guards []cachekeys.Tag) error {
	w.steps.Lock()
	defer w.steps.Unlock()
	k := w.keyspace
	if w.over || k.disabled.NoBegin {
		return nil
	}
	w.generation = k.incarnation.Generation()
	w.begun = append(digests(guards), digests(tags)...)
	k.invalidations.raise(w.begun)
	sent := time.Now()
	if err := w.begin(ctx, b); err != nil {
		w.uncertain = redisconn.Uncertain(err)
		return err
	}
	w.since = sent
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop, w.renewed = stop, make(chan struct{})
	go func() { // until End
		defer close(w.renewed)
		w.renew(renewing)
	}()
	return nil
}

// begin closes the tags, and those of other rules.
func (w *Write) begin(ctx context.Context, b *redisconn.Budget) error {
	k := w.keyspace
	s := step{op: "begin", rules: w.rules, spreads: true, first: w.begun}
	s.call = func(part step) redisconn.Call {
		own, keys := k.ruleKeys(part)
		return redisconn.Call{Script: beginScript, Keys: k.pairs(keys, part.then), Args: []any{
			w.id[:], k.intentTime.Milliseconds(), own, k.names.TokenPrefix(),
			k.names.IntentsPrefix(),
		}}
	}
	answers, err := k.do(ctx, b, s)
	if err == nil {
		w.note(parseDigests(answers))
	}
	return err
}

// note remembers tags of other rules that are closed now.
func (w *Write) note(others []cachekeys.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range others {
		if !slices.Contains(w.others, d) {
			w.others = append(w.others, d)
		}
	}
}

// renew keeps the intents from expiring, until ctx is done.
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

// begunSince returns the time of the last certain begin, and the tags of other rules.
func (w *Write) begunSince() (since time.Time, others []cachekeys.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.since, slices.Clone(w.others)
}

// awaitRenewal waits for a renewal that is under way, which would close the tags after the end. It
// waits no longer than the request may wait for Redis: a renewal that is executed later leaves the
// tags closed until it expires.
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
	if w.generation != w.keyspace.incarnation.Generation() || w.since.IsZero() ||
		left <= 0 || settle > left {
		return false
	}
	return !slices.ContainsFunc(tags, func(t cachekeys.Digest) bool {
		return !slices.Contains(w.begun, t) && !slices.Contains(w.others, t)
	})
}

// An Outcome is the knowledge about a write that is over.
type Outcome int

// The outcomes.
const (
	Done    Outcome = iota // it changed the resources that its tags name
	Refused                // it changed nothing
	// it may still change something: intents stay for UnknownSettle, or longer if the route says so
	Unknown
)

// End ends w, before its response is sent to the client, and is called once. tags and guards are
// the changed ones; all other intents are taken back. settle is how long they stay closed, for
// database replicas that lag; 0: they open at once.
//
// When End returns, this process reads nothing that carries one of the tags, from memory or from
// Redis. After an error other processes may read it until this process has made the end good, and
// covered reports whether intents prevent that. They stand for certain until the end is made good,
// or until they expire.
func (w *Write) End(ctx context.Context, b *redisconn.Budget, outcome Outcome,
	tags, guards []cachekeys.Tag, settle time.Duration) (covered bool, err error) {
	w.steps.Lock()
	w.over = true
	w.steps.Unlock()
	w.stop()
	w.awaitRenewal(ctx, b)
	since, others := w.begunSince()
	e := ending{id: w.id, rules: w.rules, settle: settle, begun: slices.Concat(w.begun, others)}
	switch outcome {
	case Refused:
		if since.IsZero() {
			w.giveBackLate(e)
			return true, nil
		}
		e.rules, e.released = cachekeys.Tag{}, e.begun
		return true, w.keyspace.end(ctx, b, e)
	case Unknown:
		e.settle = max(settle, UnknownSettle)
		e.tags = slices.Concat(digests(guards), w.begun, digests(tags), others)
	default:
		e.tags = slices.Concat(digests(guards), digests(tags), others)
		e.released = slices.DeleteFunc(slices.Clone(w.begun),
			func(t cachekeys.Digest) bool { return slices.Contains(e.tags, t) })
	}
	e.guards = len(guards)
	err = w.keyspace.end(ctx, b, e)
	if err == nil && e.settle == 0 {
		w.giveBackLate(e)
	}
	return err == nil || w.closed(e.tags, e.settle), err
}

// giveBackLate gives back intents that a begin without an answer may have left.
func (w *Write) giveBackLate(e ending) {
	if w.uncertain {
		w.keyspace.dirty.giveBack(e, w.keyspace.intentTime)
	}
}
