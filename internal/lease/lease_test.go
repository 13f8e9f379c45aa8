package lease_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/lease"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var shared *redisd.Server

func TestMain(m *testing.M) {
	server, stop, err := redisd.StartShared()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared = server
	code := m.Run()
	stop()
	os.Exit(code)
}

// term is long enough for a busy machine, where a test does not wait for its end.
const term = time.Minute

// A place is where leases stand: on one server, or in Cluster.
type place struct {
	redis  config.Redis
	client redis.UniversalClient // for a test's own commands behind the leases' back
	key    string                // of this test's lease
}

// rules are the promises of a lease, on one server and in Cluster.
var rules = []struct {
	rule  string
	holds func(t *testing.T, p place)
}{
	{"one of two takes it", oneOfTwoTakesIt},
	{"a taker learns whether the holders note is its own",
		aTakerLearnsWhetherTheHoldersNoteIsItsOwn},
	{"the note can be the digest of witnesses", theNoteCanBeTheDigestOfWitnesses},
	{"its holder renews it", itsHolderRenewsIt},
	{"it runs out and a late renewal is refused", itRunsOutAndALateRenewalIsRefused},
	{"fencing numbers grow", fencingNumbersGrow},
	{"only its holder releases it", onlyItsHolderReleasesIt},
	{"a hand over moves the lease inside the process", aHandOverMovesTheLeaseInsideTheProcess},
}

func TestOnOneServer(t *testing.T) {
	for _, r := range rules {
		t.Run(r.rule, func(t *testing.T) { r.holds(t, onServer(t, shared.For(t))) })
	}
}

func TestInCluster(t *testing.T) {
	c := redisd.StartCluster(t)
	client := c.Client(t)
	for _, r := range rules {
		t.Run(r.rule, func(t *testing.T) {
			r.holds(t, place{c.Redis(), client, "lease:{" + t.Name() + "}"})
		})
	}
}

func onServer(t *testing.T, s *redisd.Server) place {
	client := s.Client()
	t.Cleanup(func() { _ = client.Close() })
	return place{
		config.Redis{Host: s.Host(), Port: s.Port()}, client, "lease:{" + rand.Text() + "}",
	}
}

// process returns the leases of one process.
func (p place) process(t *testing.T, term time.Duration) *lease.Leases {
	t.Helper()
	conn, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: p.redis, Names: cachekeys.NewNames("test"),
		Breaker: config.Breaker{
			MaxRequests: 1, Interval: 10 * time.Second, Timeout: 100 * time.Millisecond,
			MinRequests: 1000, FailureRatio: 1,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return lease.New(lease.Options{Conn: conn, Term: term})
}

func (p place) take(t *testing.T, by *lease.Leases, note string) *lease.Lease {
	t.Helper()
	l, err := by.Take(t.Context(), nil, lease.Request{Key: p.key, Counter: p.key + ":fence"}, note)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func wantState(t *testing.T, l *lease.Lease, want lease.State) {
	t.Helper()
	if got := l.State(); got != want {
		t.Fatalf("the state is %d, want %d", got, want)
	}
}

func oneOfTwoTakesIt(t *testing.T, p place) {
	a, b := p.process(t, term), p.process(t, term)
	var taken [20]*lease.Lease
	var running sync.WaitGroup
	for i := range taken {
		running.Go(func() { taken[i] = p.take(t, [2]*lease.Leases{a, b}[i%2], "") })
	}
	running.Wait()
	held := 0
	for _, l := range taken {
		switch l.State() {
		case lease.Held:
			held++
		case lease.None:
			t.Error("a taker was not told who holds it")
		}
	}
	if held != 1 {
		t.Errorf("%d takers hold it", held)
	}
}

func aTakerLearnsWhetherTheHoldersNoteIsItsOwn(t *testing.T, p place) {
	a, b := p.process(t, term), p.process(t, term)
	holder := p.take(t, a, "note")
	same, other := p.take(t, b, "note"), p.take(t, b, "other")
	wantState(t, same, lease.Elsewhere)
	wantState(t, other, lease.Elsewhere)
	if !same.SameNote() || other.SameNote() || holder.SameNote() {
		t.Errorf("same %t, other %t, the holder itself %t",
			same.SameNote(), other.SameNote(), holder.SameNote())
	}
}

// The script reads the witnesses itself; a holder that has read them makes the same note.
func theNoteCanBeTheDigestOfWitnesses(t *testing.T, p place) {
	leases := p.process(t, term)
	witnesses := []string{p.key + ":a", p.key + ":b"}
	take := func(witnesses []string, note string) *lease.Lease {
		t.Helper()
		l := leases.New(lease.Request{Key: p.key})
		answers, err := redisconn.Run(t.Context(), p.client,
			[]redisconn.Call{l.Call(witnesses, note)})
		if err != nil {
			t.Fatal(err)
		}
		l.Answer(answers[0])
		return l
	}
	p.set(t, witnesses[0], "one ")
	wantState(t, take(witnesses, ""), lease.None)
	if p.client.Exists(t.Context(), p.key).Val() != 0 {
		t.Fatal("a lease was taken though a witness is absent")
	}
	p.set(t, witnesses[1], "two")
	wantState(t, take(witnesses, ""), lease.Held)
	if same := take(nil, "one two"); !same.SameNote() {
		t.Error("the digest of the same values is another note")
	}
	if again := take(witnesses, ""); !again.SameNote() {
		t.Error("the same witnesses are another note")
	}
	p.set(t, witnesses[1], "three")
	if changed := take(witnesses, ""); changed.State() != lease.Elsewhere || changed.SameNote() {
		t.Error("changed witnesses are the same note")
	}
}

func (p place) set(t *testing.T, key, value string) {
	t.Helper()
	if err := p.client.Set(t.Context(), key, value, time.Minute).Err(); err != nil {
		t.Fatal(err)
	}
}

func itsHolderRenewsIt(t *testing.T, p place) {
	a, b := p.process(t, term), p.process(t, term)
	l := p.take(t, a, "")
	if err := p.client.PExpire(t.Context(), p.key, term/2).Err(); err != nil {
		t.Fatal(err)
	}
	if !l.Renew(t.Context()) {
		t.Fatal("the holder's renewal was refused")
	}
	if left := p.client.PTTL(t.Context(), p.key).Val(); left <= term/2 || left > term {
		t.Errorf("it lasts %v after the renewal, want %v", left, term)
	}
	if other := p.take(t, b, ""); other.Renew(t.Context()) {
		t.Error("one that does not hold it has renewed it")
	}
}

func TestKeepRenewsItUntilItIsReleased(t *testing.T) {
	p := onServer(t, shared.For(t))
	const term = 600 * time.Millisecond
	l := p.take(t, p.process(t, term), "")
	kept := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { defer close(kept); l.Keep(ctx) }()
	for began := time.Now(); time.Since(began) < 2*term; { // a time that passes is what is tried
		if other := p.take(t, p.process(t, term), ""); other.State() != lease.Elsewhere {
			t.Fatalf("another got it %v after it was taken: it is not renewed", time.Since(began))
		}
	}
	l.Release(t.Context())
	if <-kept; ctx.Err() != nil {
		t.Error("it is kept for ever")
	}
}

func itRunsOutAndALateRenewalIsRefused(t *testing.T, p place) {
	a, b := p.process(t, term), p.process(t, term)
	late := p.take(t, a, "")
	// its holder was frozen, and does not know
	if err := p.client.PExpire(t.Context(), p.key, time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	var next *lease.Lease
	proc.Await(t, 10*time.Second, func() error {
		if next = p.take(t, b, ""); next.State() != lease.Held {
			return errors.New("it has not run out")
		}
		return nil
	})
	wantState(t, late, lease.Held)
	if late.Renew(t.Context()) {
		t.Error("a late renewal was accepted")
	}
	wantState(t, late, lease.None)
	late.Release(t.Context())
	if !next.Renew(t.Context()) {
		t.Error("the one that lost it has ended the next one's lease")
	}
	if next.Fence() <= late.Fence() {
		t.Errorf("the fencing number went from %d to %d", late.Fence(), next.Fence())
	}
}

// Without Redis a holder counts its lease as lost when Redis may give it to another.
func TestAHolderThatCannotRenewKnowsThatItIsLost(t *testing.T) {
	const term = 300 * time.Millisecond
	s := redisd.Start(t)
	p := onServer(t, s)
	l := p.take(t, p.process(t, term), "")
	s.Freeze()
	defer s.Thaw()
	// a renewal is bounded by a third of the term; the connection gives one up after 5 s
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	l.Keep(ctx)
	if ctx.Err() != nil {
		t.Error("a renewal has no bound, or it is kept for ever")
	}
	wantState(t, l, lease.None)
}

func fencingNumbersGrow(t *testing.T, p place) {
	leases := p.process(t, term)
	last := uint64(0)
	for i := range 50 {
		l := p.take(t, leases, "")
		wantState(t, l, lease.Held)
		if l.Fence() <= last {
			t.Fatalf("number %d follows %d", l.Fence(), last)
		}
		last = l.Fence()
		l.Release(t.Context())
		if i == 25 { // the counter is lost, as with all else in a Redis that comes back empty
			// so many takings were faster than the clock
			proc.Await(t, 10*time.Second, func() error {
				if p.clock(t) <= last {
					return errors.New("the clock is behind")
				}
				return nil
			})
			if err := p.client.Del(t.Context(), p.key+":fence").Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ttl := p.client.PTTL(t.Context(), p.key+":fence").Val(); ttl <= 0 {
		t.Errorf("the counter lives %v", ttl)
	}
}

// clock is that of the server, in milliseconds.
func (p place) clock(t *testing.T) uint64 {
	t.Helper()
	now, err := p.client.Time(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return uint64(now.UnixMilli())
}

func onlyItsHolderReleasesIt(t *testing.T, p place) {
	a, b := p.process(t, term), p.process(t, term)
	holder, other := p.take(t, a, ""), p.take(t, b, "")
	other.Release(t.Context())
	if !holder.Renew(t.Context()) {
		t.Fatal("another has released it")
	}
	pipe := p.client.Pipeline()
	holder.ReleaseIn(t.Context(), pipe)
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, holder, lease.None)
	next := p.take(t, b, "")
	wantState(t, next, lease.Held)
	holder.Release(t.Context()) // again
	pipe = p.client.Pipeline()
	holder.ReleaseIn(t.Context(), pipe)
	if n := pipe.Len(); n != 0 {
		t.Errorf("the one that has it no longer sends %d commands", n)
	}
	if !next.Renew(t.Context()) {
		t.Error("a release ended the next one's lease")
	}
}

func aHandOverMovesTheLeaseInsideTheProcess(t *testing.T, p place) {
	leases := p.process(t, term)
	member, leader := p.take(t, leases, ""), p.take(t, leases, "")
	if leader.HandTo(member) {
		t.Fatal("one that does not hold it handed it over")
	}
	if !member.HandTo(leader) {
		t.Fatal("the holder did not hand it over")
	}
	<-leader.Arrived()
	wantState(t, leader, lease.Held)
	wantState(t, member, lease.None)
	if leader.SameNote() {
		t.Error("the holder is told of a note elsewhere")
	}
	if leader.Fence() != member.Fence() {
		t.Errorf("the fencing number changed from %d to %d", member.Fence(), leader.Fence())
	}
	member.Release(t.Context())
	if member.Renew(t.Context()) || !leader.Renew(t.Context()) {
		t.Error("the lease is not its new holder's alone")
	}
	leader.Release(t.Context())
	if p.client.Exists(t.Context(), p.key).Val() != 0 {
		t.Error("it stays after its release")
	}
	if again := p.take(t, leases, ""); again.HandTo(leader) {
		t.Error("it was handed to one that has been released")
	}
}

func TestALeaseThatRanOutOrIsAnothersIsNotHandedOver(t *testing.T) {
	const term = 30 * time.Millisecond
	p := onServer(t, shared.For(t))
	leases := p.process(t, term)
	lost, found := p.take(t, leases, ""), p.take(t, leases, "")
	time.Sleep(2 * term) // a time that passes is what is tried
	if lost.HandTo(found) {
		t.Error("a lease that had run out was handed over")
	}
	other := p
	other.key += ":other"
	longer := p.process(t, time.Minute)
	other.take(t, longer, "")
	held, elsewhere := p.take(t, longer, ""), other.take(t, longer, "")
	if held.HandTo(elsewhere) {
		t.Error("a lease was handed to one who wants another")
	}
}

// A member hands its lease to the leader while its own client leaves and releases it: one of the
// two counts, and afterwards exactly one has the lease, or nobody.
func TestAHandOverAndAReleaseAtOnceLeaveOneOwner(t *testing.T) {
	p := onServer(t, shared.For(t))
	leases := p.process(t, term)
	handed, released := 0, 0
	for range 300 {
		member, leader := p.take(t, leases, ""), p.take(t, leases, "")
		start := make(chan struct{})
		var running sync.WaitGroup
		var moved bool
		running.Go(func() { <-start; moved = member.HandTo(leader) })
		running.Go(func() { <-start; member.Release(context.WithoutCancel(t.Context())) })
		close(start)
		running.Wait()
		wantState(t, member, lease.None)
		there := p.client.Exists(t.Context(), p.key).Val() == 1
		switch {
		case moved && leader.State() == lease.Held && there:
			handed++
		case !moved && leader.State() == lease.Elsewhere && !there:
			released++
		default:
			t.Fatalf("handed over: %t, the leader's state: %d, in Redis: %t",
				moved, leader.State(), there)
		}
		leader.Release(t.Context())
	}
	t.Logf("%d were handed over, %d released before", handed, released)
}

func TestANilLeaseIsNobodys(t *testing.T) {
	var l *lease.Lease
	wantState(t, l, lease.None)
	l.Release(t.Context())
	if l.SameNote() || l.HandTo(l) {
		t.Error("a lease that does not exist is held")
	}
}
