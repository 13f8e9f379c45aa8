package store_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/test/redisd"
)

var (
	tag    = cachekeys.Named("character:42")
	family = cachekeys.Family("character:")
	guards = []cachekeys.Tag{cachekeys.Guard("character:"), cachekeys.Guard("")}
	secret = []byte("a secret for the keys of this test")
	names  = cachekeys.NewNames("test")
)

type world struct {
	t        *testing.T
	redis    *redisd.Server
	conn     *redisconn.Conn
	keyspace *coherence.Keyspace
	*store.Store
}

func newWorld(t *testing.T) *world {
	server := redisd.Start(t)
	return another(t, server)
}

// another is one more sidecar on the same Redis.
func another(t *testing.T, server *redisd.Server) *world {
	return on(t, server, connect(t, server))
}

func on(t *testing.T, server *redisd.Server, conn *redisconn.Conn,
	change ...func(*store.Options)) *world {
	keyspace := coherence.New(coherence.Options{Conn: conn, Names: names})
	o := store.Options{Conn: conn, Keyspace: keyspace, Names: names,
		Secret: func() []byte { return secret }, Memory: 64 << 20, CollapseWait: 10 * time.Second}
	for _, f := range change {
		f(&o)
	}
	s := store.New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return &world{t, server, conn, keyspace, s}
}

func query(path string, fields http.Header) store.Query {
	key := cachekeys.Key{Scope: "shared", Authority: "game.example", Path: path}
	return store.Query{
		Primary: key.Digest(secret), Carried: []cachekeys.Tag{tag, family},
		Fields: httpfield.Header(fields),
	}
}

func answer(body string, vary ...string) *entry.Entry {
	e, err := entry.New(http.StatusOK, http.Header{"Content-Type": {"application/json"}})
	if err != nil {
		panic(err)
	}
	e.Body, e.Vary, e.ResponseTime, e.Lifetime = []byte(body), vary, entry.At(time.Now()), time.Hour
	return e
}

func noNames() ([]cachekeys.Tag, reason.Reason) { return nil, "" }

func named(tags ...cachekeys.Tag) store.Names {
	return func() ([]cachekeys.Tag, reason.Reason) { return tags, "" }
}

func (w *world) begin(q store.Query, known ...cachekeys.Tag) *store.Fill {
	w.t.Helper()
	fill, err := w.Begin(w.t.Context(), nil, store.Opening{Query: q, Names: known, Guards: guards})
	if err != nil {
		w.t.Fatal(err)
	}
	return fill
}

// shared is begin for an answer that others may have too.
func (w *world) shared(q store.Query) *store.Fill {
	w.t.Helper()
	fill, err := w.Begin(w.t.Context(), nil, store.Opening{Query: q, Guards: guards, Shared: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return fill
}

// keep stores e and waits for the outcome.
func (w *world) keep(fill *store.Fill, e *entry.Entry, names store.Names) reason.Reason {
	w.t.Helper()
	outcome := make(chan reason.Reason, 1)
	fill.Keep(e, 0, names, func(why reason.Reason) { outcome <- why })
	return <-outcome
}

func (w *world) lookup(q store.Query) store.Found {
	return w.Lookup(w.t.Context(), w.conn.Budget(5*time.Second), q)
}

func (w *world) invalidate(tags ...cachekeys.Tag) {
	w.t.Helper()
	var under []cachekeys.Tag
	for _, t := range tags {
		under = append(under, t.Guards(nil)...)
	}
	if err := w.keyspace.Invalidate(w.t.Context(), nil, cachekeys.Tag{}, tags,
		under, 0); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantBody(q store.Query, want string) {
	w.t.Helper()
	found := w.lookup(q)
	if found.Entry == nil {
		w.t.Fatalf("nothing found: why %q, bypass %q", found.Why, found.Bypass)
	}
	if got := string(found.Entry.Body); got != want {
		w.t.Errorf("found the body %q, want %q", got, want)
	}
}

func (w *world) wantNothing(q store.Query, why reason.Reason) store.Found {
	w.t.Helper()
	found := w.lookup(q)
	if found.Entry != nil || found.Why != why || found.Bypass != "" {
		w.t.Errorf("found %v, why %q, bypass %q; want nothing, for %q",
			found.Entry, found.Why, found.Bypass, why)
	}
	return found
}

func TestWhatWasKeptIsFoundHereAndInAnotherSidecar(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	w.wantNothing(q, reason.Miss)
	if why := w.keep(w.begin(q), answer("one"), noNames); why != "" {
		t.Fatalf("not stored: %s", why)
	}
	w.wantBody(q, "one")
	another(t, w.redis).wantBody(q, "one")
	w.wantNothing(query("/characters/43", nil), reason.Miss)
}

func TestAnInvalidatedEntryIsNotFoundAndTheNextFillIs(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	w.keep(w.begin(q), answer("one"), noNames)
	w.invalidate(tag)
	w.wantNothing(q, reason.Invalidated)
	w.keep(w.begin(q), answer("two"), noNames)
	w.wantBody(q, "two")
}

func TestAStoreThatComesAfterTheInvalidationIsDead(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	late := w.begin(q)
	w.invalidate(tag) // a write is acknowledged while the fetch is under way
	if why := w.keep(late, answer("old"), noNames); why != "" {
		t.Fatalf("not stored: %s", why)
	}
	w.wantNothing(q, reason.Invalidated)
}

func TestVariantsAreToldApartByTheFieldsThatTheAnswerNamed(t *testing.T) {
	w := newWorld(t)
	english := query("/rules", http.Header{"Accept-Language": {"en"}})
	german := query("/rules", http.Header{"Accept-Language": {"de"}})
	w.keep(w.begin(english), answer("spells", "Accept-Language"), noNames)
	w.wantBody(english, "spells")
	w.wantNothing(german, reason.VaryMiss)
	w.keep(w.begin(german), answer("Zauber", "Accept-Language"), noNames)
	w.wantBody(english, "spells")
	w.wantBody(german, "Zauber")

	stranger := another(t, w.redis) // knows nothing of the variants yet
	stranger.wantBody(german, "Zauber")
	stranger.wantBody(english, "spells")
}

func TestNamesOfTheAnswer(t *testing.T) {
	q := query("/characters", nil)
	q.Carried = []cachekeys.Tag{family}
	t.Run("invalidate the entry, in a sidecar that does not know them too", func(t *testing.T) {
		w := newWorld(t)
		w.keep(w.begin(q), answer("list"), named(tag))
		stranger := another(t, w.redis)
		stranger.wantBody(q, "list")
		w.invalidate(tag)
		w.wantNothing(q, reason.Invalidated)
		another(t, w.redis).wantNothing(q, reason.Invalidated)
	})
	t.Run("that are written meanwhile are remembered without the body, and the next fill is kept",
		func(t *testing.T) {
			w := newWorld(t)
			fill := w.begin(q)
			w.invalidate(tag)
			if why := w.keep(fill, answer("old"), named(tag)); why != reason.NamesLearned {
				t.Fatalf("kept for %q, want %q", why, reason.NamesLearned)
			}
			found := w.wantNothing(q, reason.Miss)
			if len(found.Names) != 1 || found.Names[0] != tag {
				t.Fatalf("the names are %v, want %v", found.Names, tag)
			}
			fill = w.begin(q, found.Names...)
			// changes the guard, but none of the names
			w.invalidate(cachekeys.Named("character:43"))
			if why := w.keep(fill, answer("new"), named(tag)); why != "" {
				t.Fatalf("not stored: %s", why)
			}
			w.wantBody(q, "new")
		})
	t.Run("that cannot be read keep the answer out", func(t *testing.T) {
		w := newWorld(t)
		unreadable := func() ([]cachekeys.Tag, reason.Reason) { return nil, reason.TagsUnfilled }
		if why := w.keep(w.begin(q), answer("list"), unreadable); why != reason.TagsUnfilled {
			t.Fatalf("kept for %q", why)
		}
		w.wantNothing(q, reason.Miss)
	})
}

func TestALookupRightAfterAnAnswerWaitsForItsStore(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	fill := w.begin(q)
	release := make(chan struct{})
	slow := func() ([]cachekeys.Tag, reason.Reason) { <-release; return nil, "" }
	fill.Keep(answer("one"), 0, slow, func(reason.Reason) {})
	found := make(chan store.Found, 1)
	go func() { found <- w.lookup(q) }()
	close(release)
	if got := <-found; got.Entry == nil {
		t.Errorf("the look-up did not find its own process's fill: %q %q", got.Why, got.Bypass)
	}
}

func TestWhileAnInvalidationIsPendingNothingIsRead(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	w.keep(w.begin(q), answer("old"), noNames)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.keyspace.Invalidate(ctx, nil, cachekeys.Tag{}, []cachekeys.Tag{tag},
		nil, 0); err == nil {
		t.Fatal("a cancelled invalidation succeeded")
	}
	if found := w.lookup(q); found.Entry != nil || found.Bypass != reason.InvalidationPending {
		t.Errorf("found %v, bypass %q; want nothing, for %q",
			found.Entry, found.Bypass, reason.InvalidationPending)
	}
}

func TestAnEntryHasALifetimeInRedis(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	e := answer("one")
	e.InitialAge = 50 * time.Minute
	w.keep(w.begin(q), e, noNames)
	ttl := w.raw().PTTL(t.Context(), cachekeys.NewNames("test").Entry(q.Primary)).Val()
	if ttl <= 0 || ttl > 10*time.Minute {
		t.Errorf("the entry lives %v in Redis, want what is left of its freshness: at most 10m",
			ttl)
	}
	for _, key := range w.raw().Keys(t.Context(), "*").Val() {
		if w.raw().PTTL(t.Context(), key).Val() < 0 {
			t.Errorf("%s has no lifetime", key)
		}
	}
}

func TestAnEntryStaysBeyondItsLifetimeAndNeverBeyondItsEnd(t *testing.T) {
	w := newWorld(t)
	key := cachekeys.NewNames("test").Entry(query("/characters/42", nil).Primary)
	for _, tt := range []struct {
		rule   string
		retain time.Duration
		until  time.Duration // from now; 0: there is no end
		want   time.Duration
	}{
		{"lifetime and what is retained", 30 * time.Minute, 0, 90 * time.Minute},
		{"its end comes first", 30 * time.Minute, 70 * time.Minute, 70 * time.Minute},
		{"within its lifetime", 0, 20 * time.Minute, 20 * time.Minute},
	} {
		e := answer("one")
		if tt.until > 0 {
			e.Until = entry.At(time.Now().Add(tt.until))
		}
		outcome := make(chan reason.Reason, 1)
		w.begin(query("/characters/42", nil)).Keep(e, tt.retain, noNames,
			func(why reason.Reason) { outcome <- why })
		if why := <-outcome; why != "" {
			t.Fatalf("%s: not stored: %s", tt.rule, why)
		}
		if ttl := w.raw().PTTL(t.Context(), key).Val(); ttl > tt.want || ttl < tt.want-time.Minute {
			t.Errorf("%s: it lives %v in Redis, want %v", tt.rule, ttl, tt.want)
		}
	}
}

func TestDamageInRedisIsAMiss(t *testing.T) {
	w := newWorld(t)
	q := query("/characters/42", nil)
	w.keep(w.begin(q), answer("one"), noNames)
	key := cachekeys.NewNames("test").Entry(q.Primary)
	whole := w.raw().Get(t.Context(), key).Val()
	for n := range len(whole) {
		if err := w.raw().Set(t.Context(), key, whole[:n], time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		if found := w.lookup(q); found.Entry != nil {
			t.Fatalf("an entry cut after %d of %d bytes was served", n, len(whole))
		}
	}
}

// A record is an answer under the key that it was stored under, and under no other.
func TestARecordUnderAnotherKeyIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	names := cachekeys.NewNames("test")
	a, b := query("/characters/42", nil), query("/characters/43", nil)
	w.keep(w.begin(a), answer("one"), noNames)
	w.wantBody(a, "one")
	put := func(key string, record string) {
		t.Helper()
		if err := w.raw().Set(t.Context(), key, record, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	record := w.raw().Get(t.Context(), names.Entry(a.Primary)).Val()
	put(names.Entry(b.Primary), record)
	w.wantNothing(b, reason.Miss)
	put(names.Entry(b.Primary),
		strings.Replace(record, names.Entry(a.Primary), names.Entry(b.Primary), 1))
	w.wantBody(b, "one") // so nothing else keeps it from being one
}

func TestAFullStoreDropsAndDoesNotWait(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	defer close(release)
	blocked := func() ([]cachekeys.Tag, reason.Reason) {
		<-release
		return nil, reason.TagsUnfilled
	}
	q := query("/characters/42", nil)
	busy := 0
	for range 100 {
		w.begin(q).Keep(answer("one"), 0, blocked, func(why reason.Reason) {
			if why == reason.StoreBusy {
				busy++
			}
		})
	}
	if busy != 100-64 {
		t.Errorf("%d of 100 stores were dropped, want 36: 64 may be under way", busy)
	}
}
