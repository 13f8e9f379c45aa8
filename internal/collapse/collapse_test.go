package collapse_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/collapse"
)

type (
	group  = collapse.Group[string, string, string]
	member = collapse.Member[string, string, string]
)

const patience = 10 * time.Second

func join(t *testing.T, g *group, names ...string) (members []*member) {
	t.Helper()
	for _, name := range names {
		members = append(members, g.Join(t.Context(), "key", name, patience))
	}
	return members
}

// leads fails the test unless exactly this one of members leads.
func leads(t *testing.T, members []*member, which int) {
	t.Helper()
	for i, m := range members {
		if m.Leads() != (i == which) {
			t.Errorf("member %d leads: %t, want it of %d alone", i, m.Leads(), which)
		}
	}
}

func TestTheFirstOneFetchesAndAllGetItsResult(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second", "third")
	leads(t, members, 0)
	var waiting sync.WaitGroup
	for _, m := range members[1:] {
		waiting.Go(func() {
			if result, e := m.Wait(t.Context()); e != collapse.Completed || result != "result" {
				t.Errorf("a member got %q, event %d", result, e)
			}
			if m.Leader() != "first" {
				t.Errorf("the leader is %q", m.Leader())
			}
			m.End()
		})
	}
	members[0].Complete("result")
	members[0].Complete("another")
	if m := g.Join(t.Context(), "key", "late", patience); !m.Leads() {
		t.Error("who comes after the result joined a flight that is over")
	}
	members[0].End()
	waiting.Wait()
	if m := g.Join(t.Context(), "key", "later", patience); m.Leads() {
		t.Error("the end of a flight that is over has ended the next one")
	}
}

func TestMembersOfDifferentKeysDoNotMeet(t *testing.T) {
	var g group
	a, b := g.Join(t.Context(), "a", "", patience), g.Join(t.Context(), "b", "", patience)
	if !a.Leads() || !b.Leads() {
		t.Error("one of them waits for the other")
	}
}

func TestALeaderThatEndsWithoutAResultPassesTheLeadToOneAtATime(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second", "third")
	members[0].End()
	leads(t, members[1:], 0)
	if members[2].Leader() != "second" {
		t.Errorf("the leader is %q", members[2].Leader())
	}
	members[1].End()
	members[1].End()
	if _, e := members[2].Wait(t.Context()); e != collapse.Leads {
		t.Error("the last one does not lead")
	}
	members[2].End()
	if members[2].Context().Err() == nil {
		t.Error("the fetch goes on for nobody")
	}
	if m := join(t, &g, "next")[0]; !m.Leads() || m.Context().Err() != nil {
		t.Error("a newcomer joined a flight that is over")
	}
}

func TestALeaderThatPanicsStrandsNobody(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second")
	func() {
		defer func() { _ = recover() }()
		defer members[0].End()
		panic("the fetch")
	}()
	if _, e := members[1].Wait(t.Context()); e != collapse.Leads {
		t.Error("the other one does not lead")
	}
}

func TestAMemberThatDoesNotLeadYieldsNothing(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second", "third")
	members[1].Yield()
	leads(t, members, 0)
	if leader := members[2].Leader(); leader != "first" {
		t.Errorf("the leader is %q", leader)
	}
}

func TestALeaderWhoseClientLeftFetchesForTheOthers(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second")
	members[0].Leave()
	if members[0].Context().Err() != nil || members[1].Leads() {
		t.Fatal("the fetch ended, or passed on, with the client of the leader")
	}
	members[0].Complete("result")
	if result, e := members[1].Wait(t.Context()); e != collapse.Completed || result != "result" {
		t.Errorf("the other one got %q, event %d", result, e)
	}
}

func TestTheFetchEndsWhenNobodyIsLeft(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second")
	members[0].Leave()
	members[0].Leave()
	if members[0].Context().Err() != nil {
		t.Fatal("one of two left, and the fetch ended")
	}
	members[1].End()
	<-members[0].Context().Done()
	if m := join(t, &g, "next")[0]; !m.Leads() || m.Context().Err() != nil {
		t.Error("a newcomer joined the fetch that others gave up")
	}
}

func TestTheLeadIsNotPassedToOneWhoseClientLeft(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second", "third")
	members[1].Leave()
	members[0].End()
	leads(t, members[1:], 1)
}

func TestWhoeverIsGivenTheLeadAndLeavesGivesItOn(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second", "third")
	members[0].End()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, e := members[1].Wait(gone); e != collapse.Leads {
		t.Fatalf("event %d", e)
	}
	members[1].End() // without fetching
	if _, e := members[2].Wait(t.Context()); e != collapse.Leads {
		t.Error("the last one does not lead")
	}
}

func TestAWaitEndsWithItsClient(t *testing.T) {
	var g group
	members := join(t, &g, "first", "second")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, e := members[1].Wait(gone); e != collapse.Done {
		t.Errorf("event %d", e)
	}
}

func TestTheContextHasTheValuesOfTheFirstAndNotItsEnd(t *testing.T) {
	type key struct{}
	var g group
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	m := g.Join(ctx, "key", "", patience)
	cancel()
	if m.Context().Value(key{}) != "value" || m.Context().Err() != nil {
		t.Errorf("value %v, error %v", m.Context().Value(key{}), m.Context().Err())
	}
}

// Many come, lead, fail, leave and wait at once: at no time do two of one flight fetch, and in the
// end everybody has a result or has had its turn.
func TestAtNoTimeDoTwoOfOneFlightFetch(t *testing.T) {
	var g group
	var fetching sync.Map // by the context of the flight, how many fetch
	var fetches atomic.Int64
	var running sync.WaitGroup
	for i := range 400 {
		running.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			m := g.Join(ctx, "key", "", patience)
			defer m.End()
			if i%5 == 0 {
				go cancel()
				defer context.AfterFunc(ctx, m.Leave)()
			}
			if _, e := m.Wait(ctx); e != collapse.Leads {
				return
			}
			counter, _ := fetching.LoadOrStore(m.Context(), new(atomic.Int64))
			if counter.(*atomic.Int64).Add(1) > 1 {
				t.Error("two fetch at once")
			}
			fetches.Add(1)
			counter.(*atomic.Int64).Add(-1)
			if i%3 == 0 {
				m.Complete("result")
			}
		})
	}
	running.Wait()
	if fetches.Load() == 0 {
		t.Error("nobody fetched")
	}
}
