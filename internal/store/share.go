package store

import (
	"context"
	"crypto/sha1"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/lease"
	"sidecar/internal/redisconn"
)

// Requests that miss the same answer share one backend request if they opened the same tokens:
// equal tokens prove that no write was acknowledged between the one that fetches and the one that
// joins. In this process they are the members of a flight (package collapse), of which one leads.
// The leaders of several processes find each other by a lease.

// A flightID is the key of a flight: what is fetched, and the proof. The proof is zero with
// coherence.Disabled.JoinByKey.
type flightID struct {
	key   cachekeys.Digest
	proof [sha1.Size]byte
}

// A Result is what a flight came to. The zero value: there is nothing to share, and each member
// fetches for itself.
type Result struct {
	Entry *entry.Entry // complete, and shared with the requests that its Vary selects it for
	Err   error        // the backend did not answer
	// Failed: the backend answered 5xx, or nothing. A member that may serve a stale response need
	// not ask it again.
	Failed Failure

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
	f.member = f.store.flights.Join(ctx, id, f)
	if f.Leads() {
		f.lead()
		return true
	}
	// Two came at once, and the one that got the lease is not the one that joined first. That one
	// has found the lease elsewhere, and would wait for its end.
	f.lease.HandTo(f.member.Leader().lease)
	return true
}

// lead makes f ready for a lease that may be handed to it.
func (f *Fill) lead() {
	if f.lease.State() == lease.Elsewhere {
		f.renew()
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
// Redis, of another one. f has joined. ok is false where there is none: f is to fetch if it Leads,
// else ctx is done. The leader of a flight ends without a result if its fetch panics; then the
// next member leads.
func (f *Fill) Wait(ctx context.Context, b *redisconn.Budget) (r Result, ok bool) {
	if r, ok = f.member.Wait(ctx); ok {
		return f.selected(ctx, b, r), true
	}
	if !f.Leads() || !f.lease.SameNote() {
		return Result{}, false
	}
	f.lead()
	found := f.awaitProcess()
	// a stale response was there before
	if found.Entry == nil || found.Entry.Fresh(time.Now()) <= 0 {
		return Result{}, false
	}
	f.Complete(Result{stored: true})
	return Result{Entry: found.Entry}, true
}

// selected is what a flight's result is worth to f: its entry only if it is the answer to f's
// request too. It says itself that it does not vary by what the two requests differ in, neither in
// their fields (RFC 9111 §4.1) nor in their queries (No-Vary-Search).
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

// How often awaitProcess looks: a little less often each time.
const awaitFirst, awaitMost = 2 * time.Millisecond, 50 * time.Millisecond

// awaitBound bounds one look of awaitProcess.
const awaitBound = time.Second

// awaitProcess waits for the answer that another process fetches, and returns it as a look-up
// would. It finds nothing if that process gave its lease back, or lost it by dying; if Redis is
// away; or if another member had the lease and hands it over.
func (f *Fill) awaitProcess() Found {
	s, ctx := f.store, f.Context()
	for pause := awaitFirst; ; pause = min(pause*3/2, awaitMost) {
		select {
		case <-ctx.Done():
			return Found{}
		case <-f.lease.Arrived():
			return Found{}
		case <-time.After(pause):
		}
		if !s.keyspace.Readable() {
			return Found{}
		}
		l := lookup{store: s, ctx: ctx, budget: s.conn.Budget(awaitBound), query: f.query, hint: s.hints.get(f.query.Primary), lease: f.lease.Key()}
		found, err := l.run()
		if err != nil || !l.leased || found.Entry != nil && found.Entry.Fresh(time.Now()) > 0 {
			return found
		}
	}
}

// Complete lets those go who wait for f's answer: in this process with r, in others by giving the
// lease back; if Keep has taken over, that happens when the answer is stored. The first call
// counts. The answer may be kept later all the same.
func (f *Fill) Complete(r Result) {
	if f == nil {
		return
	}
	if f.Leads() {
		r.by = f
		f.member.Complete(r)
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

// End is the end of f. What is not kept by now never is. Where f leads and there is no result, the
// next member leads, with f's lease.
func (f *Fill) End() {
	if f == nil {
		return
	}
	f.GiveUp()
	if f.member != nil {
		f.member.End()
	}
	if f.isKept() {
		return
	}
	if f.member != nil {
		f.lease.HandTo(f.member.Leader().lease)
	}
	f.giveBack()
}

func (f *Fill) isKept() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}
