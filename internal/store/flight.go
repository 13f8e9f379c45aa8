package store

import (
	"context"
	"crypto/sha1"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/collapse"
	"sidecar/internal/entry"
	"sidecar/internal/lease"
)

// A Flight is a request's part in one backend request for all who miss the same answer with the same
// tokens: equal tokens prove that no write was acknowledged between the one who fetches and the one
// who joins. It is safe for concurrent use.
type Flight struct {
	member *collapse.Member[flightID, *Fill, Landing]
}

// A Landing is how a flight ended. The zero value: there is nothing to share, and each goes on by itself.
type Landing struct {
	Entry *entry.Entry // complete, and may be shared with those that its Vary selects it for
	Err   error        // the backend did not answer
	Again bool         // the answer is in the store by now: look again
	// Failed: the backend answered 5xx, or nothing. A member that may serve a stale response need
	// not ask it again.
	Failed Failure
}

// A Failure says how the backend failed.
type Failure int

// The failures.
const (
	NotFailed   Failure = iota
	Error               // it answered 5xx
	Unreachable         // it did not answer
)

// flightID is what is fetched, and the proof. The proof is zero with Disabled.JoinByKey.
type flightID struct {
	key   cachekeys.Digest
	proof [sha1.Size]byte
}

// Join joins the flight of those who opened the same tokens as f, or begins one; lead then says that
// the caller has to fetch, and to call Land. Every member calls leave when it is done with the
// flight, or when its client has left; when nobody is left, the flight's context ends. ctx gives the
// flight its values, not its end. Join returns nil where f's answer may not be shared.
func (f *Fill) Join(ctx context.Context) (flight *Flight, lead bool, leave func()) {
	if !f.opened.Shareable() || f.solo || !f.store.keyspace.Sound(f.opened) {
		return nil, false, func() {}
	}
	id := flightID{key: f.key, proof: f.opened.Proof()}
	if f.store.keyspace.JoinByKey() {
		id.proof = [sha1.Size]byte{}
	}
	flight = &Flight{f.store.flights.Join(ctx, id, f)}
	if lead = flight.member.Leads(); !lead {
		// Two came at once, and the one that got the lease is not the one that is here first: that
		// one has found the lease elsewhere, and waits for its end.
		f.lease.HandTo(flight.member.Leader().lease)
	}
	return flight, lead, flight.member.Leave
}

// Context is that of the backend request: done when no member is left.
func (f *Flight) Context() context.Context { return f.member.Context() }

// Land ends the flight for all who wait. The first call counts. On a nil Flight it does nothing.
func (f *Flight) Land(l Landing) {
	if f != nil {
		f.member.Complete(l)
	}
}

// Wait waits until the flight has landed. ok is false if ctx ended before.
func (f *Flight) Wait(ctx context.Context) (l Landing, ok bool) { return f.member.Wait(ctx) }

// Shares reports whether an answer that was given to the request that leads flight is also that of
// f's request: it says itself that it does not vary by their differences, neither in their fields
// (RFC 9111 §4.1) nor in their queries (No-Vary-Search).
func (f *Fill) Shares(flight *Flight, e *entry.Entry) bool {
	s := f.store
	theirs, ours := flight.member.Leader().query.placed(e), f.query.placed(e)
	return s.variantOf(e.Vary, theirs) == s.variantOf(e.Vary, ours)
}

// soloTime is how long nobody waits for an answer of a key whose answers turned out to be unshareable.
const soloTime = 10 * time.Second

// Alone remembers that answers under f's key are not shared, so that the next who miss it do not wait
// for one another in vain. On a nil Fill it does nothing.
func (f *Fill) Alone() {
	if f != nil {
		f.store.hints.alone(f.query.Primary, time.Now().Add(soloTime))
	}
}

// Key is that of the variant that the request is expected to select.
func (f *Fill) Key() cachekeys.Digest { return f.key }

// Guards reports whether guard is part of what members have to have in common.
func (f *Fill) Guards(guard cachekeys.Tag) bool { return f.opened.Guards(guard.Digest()) }

// Waits reports whether another process fetches with the same tokens.
func (f *Fill) Waits() bool { return f.lease.SameNote() }

// Hold keeps the lease, where there is one, until Keep or Abandon gives it back. On a nil Fill it does
// nothing.
func (f *Fill) Hold() {
	if f == nil || f.lease.State() == lease.None {
		return
	}
	held, release := context.WithCancel(f.store.closing)
	f.release = release
	f.store.stores.Go(func() { f.lease.Keep(held) }) // Close waits for it, release ends it
}

// Await looks up again and again while another process fetches: a little later each time.
const awaitFirst, awaitMost = 2 * time.Millisecond, 50 * time.Millisecond

// awaitBound bounds one look-up of Await.
const awaitBound = time.Second

// Await waits for the answer that another process fetches, and returns it as a look-up would. It finds
// nothing if that process gave its lease back, or lost it by dying, if Redis is away, or if a member
// of the caller's own flight turns out to have the lease and hands it over: the caller fetches then. A
// stale response was there before.
func (f *Fill) Await(flight *Flight) Found {
	s, ctx := f.store, flight.Context()
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
