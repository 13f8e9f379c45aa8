package store_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/test/redisd"
)

// patient is a world in which requests wait for one another for so long.
func patient(t *testing.T, wait time.Duration) *world {
	server := redisd.Start(t)
	return on(t, server, connect(t, server), func(o *store.Options) { o.CollapseWait = wait })
}

// persist lets a key stay until it is deleted.
func (w *world) persist(key string) {
	w.t.Helper()
	if err := w.raw().Persist(w.t.Context(), key).Err(); err != nil {
		w.t.Fatal(err)
	}
}

// deny takes a command from the user that the store is.
func (w *world) deny(command string) {
	w.t.Helper()
	err := w.raw().Do(w.t.Context(), "ACL", "SETUSER", "default", "-"+command).Err()
	if err != nil {
		w.t.Fatal(err)
	}
}

// retain stores e for an hour beyond its lifetime.
func (w *world) retain(fill *store.Fill, e *entry.Entry) {
	w.t.Helper()
	outcome := make(chan reason.Reason, 1)
	fill.Keep(e, time.Hour, noNames, func(why reason.Reason) { outcome <- why })
	if why := <-outcome; why != "" {
		w.t.Fatal(why)
	}
}

// stale is answer that is stale at once.
func stale(body string) *entry.Entry {
	e := answer(body)
	e.Lifetime = 0
	return e
}

// A handler has no fill where nothing can be kept, and one that has not joined where nothing can
// be shared.
func TestAFillThatIsNoneOrHasNotJoinedDoesNothing(t *testing.T) {
	w := newWorld(t)
	for name, f := range map[string]*store.Fill{
		"none": nil, "not joined": w.begin(query("/characters/42", nil)),
	} {
		if f.Join(t.Context()) || f.Leads() {
			t.Errorf("%s: it joined, or leads", name)
		}
		f.Begin()
		f.Leave()
		f.Yield()
		f.Fail(store.Result{Failed: store.Error})
		f.Complete(store.Result{})
		f.Unshareable()
		f.GiveUp()
		f.End()
	}
	kept := w.begin(query("/characters/42", nil))
	w.keep(kept, answer("one"), noNames)
	kept.End()
}

func TestAnAnswerThatIsNotSharedTakesNoLease(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	defer w.begin(q).End()
	if w.leased(q) {
		t.Error("a fill that is not to be shared took it")
	}
	alone := patient(t, 0)
	if f := alone.shared(q); f.Join(t.Context()) || alone.leased(q) {
		t.Error("a fill joined, or took the lease, where nobody waits")
	}
}

func TestWhereAnAnswerWasNotShareableNobodyJoinsUntilOneIs(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	joins := func() bool {
		f := w.shared(q)
		defer f.End()
		return f.Join(t.Context())
	}
	f := w.begin(q)
	defer f.End()
	f.Unshareable()
	if joins() {
		t.Error("one joins after an answer that was not shareable")
	}
	f.Complete(store.Result{Entry: answer("one")})
	if !joins() {
		t.Error("none joins after an answer that was shareable")
	}
}

// A race is a hook that does something between the first and the second command of one pipeline.
type race struct {
	armed atomic.Bool
	do    func()
}

// DialHook implements redis.Hook.
func (*race) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (*race) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (r *race) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) < 2 || !r.armed.CompareAndSwap(true, false) {
			return next(ctx, cmds)
		}
		if err := next(ctx, cmds[:1]); err != nil {
			return err
		}
		r.do()
		return next(ctx, cmds[1:])
	}
}

// A pipeline is not atomic: between the opening, which finds a tag closed, and the script of the
// lease, the write ends, and another one opens the tokens.
func TestALeaseThatComesWithTokensThatAreNotTheFillsIsGivenBack(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	w.shared(q).End() // then the server has the scripts
	w.awaitNoLease(q)
	other := another(t, w.redis)
	write := other.keyspace.Write(cachekeys.Tag{})
	if err := write.Begin(t.Context(), nil, nil, guards); err != nil {
		t.Fatal(err)
	}
	taken := false
	between := &race{do: func() {
		_, err := write.End(t.Context(), nil, coherence.Done, nil, guards, 0)
		if taken = err == nil; !taken {
			t.Error(err)
		}
		other.begin(q).End()
	}}
	between.armed.Store(true)
	w.conn.Client().AddHook(between)
	fill := w.shared(q)
	if !taken || fill.Join(t.Context()) {
		t.Fatal("the fill has the tokens of the other one")
	}
	w.awaitNoLease(q)
}

func TestALeaseIsRenewedOnce(t *testing.T) {
	w := newWorld(t)
	w.join(query("/characters/42", nil))
	if n := w.Running(); n != 1 {
		t.Errorf("%d goroutines renew it", n)
	}
}

// The next member has the lease before the fill of the last one ends: no other process gets it.
func TestALeaderThatEndsHandsItsLeaseOnAtOnce(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	first, second := w.join(q), w.join(q)
	w.persist(names.Lease(q.Primary))
	first.End()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	w.Close(ctx) // waits for a lease that is given back
	if !second.Leads() || !w.leased(q) {
		t.Errorf("the second one leads: %t, the lease is there: %t", second.Leads(), w.leased(q))
	}
}

// The leader that takes too long does not yield: it is the next one that takes its lease.
func TestALeaderThatDoublesAFetchHasItsLease(t *testing.T) {
	w, q := patient(t, time.Second), query("/characters/42", nil)
	first := w.join(q)
	if _, e := first.Wait(t.Context(), nil); e != store.ToFetch {
		t.Fatalf("event %d", e)
	}
	second := w.join(q)
	if _, e := second.Wait(t.Context(), nil); e != store.ToFetch || !second.Leads() {
		t.Fatalf("event %d, the second one leads: %t", e, second.Leads())
	}
	second.Complete(store.Result{})
	w.awaitNoLease(q)
}

// The member of a process whose leader waits for another process has a fifth of its patience left
// when that leader fetches after all.
func TestALeaderWaitsForAProcessLessThanItsMembersWaitForIt(t *testing.T) {
	t.Parallel()
	w, q := patient(t, 8*time.Second), query("/characters/42", nil)
	another(t, w.redis).join(q) // and never comes to an end
	leader, member := w.join(q), w.join(q)
	got := make(chan store.Event, 1)
	go func() {
		_, e := member.Wait(t.Context(), nil)
		got <- e
	}()
	if _, e := leader.Wait(t.Context(), nil); e != store.ToFetch {
		t.Fatalf("event %d", e)
	}
	leader.Complete(store.Result{Entry: answer("one")})
	if e := <-got; e != store.Answered {
		t.Errorf("the member has event %d: its patience is over with that of the leader", e)
	}
}

func TestAnAnswerThatHasBegunToComeIsWaitedFor(t *testing.T) {
	const patience = 300 * time.Millisecond
	w, q := patient(t, patience), query("/characters/42", nil)
	leader := w.join(q)
	leader.Begin()
	member, got := w.join(q), make(chan store.Event, 1)
	go func() {
		_, e := member.Wait(t.Context(), nil)
		got <- e
	}()
	time.Sleep(2 * patience) // a time that passes is what is tried
	leader.Complete(store.Result{Entry: answer("one")})
	if e := <-got; e != store.Answered {
		t.Errorf("event %d", e)
	}
}

func TestAResultIsAnAnswerToThoseAloneWhoSelectIt(t *testing.T) {
	w := newWorld(t)
	in := func(language string) *store.Fill {
		return w.join(query("/rules", http.Header{"Accept-Language": {language}}))
	}
	for _, c := range []struct {
		language string
		entry    *entry.Entry
		has      bool
	}{
		{"en", answer("spells", "Accept-Language"), true},
		{"de", answer("spells", "Accept-Language"), false},
		{"de", answer("spells"), true},
		{"en", nil, false},
	} {
		leader, member := in("en"), in(c.language)
		if member.Leads() {
			t.Fatal("nothing is known of what the answers vary by, and two lead")
		}
		leader.Complete(store.Result{Entry: c.entry})
		r, e := member.Wait(t.Context(), nil)
		if e != store.Answered || (r.Entry != nil) != c.has {
			t.Errorf("%s: event %d, an entry: %t, want %t", c.language, e, r.Entry != nil, c.has)
		}
		leader.End()
		member.End()
	}
}

func TestAStaleEntryIsNoAnswerOfAnotherProcess(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	w.retain(w.begin(q), stale("old"))
	fetching := another(t, w.redis).join(q)
	here := w.join(q)
	fetching.Complete(store.Result{})
	if r, e := here.Wait(t.Context(), nil); e != store.ToFetch {
		t.Errorf("event %d, entry %v", e, r.Entry)
	}
}

// A process may store an answer without the lease: one that doubled the fetch, or did not share.
func TestAFreshEntryEndsTheWaitForAProcess(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	other := another(t, w.redis)
	other.join(q)
	here := w.join(q)
	if why := other.keep(other.begin(q), answer("one"), noNames); why != "" {
		t.Fatal(why)
	}
	if r, e := here.Wait(t.Context(), nil); e != store.Answered || r.Entry == nil {
		t.Errorf("event %d, entry %v", e, r.Entry)
	}
	if !w.leased(q) {
		t.Error("the lease was given back: nothing was tried")
	}
}

func TestALeaderDoesNotWaitForAProcessWhileAnInvalidationIsPending(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	another(t, w.redis).join(q)
	here := w.join(q)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := w.keyspace.Invalidate(ctx, nil, cachekeys.Tag{}, []cachekeys.Tag{tag}, nil, 0)
	if err == nil {
		t.Fatal("a canceled invalidation succeeded")
	}
	if e, soon := w.event(here, t.Context()); e != store.ToFetch || !soon {
		t.Errorf("event %d, soon: %t", e, soon)
	}
}

func TestAnAnswerThatIsDroppedGivesTheLeaseBack(t *testing.T) {
	w, q := newWorld(t), query("/characters/43", nil)
	release := make(chan struct{})
	defer close(release)
	blocked := func() ([]cachekeys.Tag, reason.Reason) {
		<-release
		return nil, reason.TagsUnfilled
	}
	for range 64 {
		other := w.begin(query("/characters/42", nil))
		other.Keep(answer("one"), 0, blocked, func(reason.Reason) {})
	}
	if why := w.keep(w.join(q), answer("one"), noNames); why != reason.StoreBusy {
		t.Fatalf("it is kept for %q", why)
	}
	w.awaitNoLease(q) // it is renewed for as long as it is not given back
}

func TestAStoreThatHasEndedLeavesRoomForTheNext(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	for i := range 65 {
		if why := w.keep(w.begin(q), answer("one"), noNames); why != "" {
			t.Fatalf("store %d: %q", i+1, why)
		}
	}
}

func TestTokensOutliveTheEntryThatCarriesThem(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	e := answer("one")
	e.Lifetime = 24 * time.Hour // longer than was expected
	if why := w.keep(w.begin(q), e, noNames); why != "" {
		t.Fatal(why)
	}
	ttl := w.raw().PTTL(t.Context(), names.Token(tag.Digest())).Val()
	if ttl < e.Lifetime {
		t.Errorf("the token lives %v, the entry %v", ttl, e.Lifetime)
	}
}

// Redis refuses one command of a store: nothing is stored, and that is said.
func TestAStoreThatRedisRefusesInPartHasFailed(t *testing.T) {
	q := query("/characters/42", nil)
	long := answer("one")
	long.Lifetime = 24 * time.Hour
	for _, c := range []struct {
		name  string
		entry *entry.Entry
		names store.Names
		deny  string // a command
		at    string // a key that is no token, since a stranger has written to it
		want  reason.Reason
	}{
		{"names cannot be learnt", answer("one"), named(cachekeys.Named("item:1")), "",
			names.Token(cachekeys.Named("item:1").Digest()), reason.StoreFailed},
		{"tokens cannot be made to live longer", long, noNames, "", names.Token(tag.Digest()),
			reason.StoreFailed},
		{"the record cannot be written", answer("one"), noNames, "set", "", reason.StoreFailed},
		{"a better one may be stored", failed(), noNames, "mget", "", reason.FreshSuccess},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			fill := w.begin(q)
			if c.at != "" {
				w.raw().Del(t.Context(), c.at)
				w.raw().LPush(t.Context(), c.at, "x")
			}
			if c.deny != "" {
				w.deny(c.deny)
			}
			if why := w.keep(fill, c.entry, c.names); why != c.want {
				t.Errorf("%q, want %q", why, c.want)
			}
			if w.raw().Exists(t.Context(), names.Entry(q.Primary)).Val() != 0 {
				t.Error("a record is there")
			}
		})
	}
}

// What was written to under a guard meanwhile is unknown, so memory has not heard of it.
func TestAnAnswerOfWhichTheNamesAloneAreKeptIsNotHeldInMemory(t *testing.T) {
	w, q := newWorld(t).listening(), heldQuery("/characters")
	q.Carried = []cachekeys.Tag{family}
	fill := w.begin(q)
	w.invalidate(tag)
	if why := w.keep(fill, answer("old"), named(tag)); why != reason.NamesLearned {
		t.Fatalf("kept for %q", why)
	}
	if found := w.lookup(q); found.Entry != nil {
		t.Errorf("found %q, in memory: %t", found.Entry.Body, found.Memory)
	}
}

func TestVariantsToAskTheBackendAboutAreThoseOfOneVaryWithAStrongETag(t *testing.T) {
	w := newWorld(t)
	keep := func(language, etag, vary string) {
		t.Helper()
		fields := http.Header{"Accept-Language": {language}, "Accept": {"text/html"}}
		e, err := entry.New(http.StatusOK, http.Header{"Etag": {etag}})
		if err != nil {
			t.Fatal(err)
		}
		e.Body, e.Vary = []byte("x"), []string{vary}
		e.ResponseTime, e.Lifetime = entry.At(time.Now()), time.Hour
		if why := w.keep(w.begin(query("/rules", fields)), e, noNames); why != "" {
			t.Fatal(why)
		}
	}
	want := func(etags ...string) {
		t.Helper()
		other := query("/rules", http.Header{"Accept-Language": {"fr"}, "Accept": {"text/plain"}})
		var got []string
		for _, v := range w.lookup(other).Variants {
			got = append(got, v.ETag)
		}
		if !slices.Equal(got, etags) {
			t.Errorf("%q, want %q", got, etags)
		}
	}
	keep("de", `"de"`, "Accept-Language")
	keep("en", `W/"en"`, "Accept-Language")
	want(`"de"`)
	keep("en", `"html"`, "Accept")
	want(`"html"`)
}

func TestAnErrorTakesThePlaceOfAStaleSuccess(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	w.retain(w.begin(q), stale("old"))
	if why := w.keep(w.begin(q), failed(), noNames); why != "" {
		t.Errorf("it is kept for %q", why)
	}
}

// A searching request has a second key where the backend says by which parameters it varies.
type searching struct{ bare, under cachekeys.Digest }

// HasQuery implements store.Search.
func (searching) HasQuery() bool { return true }

// Bare implements store.Search.
func (s searching) Bare() cachekeys.Digest { return s.bare }

// Under implements store.Search.
func (s searching) Under(httpfield.SearchVariance) (cachekeys.Digest, bool) { return s.under, true }

// With the error the path's No-Vary-Search would be stored, and the success found no more.
func TestAnErrorWithNoVarySearchIsNotWrittenBesideASuccess(t *testing.T) {
	w, q := newWorld(t), query("/search", nil)
	q.Search = searching{cachekeys.Digest{1}, cachekeys.Digest{2}}
	if why := w.keep(w.begin(q), answer("success"), noNames); why != "" {
		t.Fatal(why)
	}
	e, err := entry.New(http.StatusNotFound, http.Header{"No-Vary-Search": {"params"}})
	if err != nil {
		t.Fatal(err)
	}
	e.Body, e.ResponseTime, e.Lifetime = []byte("error"), entry.At(time.Now()), time.Hour
	if why := w.keep(w.begin(q), e, noNames); why != reason.FreshSuccess {
		t.Errorf("it is kept for %q", why)
	}
	w.wantBody(q, "success")
}

// The record of a body in chunks outlives none of them.
func TestABodyWhoseChunksCannotBeMadeToLiveLongerIsNotStored(t *testing.T) {
	w, q := newWorld(t), query("/large", nil)
	fill, e := w.begin(q), answer("")
	e.Body = nil
	chunks := fill.NewChunkWriter(e, content(each, 1), 5*time.Second)
	go chunks.Run() // ends with the body
	e.Chunks = chunks.Finish()
	if why := chunks.Wait(); why != "" {
		t.Fatal(why)
	}
	w.deny("pexpire")
	if why := w.keep(fill, e, noNames); why != reason.StoreFailed {
		t.Errorf("it is kept for %q", why)
	}
}
