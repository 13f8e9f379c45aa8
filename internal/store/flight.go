package store

import (
	"context"
	"crypto/sha1"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
)

// A Flight is one backend request for all who miss the same answer with the same tokens: equal tokens prove that no write was
// acknowledged between the one who fetches and the one who joins. Its methods are safe for concurrent use.
type Flight struct {
	flights *flights
	id      flightID
	query   Query // of the request that leads
	ctx     context.Context
	cancel  context.CancelFunc
	landed  chan struct{}
	handed  chan struct{} // closed when a member that does not fetch has brought the lease

	members int               // guarded by flights.mu, as is the next
	lease   *coherence.Opened // that has the lease; nil: nobody brought one
	once    sync.Once
	landing Landing
}

// A Landing is how a flight ended. The zero value: there is nothing to share, and each goes on by itself.
type Landing struct {
	Entry *entry.Entry // complete, and may be shared with whoever its Vary selects it for
	Err   error        // the backend did not answer
	Again bool         // the answer is in the store by now: look again
	// Failed: the backend answered 5xx, or nothing: who has something stale that may be served then need not ask it.
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

// flightID is what is fetched, and the proof. The proof has no value where Guards says that it does not count.
type flightID struct {
	key   cachekeys.Digest
	proof [sha1.Size]byte
}

// flights are those of this process. Their number is bounded by that of the requests under way.
type flights struct {
	mu   sync.Mutex
	open map[flightID]*Flight
}

// Join joins the flight of those who opened the same tokens as f, or begins one; lead then says that the caller has to fetch, and to call
// Land. leave is to be called by every member that is done with the flight, or whose client has left; when nobody is left, the flight's context
// ends. ctx gives the flight its values, not its end. It returns nil where f's answer may not be shared.
func (f *Fill) Join(ctx context.Context) (flight *Flight, lead bool, leave func()) {
	if !f.opened.Shareable() || f.solo || !f.store.keyspace.Sound(f.opened) {
		return nil, false, func() {}
	}
	s := f.store
	id := flightID{key: f.key, proof: f.opened.Proof()}
	if s.keyspace.JoinByKey() {
		id.proof = [sha1.Size]byte{}
	}
	s.flights.mu.Lock()
	defer s.flights.mu.Unlock()
	flight, found := s.flights.open[id]
	if !found {
		flight = &Flight{flights: s.flights, id: id, query: f.query, landed: make(chan struct{}), handed: make(chan struct{})}
		flight.ctx, flight.cancel = context.WithCancel(context.WithoutCancel(ctx))
		s.flights.open[id] = flight
	}
	flight.members++
	if found && f.opened.Turn == coherence.Lead && flight.lease == nil {
		// Two came at once: the one that got the lease is not the one that is here first. That one is waiting for the lease to end.
		flight.lease = f.opened
		close(flight.handed)
	}
	return flight, !found, sync.OnceFunc(flight.leave)
}

func (f *Flight) leave() {
	f.flights.mu.Lock()
	f.members--
	last := f.members == 0
	if last {
		f.close()
	}
	f.flights.mu.Unlock()
	if last {
		f.cancel()
	}
}

// close lets nobody join any more. flights.mu is held.
func (f *Flight) close() {
	if f.flights.open[f.id] == f {
		delete(f.flights.open, f.id)
	}
}

// Context is that of the backend request: done when no member is left.
func (f *Flight) Context() context.Context { return f.ctx }

// Land ends the flight for all who wait. The first call counts. On a nil Flight it does nothing.
func (f *Flight) Land(l Landing) {
	if f == nil {
		return
	}
	f.once.Do(func() {
		f.flights.mu.Lock()
		f.close()
		f.flights.mu.Unlock()
		f.landing = l
		close(f.landed)
	})
}

// Wait waits until the flight has landed. ok is false if ctx ended before.
func (f *Flight) Wait(ctx context.Context) (l Landing, ok bool) {
	select {
	case <-f.landed:
		return f.landing, true
	case <-ctx.Done():
		return l, false
	}
}

// Shares reports whether an answer that was given to the request that leads flight is also that of f's request: it does not vary by what they differ in, neither
// in their fields (RFC 9111 §4.1) nor in their queries (No-Vary-Search), by its own word.
func (f *Fill) Shares(flight *Flight, e *entry.Entry) bool {
	s := f.store
	theirs, ours := flight.query.placed(e), f.query.placed(e)
	return s.variantOf(e.Vary, theirs) == s.variantOf(e.Vary, ours)
}

// soloTime is how long nobody waits for an answer of a key that turned out to be one that cannot be shared.
const soloTime = 10 * time.Second

// Alone remembers that answers under f's key are not shared, so that the next who miss it do not wait for one another in vain. On a nil
// Fill it does nothing.
func (f *Fill) Alone() {
	if f != nil {
		f.store.hints.alone(f.query.Primary, time.Now().Add(soloTime))
	}
}

// Key is that of the variant that the request is expected to select.
func (f *Fill) Key() cachekeys.Digest { return f.key }

// Guards reports whether guard is part of what those who join have to have in common.
func (f *Fill) Guards(guard cachekeys.Tag) bool { return f.opened.Guards(guard.Digest()) }

// Waits reports whether another process fetches with the same tokens.
func (f *Fill) Waits() bool { return f.opened.Turn == coherence.Wait }

// Hold keeps the lease, where this process leads, until Keep or Abandon gives it back. On a nil Fill it does nothing.
func (f *Fill) Hold() {
	if f == nil || f.opened.Turn != coherence.Lead {
		return
	}
	s := f.store
	held, release := context.WithCancel(s.closing)
	f.release = release
	s.stores.Go(func() {
		tick := time.NewTicker(coherence.RenewEvery)
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			bounded, cancel := context.WithTimeout(held, coherence.RenewEvery)
			s.keyspace.RenewLease(bounded, f.opened)
			cancel()
		}
	})
}

// How often Await looks: a little longer each time.
const awaitFirst, awaitMost = 2 * time.Millisecond, 50 * time.Millisecond

// Await waits for the answer that another process fetches, and returns it as a look-up would. It finds nothing if that process gave up its lease, or
// lost it by dying, or if Redis is away, or if the lease turns out to be a member's of the caller's own flight: the caller fetches then. What
// is stale was there before.
func (f *Fill) Await(flight *Flight) Found {
	s, ctx := f.store, flight.ctx
	for pause := awaitFirst; ; pause = min(pause*3/2, awaitMost) {
		select {
		case <-ctx.Done():
			return Found{}
		case <-flight.handed:
			s.flights.mu.Lock()
			defer s.flights.mu.Unlock()
			f.opened.TakeOver(flight.lease)
			return Found{}
		case <-time.After(pause):
		}
		if !s.keyspace.Readable() {
			return Found{}
		}
		l := lookup{store: s, ctx: ctx, budget: s.conn.Budget(awaitBound), query: f.query, hint: s.hints.get(f.query.Primary), lease: f.opened.LeaseKey()}
		found, err := l.run()
		if err != nil || !l.leased || found.Entry != nil && found.Entry.Fresh(time.Now()) > 0 {
			return found
		}
	}
}

// awaitBound bounds one look.
const awaitBound = time.Second
