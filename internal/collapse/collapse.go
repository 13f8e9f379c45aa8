// Package collapse lets one of many who want the same thing at the same time fetch it, while the
// others wait for the result.
//
// Those who want the same are the members of a flight. One of them leads: it fetches. The lead
// passes to the next member if the leader ends without a result, so a leader that fails or panics
// strands nobody, and never sends all others off at once. The context of the fetch belongs to the
// flight, not to the leader: it ends when no member is left.
//
// The package knows neither requests nor Redis. Which members want the same is the caller's to
// say, by the key; so is what a result is worth to each of them.
package collapse

import (
	"context"
	"slices"
	"sync"
)

// A Group is the flights under way, by key. The zero value has none. It is safe for concurrent
// use. K says what is wanted, M is what each member brings, R is a result.
type Group[K comparable, M, R any] struct {
	mu   sync.Mutex
	open map[K]*flight[K, M, R] // those that can be joined
}

// A flight is one fetch for its members.
type flight[K comparable, M, R any] struct {
	group  *Group[K, M, R]
	key    K
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when there is a result
	result R             // to be read when done is closed

	// Guarded by group.mu:
	present  int                // members that have not left
	leader   *Member[K, M, R]   // the one that fetches
	waiting  []*Member[K, M, R] // those that may lead after it, the first that came first
	complete bool
}

// A Member takes part in a flight. Its owner calls End once it is done, best by a defer. It is
// safe for concurrent use.
type Member[K comparable, M, R any] struct {
	flight *flight[K, M, R]
	value  M
	lead   chan struct{} // closed when it is the leader

	left, ended bool // guarded by group.mu
}

// Join joins the flight of key, or begins one that this member leads. value is what others see of
// it while it leads. The flight's context has the values of the ctx of the member that began it.
func (g *Group[K, M, R]) Join(ctx context.Context, key K, value M) *Member[K, M, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, found := g.open[key]
	if !found {
		f = &flight[K, M, R]{group: g, key: key, done: make(chan struct{})}
		f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if g.open == nil {
			g.open = map[K]*flight[K, M, R]{}
		}
		g.open[key] = f
	}
	m := &Member[K, M, R]{flight: f, value: value, lead: make(chan struct{})}
	f.present++
	f.waiting = append(f.waiting, m)
	if f.leader == nil || f.leader.ended {
		f.pass()
	}
	return m
}

// Context is that of the fetch: it ends when no member is left.
func (m *Member[K, M, R]) Context() context.Context { return m.flight.ctx }

// Leads reports whether m is to fetch. Once it is, it stays so.
func (m *Member[K, M, R]) Leads() bool {
	select {
	case <-m.lead:
		return true
	default:
		return false
	}
}

// Leader is what the flight's leader has brought.
func (m *Member[K, M, R]) Leader() M {
	m.flight.group.mu.Lock()
	defer m.flight.group.mu.Unlock()
	return m.flight.leader.value
}

// Wait waits for a result. ok is false where there is none for m: m leads now and is to fetch, or
// ctx is done.
func (m *Member[K, M, R]) Wait(ctx context.Context) (result R, ok bool) {
	select {
	case <-m.flight.done: // also where m leads by now
		return m.flight.result, true
	default:
	}
	select {
	case <-m.flight.done:
		return m.flight.result, true
	case <-m.lead:
	case <-ctx.Done():
	}
	return result, false
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
	close(f.done)
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

// End says that m's owner is done: it waits no more, and will call Complete no more. It is Leave,
// and where m leads and there is no result, the next member leads. Only the first call counts.
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
	if f.leader == m && !f.complete {
		f.pass()
	}
}

// leave takes m off the flight. group.mu is held.
func (m *Member[K, M, R]) leave() {
	if m.left {
		return
	}
	f := m.flight
	m.left = true
	f.waiting = slices.DeleteFunc(f.waiting, func(other *Member[K, M, R]) bool { return other == m })
	if f.present--; f.present == 0 {
		f.close()
		f.cancel()
	}
}

// pass gives the lead to the member that has waited longest, if there is one. group.mu is held.
func (f *flight[K, M, R]) pass() {
	if len(f.waiting) == 0 {
		return
	}
	f.leader, f.waiting = f.waiting[0], f.waiting[1:]
	close(f.leader.lead)
}

// close lets nobody join any more. group.mu is held.
func (f *flight[K, M, R]) close() {
	if f.group.open[f.key] == f {
		delete(f.group.open, f.key)
	}
}
