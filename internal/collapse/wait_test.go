package collapse_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sidecar/internal/collapse"
)

// waited has a member wait, and wants this event after this time.
func waited(t *testing.T, m *member, want collapse.Event, after time.Duration) string {
	t.Helper()
	began := time.Now()
	result, e := m.Wait(t.Context())
	if took := time.Since(began); e != want || took != after {
		t.Errorf("event %d after %v, want %d after %v", e, took, want, after)
	}
	return result
}

func TestAFetchThatHangsIsDoubledAndItsSuccessorServesAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second", "third", "fourth")
		waited(t, members[0], collapse.Leads, 0)
		members[0].Fetch()
		var waiting sync.WaitGroup
		for _, m := range members[2:] {
			waiting.Go(func() {
				if r := waited(t, m, collapse.Completed, 9*time.Second); r != "result" {
					t.Errorf("got %q", r)
				}
			})
		}
		waited(t, members[1], collapse.Leads, 8*time.Second)
		if before := members[1].Predecessor(); before != "first" {
			t.Errorf("it replaced %q", before)
		}
		members[1].Fetch()
		time.Sleep(time.Second)
		members[1].Complete("result")
		waiting.Wait()
		if members[0].Complete("late"); waited(t, members[0], collapse.Completed, 0) != "result" {
			t.Error("the second result counts")
		}
	})
}

// However the fetches before it end, nobody waits longer than its patience in all.
func TestNobodyWaitsLongerThanItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		var waiting sync.WaitGroup
		for range 100 {
			m := g.Join(t.Context(), "key", "", patience)
			joined := time.Now()
			waiting.Go(func() {
				defer m.End()
				for {
					_, e := m.Wait(t.Context())
					if e == collapse.Failed {
						continue
					}
					if waited := time.Since(joined); waited > patience {
						t.Errorf("one waited %v", waited)
					}
					if e == collapse.Leads {
						m.Fetch()
					}
					time.Sleep(3 * time.Second) // then it fails
					m.Fail("failure")
					return
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		waiting.Wait()
	})
}

func TestAMemberOutOfPatienceMayBringTheResultOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second")
		// the first one never says that it fetches
		waited(t, members[1], collapse.Impatient, patience)
		late := join(t, &g, "late")[0]
		members[1].Complete("result")
		if r := waited(t, late, collapse.Completed, 0); r != "result" {
			t.Errorf("got %q", r)
		}
	})
}

func TestAFailureIsItsOwnAndTheNextOneLeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second", "third")
		members[0].Fetch()
		members[0].Fail("failure")
		for _, m := range members[1:] {
			if r := waited(t, m, collapse.Failed, 0); r != "failure" {
				t.Errorf("told %q", r)
			}
		}
		waited(t, members[0], collapse.Leads, 0) // its own failure is no news to it
		waited(t, members[1], collapse.Leads, 0)
		members[1].Yield() // it has no need to ask
		waited(t, members[2], collapse.Leads, 0)
		members[2].Fail("failure")
		next := join(t, &g, "next")[0]
		waited(t, next, collapse.Leads, 0) // it knows of no failure before it
	})
}

func TestAResultThatHasBegunIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second", "third")
		members[0].Fetch()
		members[0].Begin()
		go func() {
			time.Sleep(5 * patience)
			members[0].Yield() // it stalls
		}()
		time.Sleep(9 * time.Second) // one that had not begun would be doubled
		const rest = 5*patience - 9*time.Second
		var waiting sync.WaitGroup
		waiting.Go(func() { waited(t, members[1], collapse.Leads, rest) })
		waiting.Go(func() { waited(t, members[2], collapse.Impatient, rest) })
		waiting.Wait()
	})
}

// Of two fetches the result that began first is waited for, though the other one fails.
func TestAResultThatHasBegunIsWaitedForThoughAnotherOneYields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second", "third", "fourth")
		members[0].Fetch()
		waited(t, members[1], collapse.Leads, 8*time.Second)
		members[0].Begin()
		members[1].Begin()
		members[1].Yield()
		go func() {
			time.Sleep(patience)
			members[0].Complete("result")
		}()
		waited(t, members[3], collapse.Completed, patience)
	})
}

func TestWhoeverWaitsHearsThatTheFetchBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second")
		go func() {
			time.Sleep(time.Second)
			members[0].Fetch()
		}()
		waited(t, members[1], collapse.Leads, 9*time.Second)
	})
}

func TestTheLeadIsNotPassedToOneOutOfPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second")
		time.Sleep(patience / 2)
		late := join(t, &g, "late")[0]
		waited(t, members[1], collapse.Impatient, patience/2)
		members[0].End()
		waited(t, late, collapse.Leads, 0)
	})
}

func TestNobodyLeadsAfterTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		members := join(t, &g, "first", "second")
		members[0].Fetch()
		members[0].Complete("result")
		time.Sleep(9 * time.Second)
		waited(t, members[1], collapse.Completed, 0)
		leads(t, members, 0)
	})
}
