package store

import (
	"context"
	"crypto/sha1"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/collapse"
	"sidecar/internal/entry"
	"sidecar/internal/redisconn"
)

// Requests that miss the same answer share one backend request if they opened the same tokens:
// equal tokens prove that no write was acknowledged between the one that fetches and the one that
// joins. In this process they are the members of a flight (package collapse), and one of them
// leads. The leaders of several processes find each other by a lease.

// A flightID is the key of a flight: the resource to fetch, and the proof. The proof is zero with
// coherence.Disabled.JoinByKey.
type flightID struct {
	key   cachekeys.Digest
	proof [sha1.Size]byte
}

// A Result is the outcome of a flight. The zero value: there is nothing to share, and each member
// fetches for itself.
type Result struct {
	Entry *entry.Entry // complete, and shared with the requests that its Vary selects it for

	// Of a fetch that failed. That is nobody else's answer, but a member that may serve a stale
	// response in its place need not ask the backend again.
	Failed Failure
	Err    error // the backend did not answer

	stored bool  // another process has stored the answer: look it up
	by     *Fill // whose answer Entry is
}

// A Failure says how the backend failed.
type Failure int

// The failures.
const (
	NotFailed   Failure = iota
	Error               // it answered 5xx
	Unreachable         // it did not answer
)

// An Event ends a wait.
type Event int

// The events.
const (
	Answered     Event = iota // the flight has a result
	LeaderFailed              // a fetch has failed. Wait may be called again
	ToFetch                   // the member is to fetch: for all if it Leads, else for itself
	ClientLeft                // ctx is done
)

// Join takes part in the flight of those who opened the same tokens as f. It is false where the
// answer may not be shared: then f fetches for itself. ctx gives the flight its values, not its
// end.
func (f *Fill) Join(ctx context.Context) bool {
	if f == nil || !f.shared || !f.opened.Shareable() || !f.store.keyspace.Sound(f.opened) {
		return false
	}
	id := flightID{key: f.key, proof: f.opened.Proof()}
	if f.store.keyspace.JoinByKey() {
		id.proof = [sha1.Size]byte{}
	}
	f.member = f.store.flights.Join(ctx, id, f, f.store.collapseWait)
	if f.Leads() {
		f.renew()
		return true
	}
	// Two came at once, and the one that got the lease is not the one that joined first. That one
	// has found the lease elsewhere, and would wait for its end.
	f.handOn()
	return true
}

// handOn hands the lease to the leader, if f holds it and the leader is another member.
func (f *Fill) handOn() {
	if leader := f.member.Leader(); leader != nil {
		f.lease.HandTo(leader.lease)
	}
}

// Leads reports whether f fetches for a flight.
func (f *Fill) Leads() bool { return f != nil && f.member != nil && f.member.Leads() }

// Context is that of the backend request of a flight: it ends when no member is left. f has
// joined.
func (f *Fill) Context() context.Context { return f.member.Context() }

// Leave says that the client of f has left. A fetch that f leads goes on for the other members.
func (f *Fill) Leave() {
	if f != nil && f.member != nil {
		f.member.Leave()
	}
}

// Wait waits for the answer of another request, of this process or, within b for each look into
// Redis, of another one. f has joined. It waits no longer than the store's CollapseWait in all for
// an answer that has not begun to come.
func (f *Fill) Wait(ctx context.Context, b *redisconn.Budget) (Result, Event) {
	r, e := f.member.Wait(ctx)
	switch e {
	case collapse.Completed:
		return f.selected(ctx, b, r), Answered
	case collapse.Failed:
		return r, LeaderFailed
	case collapse.Impatient:
		return Result{}, ToFetch
	case collapse.Done:
		return Result{}, ClientLeft
	}
	if before := f.member.Predecessor(); before != nil {
		before.lease.HandTo(f.lease)
	}
	f.renew()
	found := f.awaitProcesses()
	switch {
	case fresh(found):
		f.Complete(Result{stored: true})
		return Result{Entry: found.Entry}, Answered
	case ctx.Err() != nil:
		return Result{}, ClientLeft
	}
	f.member.Fetch()
	return Result{}, ToFetch
}

// fresh reports whether an entry was found that another process has stored meanwhile: a stale one
// was there before.
func fresh(found Found) bool { return found.Entry != nil && found.Entry.Fresh(time.Now()) > 0 }

// selected is the part of a flight's result that f may use: the entry only if it answers f's
// request too. The entry says that it does not vary where the two requests differ, neither in their
// fields (RFC 9111 §4.1) nor in their queries (No-Vary-Search).
func (f *Fill) selected(ctx context.Context, b *redisconn.Budget, r Result) Result {
	switch s := f.store; {
	case r.stored:
		r.Entry = s.Lookup(ctx, b, f.query).Entry
	case r.Entry != nil:
		theirs, ours := r.by.query.placed(r.Entry), f.query.placed(r.Entry)
		if s.variantOf(r.Entry.Vary, theirs) != s.variantOf(r.Entry.Vary, ours) {
			r.Entry = nil
		}
	}
	return r
}

// awaitProcesses waits for the answer that another process fetches with the same tokens. Where
// that process gives its lease back without an answer, or dies, one process at a time fetches in
// its place: the one that gets the lease.
func (f *Fill) awaitProcesses() (found Found) {
	wait := f.store.collapseWait
	ctx, cancel := context.WithTimeout(f.Context(), wait-wait/5) // then f doubles that fetch
	defer cancel()
	for f.lease.SameNote() {
		over := false
		if found, over = f.awaitLease(ctx); !over || fresh(found) {
			return found
		}
		if f.lease.Retry(ctx, f.store.conn.Budget(awaitBound), f.opened.Note()) != nil {
			return Found{}
		}
	}
	return Found{}
}

// How often awaitLease looks: a little less often each time.
const awaitFirst, awaitMost = 2 * time.Millisecond, 50 * time.Millisecond

// awaitBound bounds one look of awaitLease.
const awaitBound = time.Second

// awaitLease waits until the lease is given back elsewhere, and then looks up. over is false where
// it stopped waiting for another reason: ctx is done, Redis is away, or another member had the
// lease and has handed it over.
func (f *Fill) awaitLease(ctx context.Context) (found Found, over bool) {
	s := f.store
	for pause := awaitFirst; ; pause = min(pause*3/2, awaitMost) {
		select {
		case <-ctx.Done():
			return Found{}, false
		case <-f.lease.Arrived():
			return Found{}, false
		case <-time.After(pause):
		}
		if !s.keyspace.Readable() {
			return Found{}, false
		}
		l := s.newLookup(ctx, s.conn.Budget(awaitBound), f.query)
		l.lease = f.lease.Key()
		found, err := l.run()
		if err != nil {
			return Found{}, false
		}
		if !l.leased || fresh(found) {
			return found, true
		}
	}
}

// Begin says that f's answer has begun to come. It is waited for until Complete, Fail or Yield.
func (f *Fill) Begin() {
	if f != nil && f.member != nil {
		f.member.Begin()
	}
}

// Complete lets those go who wait for f's answer: in this process with r, in others by giving the
// lease back; if Keep has taken over, that happens when the answer is stored. The first call
// counts. The answer may be kept later all the same.
func (f *Fill) Complete(r Result) {
	if f == nil {
		return
	}
	if r.Entry != nil {
		f.store.hints.setShareable(f.query.Route, f.query.Primary, r.Entry.Vary)
	}
	if f.member != nil {
		r.by = f
		f.member.Complete(r)
	}
	if !f.isKept() {
		f.giveBack()
	}
}

// Fail says that f's fetch has failed as r says. The next member leads, with f's lease.
func (f *Fill) Fail(r Result) {
	f.step(func() { f.member.Fail(r) })
}

// Yield says that nobody is to wait for f's answer any more, though it may still come. The next
// member leads, with f's lease.
func (f *Fill) Yield() {
	f.step(func() { f.member.Yield() })
}

// step lets the next member lead, with f's lease. Where there is none, other processes may have
// the lease.
func (f *Fill) step(down func()) {
	if f == nil {
		return
	}
	if f.member != nil {
		down()
		f.handOn()
	}
	if !f.isKept() {
		f.giveBack()
	}
}

// GiveUp says that nothing is kept, unless it is already.
func (f *Fill) GiveUp() {
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended = true
	}
}

// End is the end of f. Nothing is kept afterwards. Where f leads and there is no result, the next
// member leads, with f's lease.
func (f *Fill) End() {
	f.GiveUp()
	f.step(func() { f.member.End() })
}

func (f *Fill) isKept() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}
