package store

import (
	"context"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/collapse"
	"sidecar/internal/lease"
	"sidecar/internal/redisconn"
	"sidecar/internal/tracing"
)

// tokenTTL is how long tokens live at the least, and how much longer than the entry that carries
// them.
const tokenTTL = time.Hour

// A Fill is one answer on its way into the store. It is begun before the backend request, which
// makes it safe however late the answer is kept. It ties together the tokens that the entry will
// carry, the lease to fetch for other processes, and the flight of those in this process who miss
// the same.
//
// Its owner calls End exactly once, when nothing more comes of it. All methods but Begin's and
// those that ask do nothing on a nil Fill. It is safe for concurrent use.
type Fill struct {
	store  *Store
	query  Query
	key    cachekeys.Digest // of the variant that the request is expected to select
	opened *coherence.Opened
	began  readAt
	shared bool          // the answer may be shared
	span   *tracing.Span // of the request that began it; nil: it has none
	lease  *lease.Lease  // to fetch for all processes; nil: nobody was asked

	member *collapse.Member[flightID, *Fill, Result] // nil: not joined
	// ends the renewals of lease; nil: there are none
	release context.CancelFunc

	mu    sync.Mutex
	kept  bool // Keep has taken over, and gives the lease back
	ended bool // nothing is kept any more
}

// An Opening says which answer is to be filled in.
type Opening struct {
	Query  Query
	Names  []cachekeys.Tag // that an earlier answer gave
	Guards []cachekeys.Tag // of the names that the answer may give
	Unseen []cachekeys.Tag // guards of names that no answer is known to give
	// Shared: others who miss the same may have the answer, and this request may have that of
	// another.
	Shared bool
}

// Begin opens the tokens that the answer will carry. Call it before the backend request is sent.
// On an error there is nothing to keep: the answer passes by.
//
// For an answer that may be shared it also takes the lease to fetch it for all processes, in the
// same round trip, unless that is held elsewhere.
func (s *Store) Begin(ctx context.Context, b *redisconn.Budget, want Opening) (*Fill, error) {
	q := want.Query.asAsked()
	vary, shareable := s.hints.expected(q.Route, q.Primary, time.Now())
	f := &Fill{
		store: s, query: q, key: s.variantOf(vary, q), began: s.now(),
		shared: want.Shared && shareable && s.collapseWait > 0, span: tracing.From(ctx),
	}
	opening := coherence.Opening{
		Rules: q.Rules, Carried: q.Carried, Known: want.Names, Guards: want.Guards,
		Unseen: want.Unseen,
		TTL:    tokenTTL + q.TTL,
	}
	if f.shared {
		f.lease = s.leases.New(lease.Request{Key: s.names.Lease(f.key)})
		opening.Sequel = f.lease // its note is the tokens: other processes compare them with theirs
	}
	var err error
	if f.opened, err = s.keyspace.Open(ctx, b, opening); err != nil {
		return nil, err
	}
	switch {
	case !f.opened.Shareable():
		f.giveBack() // of tokens that were made after the opening
	case f.lease.State() == lease.Held:
		f.renew()
	}
	return f, nil
}

// Storable reports whether the answer may be kept: while a write to one of its tags is under way
// it may not.
func (f *Fill) Storable() bool { return f.opened.Storable() }

// Holds reports whether no tag of the found entry was written to before f began. Otherwise the
// entry counts as dead.
func (f *Fill) Holds(found Found) bool { return found.Entry != nil && f.opened.Holds(found.stamp) }

// Guards reports whether guard is among the tags that members of a flight share.
func (f *Fill) Guards(guard cachekeys.Tag) bool { return f.opened.Guards(guard.Digest()) }

// Unshareable remembers that answers under f's key are not shared, so that requests that miss it
// next do not wait for one another in vain: for this URL, and for the unknown URLs of its route if
// no answer of the route was shareable for long.
func (f *Fill) Unshareable() {
	if f != nil {
		f.store.hints.setUnshareable(f.query.Route, f.query.Primary, time.Now())
	}
}

// renew keeps the lease, or the one that is handed to f, until it is given back. It ends by itself
// where f has none.
func (f *Fill) renew() {
	if f.release != nil {
		return
	}
	held, release := context.WithCancel(f.store.closing)
	f.release = release
	f.store.stores.Go(func() { f.lease.Keep(held) }) // Close waits for it, release ends it
}

// stopRenewing ends the renewal.
func (f *Fill) stopRenewing() {
	if f.release != nil {
		f.release()
	}
}

// giveBack gives the lease back, if it is ours, and does not wait for that: other processes that
// wait look again at once.
func (f *Fill) giveBack() {
	f.stopRenewing()
	if f.lease.State() == lease.None {
		return
	}
	s := f.store
	s.stores.Go(func() { // Close waits for it, the time-out ends it
		ctx, cancel := context.WithTimeout(s.closing, s.timeout)
		defer cancel()
		f.lease.Release(ctx)
	})
}
