package collapse

import (
	"context"
	"time"
)

// An Event ends a wait.
type Event int

// The events.
const (
	Completed Event = iota // the flight has a result
	Failed                 // a fetch has failed, and the member may wait on
	Leads                  // the member is to fetch for all
	Impatient              // its patience is over: it is to fetch for itself
	Done                   // ctx is done
)

// Wait waits for an event. result is that of the flight, or of the fetch that has failed.
func (m *Member[K, M, R]) Wait(ctx context.Context) (result R, e Event) {
	alarm := time.NewTimer(longest)
	defer alarm.Stop()
	for {
		s := m.look(time.Now())
		if s.changed == nil {
			return s.result, s.event
		}
		alarm.Reset(s.again)
		select {
		case <-s.changed:
		case <-alarm.C:
		case <-ctx.Done():
			return result, Done
		}
	}
}

// longest is how long a member sleeps where only a change can wake it.
const longest = time.Hour

// A sight is a member's view of its flight: an event, or the channels to wait for.
type sight[R any] struct {
	event  Event
	result R

	changed <-chan struct{} // nil: there is an event
	again   time.Duration   // when to look again if nothing changes
}

// look is m's view now.
func (m *Member[K, M, R]) look(now time.Time) sight[R] {
	f := m.flight
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	if f.late(now) {
		f.pass()
		f.announce()
	}
	switch {
	case f.complete:
		return sight[R]{event: Completed, result: f.result}
	case m.failures < f.failures:
		m.failures = f.failures
		return sight[R]{event: Failed, result: f.failure}
	case m.leads:
		return sight[R]{event: Leads}
	case f.coming != nil:
		return sight[R]{changed: f.changed, again: longest}
	case !now.Before(m.until):
		f.forget(m)
		return sight[R]{event: Impatient}
	}
	until := m.until
	if f.leader != nil && !f.leader.doubled.IsZero() && f.leader.doubled.Before(until) {
		until = f.leader.doubled
	}
	return sight[R]{changed: f.changed, again: until.Sub(now)}
}

// late reports whether the leader's fetch is to be doubled. group.mu is held.
func (f *flight[K, M, R]) late(now time.Time) bool {
	return !f.complete && f.coming == nil && len(f.waiting) > 0 && f.leader != nil &&
		!f.leader.doubled.IsZero() && !now.Before(f.leader.doubled)
}
