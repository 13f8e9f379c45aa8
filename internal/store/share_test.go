package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/test/redisd"
)

// join begins a fill that may be shared and joins the flight. It is ended when the test ends.
func (w *world) join(q store.Query) *store.Fill {
	w.t.Helper()
	fill := w.shared(q)
	w.t.Cleanup(fill.End)
	if !fill.Join(w.t.Context()) {
		w.t.Fatal("the answer may not be shared")
	}
	return fill
}

// leased reports whether the lease on q stands in Redis.
func (w *world) leased(q store.Query) bool {
	w.t.Helper()
	n, err := w.raw().Exists(w.t.Context(), names.Lease(q.Primary)).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return n == 1
}

func (w *world) awaitNoLease(q store.Query) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); w.leased(q); {
		if time.Now().After(deadline) {
			w.t.Fatal("the lease is not given back")
		}
	}
}

// Where the proof is missing that nothing was written in between, nobody shares.
func TestAFillJoinsOnlyWhereItsTokensProveThatItMay(t *testing.T) {
	w := greeting(t)
	q := query("/characters/42", nil)
	_ = w.shared(q) // meets the server, and makes the tokens
	joins := func(f *store.Fill) bool {
		defer f.End()
		return f.Join(t.Context())
	}
	if !joins(w.shared(q)) {
		t.Fatal("a fill that may be shared does not join")
	}
	if joins(w.begin(q)) {
		t.Error("a fill joined that is not to be shared")
	}
	write := w.keyspace.Write(cachekeys.Tag{})
	if err := write.Begin(t.Context(), nil, nil, guards); err != nil {
		t.Fatal(err)
	}
	if joins(w.shared(q)) {
		t.Error("a fill joined while a write is under way to what the answer may name")
	}
	if _, err := write.End(t.Context(), nil, coherence.Done, nil, guards, 0); err != nil {
		t.Fatal(err)
	}
	fill, late, before := w.shared(q), w.begin(q), w.keyspace.Generation()
	w.redis.Kill()
	w.redis.Restart()
	w.await("the new server is met", func() bool {
		w.lookup(q)
		return w.keyspace.Generation() != before
	})
	if joins(fill) {
		t.Error("a fill joined with tokens of another server")
	}
	if why := w.keep(late, answer("one"), noNames); why != reason.RedisChanged {
		t.Errorf("an answer under tokens of another server is kept for %q", why)
	}
}

// greeting is a sidecar that notices when its server is another one.
func greeting(t *testing.T) *world {
	t.Helper()
	server := redisd.Start(t)
	incarnation := coherence.NewIncarnation(names, slog.New(slog.DiscardHandler))
	conn, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: config.Redis{Host: server.Host(), Port: server.Port()}, Names: names,
		Breaker: config.Breaker{MaxRequests: 1, Interval: 10 * time.Second,
			Timeout: 100 * time.Millisecond, MinRequests: 3, FailureRatio: 0.6},
		Greet: incarnation,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	keyspace := coherence.New(coherence.Options{Conn: conn, Names: names, Incarnation: incarnation})
	s := store.New(store.Options{Conn: conn, Keyspace: keyspace, Names: names,
		Secret: func() []byte { return secret }, CollapseWait: 10 * time.Second})
	t.Cleanup(func() { s.Close(context.Background()) })
	return &world{t, server, conn, keyspace, s}
}

// A fetch that panics ends without a result: the next one fetches, with the lease that the first
// had.
func TestALeaderThatEndsWithoutAResultPassesLeadAndLeaseOn(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	first, second, third := w.join(q), w.join(q), w.join(q)
	if !first.Leads() || second.Leads() || third.Leads() {
		t.Fatal("the first one alone is to lead")
	}
	first.End()
	if _, e := second.Wait(t.Context(), nil); e != store.ToFetch ||
		!second.Leads() || third.Leads() {
		t.Fatal("the second one alone is to lead now")
	}
	if !w.leased(q) {
		t.Error("the lease was given back though another member fetches")
	}
	first.Keep(answer("late"), 0, noNames, nil) // what was given up is never kept: done would panic
	second.Complete(store.Result{Entry: answer("one")})
	if r, e := third.Wait(t.Context(), nil); e != store.Answered || r.Entry == nil ||
		string(r.Entry.Body) != "one" {
		t.Errorf("the third one got %v, event %d", r, e)
	}
	second.End()
	w.awaitNoLease(q)
}

// The member that joined second has got the lease. The leader, which found it elsewhere, gets it,
// and does not wait for a process that is this one.
func TestALeaseThatAMemberGotIsHandedToTheLeader(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	holder, leader := w.shared(q), w.shared(q) // opened in this order
	if !leader.Join(t.Context()) || !leader.Leads() {
		t.Fatal("the one that joins first is to lead")
	}
	waited, began := make(chan bool), time.Now()
	go func() {
		_, e := leader.Wait(t.Context(), nil)
		waited <- e == store.Answered
	}()
	for before := w.looks(); w.looks() < before+2; { // it waits for another process
	}
	if !holder.Join(t.Context()) || holder.Leads() {
		t.Fatal("the holder of the lease is to be a member that waits")
	}
	if ok := <-waited; ok {
		t.Fatal("the leader has a result")
	}
	if took := time.Since(began); took > 5*time.Second { // it waits 8 for another process
		t.Errorf("the leader waited %v for a lease that is in this process", took)
	}
	holder.End()
	if !w.leased(q) {
		t.Error("the member that left has given the leader's lease back")
	}
	leader.End()
	w.awaitNoLease(q)
}

// Members hand the lease to the leader while their clients leave. In the end nobody has it.
func TestALeaseHasOneOwnerWhileMembersLeave(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	for range 20 {
		var running sync.WaitGroup
		for range 8 {
			fill := w.shared(q)
			running.Go(func() {
				defer fill.End()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				if !fill.Join(ctx) {
					return
				}
				if !fill.Leads() {
					go leave() // ends at once
					fill.Wait(ctx, nil)
				}
			})
		}
		running.Wait()
		w.awaitNoLease(q)
	}
}

// Another process fetches with the same tokens: this one waits, and finds the answer in the store.
func TestALeaderWaitsForTheProcessThatFetches(t *testing.T) {
	w := newWorld(t)
	other := another(t, w.redis)
	q := query("/characters/42", nil)
	fetching := other.join(q)
	here, member := w.join(q), w.join(q)
	answered := make(chan store.Result)
	for _, fill := range []*store.Fill{here, member} {
		go func() {
			r, _ := fill.Wait(t.Context(), w.conn.Budget(5*time.Second))
			answered <- r
		}()
	}
	if why := other.keep(fetching, answer("one"), noNames); why != "" {
		t.Fatal(why)
	}
	for range 2 {
		if r := <-answered; r.Entry == nil || string(r.Entry.Body) != "one" {
			t.Errorf("one that waits got %v", r)
		}
	}
}

// A process that gives the lease back without an answer sends one of those that wait for it, which
// gets the lease. The others go on waiting, and have that one's answer.
func TestOfThreeProcessesThatWaitOneAtATimeFetches(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	type process struct {
		*world
		fill *store.Fill
	}
	fetching := make(chan process, 3)
	answered := make(chan store.Result, 3)
	failing := process{w, w.join(q)}
	for range 3 {
		other := another(t, w.redis)
		waiting := process{other, other.join(q)}
		go func() { // ends with the wait
			r, e := waiting.fill.Wait(t.Context(), other.conn.Budget(5*time.Second))
			if e == store.ToFetch {
				fetching <- waiting
			} else {
				answered <- r
			}
		}()
	}
	for range 2 { // two failures, one after the other
		failing.fill.Fail(store.Result{Failed: store.Error})
		failing.fill.End()
		failing = <-fetching
		for before := w.looks(); w.looks() < before+6; { // the others look again, and wait
			select {
			case <-fetching:
				t.Fatal("two processes fetch at one time")
			case r := <-answered:
				t.Fatalf("one that waits got %v, which nobody fetched", r)
			default:
			}
		}
	}
	if why := failing.keep(failing.fill, answer("one"), noNames); why != "" {
		t.Fatal(why)
	}
	if r := <-answered; r.Entry == nil || string(r.Entry.Body) != "one" {
		t.Errorf("the last one got %v", r)
	}
}

// looks is how often something was looked up in Redis.
func (w *world) looks() (n int) {
	w.t.Helper()
	stats, err := w.raw().Info(w.t.Context(), "commandstats").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	_, calls, _ := strings.Cut(stats, "cmdstat_mget:calls=")
	if _, err := fmt.Sscan(strings.Split(calls, ",")[0], &n); err != nil {
		w.t.Fatal(err)
	}
	return n
}
