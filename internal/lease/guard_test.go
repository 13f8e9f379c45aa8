package lease_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sidecar/internal/lease"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// during calls do while Redis holds the renewal of l back, and returns what the renewal reports.
func (p place) during(t *testing.T, l *lease.Lease, do func()) (held bool) {
	t.Helper()
	if err := p.client.Do(t.Context(), "CLIENT", "PAUSE", 60_000, "WRITE").Err(); err != nil {
		t.Fatal(err)
	}
	renewed := make(chan bool)
	go func() { renewed <- l.Renew(t.Context()) }()
	proc.Await(t, 10*time.Second, func() error {
		clients, err := p.client.Do(t.Context(), "CLIENT", "LIST").Text()
		for line := range strings.Lines(clients) {
			if strings.Contains(line, " flags=b ") && strings.Contains(line, " cmd=eval") {
				return nil
			}
		}
		return errors.Join(err, errors.New("the renewal has not come"))
	})
	do()
	if err := p.client.Do(t.Context(), "CLIENT", "UNPAUSE").Err(); err != nil {
		t.Error(err)
	}
	return <-renewed
}

func TestARenewalWhoseAnswerComesLate(t *testing.T) {
	p := onServer(t, redisd.Start(t))
	leases := p.process(t, term)
	t.Run("counts from its sending", func(t *testing.T) {
		l := p.take(t, leases, "")
		defer l.Release(t.Context())
		var sent time.Time
		held := p.during(t, l, func() { sent = time.Now() })
		if until := lease.Until(l); !held || until.After(sent.Add(term)) {
			t.Errorf("held: %t, %v longer than its term", held, until.Sub(sent.Add(term)))
		}
	})
	t.Run("does not bring back what has run out", func(t *testing.T) {
		l := p.take(t, leases, "")
		if p.during(t, l, func() { lease.RunOut(l) }) {
			t.Error("it is held again")
		}
		wantState(t, l, lease.None)
		p.client.Del(t.Context(), p.key)
	})
	t.Run("does not bring back what was handed over", func(t *testing.T) {
		member, leader := p.take(t, leases, ""), p.take(t, leases, "")
		defer leader.Release(t.Context())
		if p.during(t, member, func() { member.HandTo(leader) }) {
			t.Error("it is held by two")
		}
		wantState(t, member, lease.None)
		wantState(t, leader, lease.Held)
	})
}

func TestARenewalThatRedisDoesNotAnswerChangesNothing(t *testing.T) {
	p := onServer(t, shared.For(t))
	l := p.take(t, p.process(t, term), "")
	defer l.Release(t.Context())
	before := lease.Until(l)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !l.Renew(ctx) || lease.Until(l) != before {
		t.Errorf("the lease is lost, or held until %v in the place of %v", lease.Until(l), before)
	}
}

// The holder in Redis is the same after a hand-over: it is the state here that tells.
func TestALeaseThatWasHandedOverIsNotRenewedByTheOneThatHadIt(t *testing.T) {
	p := onServer(t, shared.For(t))
	leases := p.process(t, term)
	member, leader := p.take(t, leases, ""), p.take(t, leases, "")
	defer leader.Release(t.Context())
	if !member.HandTo(leader) {
		t.Fatal("the holder did not hand it over")
	}
	if err := p.client.PExpire(t.Context(), p.key, term/2).Err(); err != nil {
		t.Fatal(err)
	}
	if member.Renew(t.Context()) || p.client.PTTL(t.Context(), p.key).Val() > term/2 {
		t.Error("it was renewed")
	}
}

func TestTheClockAloneEndsALease(t *testing.T) {
	p := onServer(t, shared.For(t))
	l := p.take(t, p.process(t, term), "")
	lease.RunOut(l)
	wantState(t, l, lease.None)
}

func TestALeaseIsHandedOverWithItsEndAndToSomebodyElse(t *testing.T) {
	p := onServer(t, shared.For(t))
	leases := p.process(t, term)
	member, leader := p.take(t, leases, ""), p.take(t, leases, "")
	defer leader.Release(t.Context())
	var nobody *lease.Lease
	if member.HandTo(nobody) || nobody.HandTo(leader) || member.HandTo(member) {
		t.Error("it was handed to nobody, by nobody or to its holder")
	}
	wantState(t, member, lease.Held)
	until := lease.Until(member)
	if !member.HandTo(leader) || lease.Until(leader) != until {
		t.Errorf("it lasts until %v, and before until %v", lease.Until(leader), until)
	}
}

func TestATermThatIsNotGivenIsTheDefault(t *testing.T) {
	p := onServer(t, shared.For(t))
	l := p.take(t, p.process(t, 0), "")
	defer l.Release(t.Context())
	if ttl := p.client.PTTL(t.Context(), p.key).Val(); ttl <= 0 || ttl > lease.DefaultTerm {
		t.Errorf("it lasts %v", ttl)
	}
}

func TestKeepEndsWithItsContext(t *testing.T) {
	p := onServer(t, shared.For(t))
	l := p.take(t, p.process(t, term), "")
	defer l.Release(context.WithoutCancel(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan struct{})
	go func() { defer close(kept); l.Keep(ctx) }()
	cancel()
	select {
	case <-kept:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	wantState(t, l, lease.Held)
}

func TestATermCountsFromTheLastCallThatWasMade(t *testing.T) {
	p := onServer(t, shared.For(t))
	l := p.process(t, term).New(lease.Request{Key: p.key})
	defer l.Release(t.Context())
	l.Call(nil, "")
	first := time.Now()
	call := l.Call(nil, "")
	second := time.Now()
	answers, err := redisconn.Run(t.Context(), p.client, []redisconn.Call{call})
	if err != nil {
		t.Fatal(err)
	}
	l.Answer(answers[0])
	wantState(t, l, lease.Held)
	until := lease.Until(l)
	if until.Before(first.Add(term)) || until.After(second.Add(term)) {
		t.Errorf("it lasts %v from the call", until.Sub(second))
	}
}

func TestAnAnswerThatComesAfterAHandOverChangesNothing(t *testing.T) {
	p := onServer(t, shared.For(t))
	leases := p.process(t, term)
	member, leader := p.take(t, leases, ""), p.take(t, leases, "")
	defer leader.Release(t.Context())
	member.HandTo(leader)
	if err := leader.Retry(t.Context(), nil, ""); err != nil {
		t.Fatal(err)
	}
	wantState(t, leader, lease.Held)
}

func TestATakerLearnsOfTheNextHoldersNote(t *testing.T) {
	p := onServer(t, shared.For(t))
	leases := p.process(t, term)
	first, taker := p.take(t, leases, "note"), p.take(t, leases, "note")
	if !taker.SameNote() {
		t.Fatal("the first holder's note is the same")
	}
	first.Release(t.Context())
	next := p.take(t, leases, "other")
	defer next.Release(t.Context())
	if err := taker.Retry(t.Context(), nil, "note"); err != nil {
		t.Fatal(err)
	}
	wantState(t, taker, lease.Elsewhere)
	if taker.SameNote() {
		t.Error("the next holder's note is another one")
	}
}

// A stranger may have written to the key, or the connection broke before an answer.
func TestAnAnswerThatTheScriptNeverGivesIsNone(t *testing.T) {
	p := onServer(t, shared.For(t))
	l := p.process(t, term).New(lease.Request{Key: p.key})
	for _, v := range []any{nil, "OK", []any{}, []any{"none"}} {
		l.Answer(v)
		wantState(t, l, lease.None)
	}
	l.Call(nil, "")
	l.Answer([]any{"held"})
	wantState(t, l, lease.Held)
	if l.Fence() != 0 {
		t.Errorf("the fencing number is %d", l.Fence())
	}
}
