// Package collapse lets one of many who want the same thing at the same time fetch it, while the
// others wait for the result.
//
// Those who want the same are the members of a flight. One of them leads: it fetches. The lead
// passes to the next member if the leader fails, ends without a result, or takes too long, so a
// leader that hangs, fails or panics strands nobody and sends the others off one at a time. The
// context of the fetch belongs to the flight, not to the leader: it ends when no member is left.
//
// # How long members wait
//
// No member waits longer than its patience, in all, for a result that has not begun to come,
// however many leaders it sees. A member whose patience is over fetches for itself; its result is
// the flight's all the same if it comes first. All who came at one time would then leave at one
// time too, and the backend would see the crowd that it was to be spared. So a fetch that has not
// begun to bring a result after four fifths of the patience is doubled: the next member leads and
// fetches too. In the time that is left, its result still serves all others.
//
// A result that has begun to come is waited for until its fetch ends or yields.
//
// The package knows neither requests nor Redis. The caller says by the key which members want the
// same, and judges the result for each of them.
package collapse

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A Group is the flights under way, by key. The zero value has none. It is safe for concurrent use.
// K names the wish, M is the value of a member, R is a result.
type Group[K comparable, M, R any] struct {
	mu   sync.Mutex
	open map[K]*flight[K, M, R] // those that can be joined
}

// A flight is one fetch for its members, or several, one after the other.
type flight[K comparable, M, R any] struct {
	group  *Group[K, M, R]
	key    K
	ctx    context.Context
	cancel context.CancelFunc

	// Guarded by group.mu:
	present  int                // members that have not left
	leader   *Member[K, M, R]   // the one that fetches for all; nil: there is none
	waiting  []*Member[K, M, R] // those that may lead after it, the first that came first
	coming   *Member[K, M, R]   // whose result has begun to come; nil: nobody's
	failures int
	failure  R // of the last fetch that failed
	complete bool
	result   R
	changed  chan struct{} // closed, and made anew, when members that wait have to look again
}

// A Member takes part in a flight. Its owner calls End once it is done, best by a defer. It is
// safe for concurrent use.
type Member[K comparable, M, R any] struct {
	flight   *flight[K, M, R]
	value    M
	patience time.Duration

	// Guarded by group.mu:
	until       time.Time        // when its patience is over
	leads       bool             // it is, or was, the leader
	before      *Member[K, M, R] // the leader that it replaced; nil: there was none
	doubled     time.Time        // when its fetch is doubled; zero: it has not begun to fetch
	failures    int              // of the flight, that it knows of
	left, ended bool
}

// Join joins the flight of key, or begins one that this member leads. others see value while it
// leads; patience is how long it waits for a result that has not begun to come. The flight's
// context has the values of the ctx of the member that began it.
func (g *Group[K, M, R]) Join(ctx context.Context, key K, value M,
	patience time.Duration) *Member[K, M, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, found := g.open[key]
	if !found {
		f = &flight[K, M, R]{group: g, key: key, changed: make(chan struct{})}
		f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if g.open == nil {
			g.open = map[K]*flight[K, M, R]{}
		}
		g.open[key] = f
	}
	m := &Member[K, M, R]{flight: f, value: value, failures: f.failures,
		patience: patience, until: time.Now().Add(patience)}
	f.present++
	f.waiting = append(f.waiting, m)
	if f.leader == nil {
		f.pass()
	}
	return m
}

// Context is that of the fetch: it ends when no member is left.
func (m *Member[K, M, R]) Context() context.Context { return m.flight.ctx }

// Leads reports whether m is to fetch for the flight. Once it is, it stays so.
func (m *Member[K, M, R]) Leads() bool {
	m.flight.group.mu.Lock()
	defer m.flight.group.mu.Unlock()
	return m.leads
}

// Leader returns the value of the flight's leader; the zero value if there is none.
func (m *Member[K, M, R]) Leader() (value M) {
	m.flight.group.mu.Lock()
	defer m.flight.group.mu.Unlock()
	if m.flight.leader != nil {
		value = m.flight.leader.value
	}
	return value
}

// Predecessor returns the value of the leader that m replaced; the zero value if there was none.
func (m *Member[K, M, R]) Predecessor() (value M) {
	m.flight.group.mu.Lock()
	defer m.flight.group.mu.Unlock()
	if m.before != nil {
		value = m.before.value
	}
	return value
}

// Fetch says that m begins to fetch. If its result has not begun to come after four fifths of its
// patience, the next member leads too.
func (m *Member[K, M, R]) Fetch() {
	f := m.flight
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	m.doubled = time.Now().Add(m.patience - m.patience/5)
	f.announce()
}

// Begin says that m's result has begun to come: the waiting members go on waiting for it, until m
// completes the flight, fails, yields or ends.
func (m *Member[K, M, R]) Begin() {
	f := m.flight
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	if f.coming == nil {
		f.coming = m
	}
}

// Complete gives the result to all members. The first one counts. Who comes later begins a new
// flight.
func (m *Member[K, M, R]) Complete(result R) {
	f := m.flight
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	if f.complete {
		return
	}
	f.complete, f.result = true, result
	f.close()
	f.announce()
}

// Fail says that m's fetch has failed, and how. That is m's own result and nobody else's: the
// next member leads. The others are told, and may wait on.
func (m *Member[K, M, R]) Fail(failure R) {
	f := m.flight
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.failures, f.failure = f.failures+1, failure
	m.failures = f.failures
	m.yield()
}

// Yield says that nobody is to wait for m's result any more, though it may still come: where m
// leads, the next member leads in its place.
func (m *Member[K, M, R]) Yield() {
	m.flight.group.mu.Lock()
	defer m.flight.group.mu.Unlock()
	m.yield()
}

// Leave says that m's result is no longer wanted. A leader fetches on for the others; a member
// that waits is not asked to lead any more.
//
// That the last one leaves and that nobody joins any more are one step, under one lock:
//
//  1. the last member leaves, so the fetch is to be ended;
//  2. a newcomer joins the flight, which is still open;
//  3. the fetch is ended, and the newcomer gets the error of a request that others gave up.
func (m *Member[K, M, R]) Leave() {
	m.flight.group.mu.Lock()
	defer m.flight.group.mu.Unlock()
	m.leave()
}

// End says that m's owner is done: it waits no more, and will call nothing more. It is Leave and
// Yield. Only the first call counts.
//
// The lead is given under the lock, to a member that has not ended, and is given on by that
// member's own End:
//
//  1. the leader ends without a result, and the next member is to lead;
//  2. that member's client leaves at the same moment, so that it does not fetch;
//  3. its owner ends it, as every owner does, and the one after it leads.
func (m *Member[K, M, R]) End() {
	f := m.flight
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	if m.ended {
		return
	}
	m.ended = true
	m.leave()
	m.yield()
	m.before = nil // members are not chained for as long as one of them is held
}

// leave takes m off the flight. group.mu is held.
func (m *Member[K, M, R]) leave() {
	if m.left {
		return
	}
	f := m.flight
	m.left = true
	f.forget(m)
	if f.present--; f.present == 0 {
		f.close()
		f.cancel()
	}
}

// yield is Yield. group.mu is held.
func (m *Member[K, M, R]) yield() {
	f := m.flight
	if f.coming == m {
		f.coming = nil
	}
	if f.leader == m && !f.complete {
		f.pass()
	}
	f.announce()
}

// forget lets m lead no more, if it waits. group.mu is held.
func (f *flight[K, M, R]) forget(m *Member[K, M, R]) {
	f.waiting = slices.DeleteFunc(f.waiting,
		func(other *Member[K, M, R]) bool { return other == m })
}

// pass gives the lead to the member that has waited longest, if there is one. group.mu is held.
func (f *flight[K, M, R]) pass() {
	before := f.leader
	f.leader = nil
	if len(f.waiting) == 0 {
		return
	}
	f.leader, f.waiting = f.waiting[0], f.waiting[1:]
	f.leader.leads, f.leader.before = true, before
}

// announce makes all who wait look again. group.mu is held.
func (f *flight[K, M, R]) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// close lets nobody join any more. group.mu is held.
func (f *flight[K, M, R]) close() {
	if f.group.open[f.key] == f {
		delete(f.group.open, f.key)
	}
}
