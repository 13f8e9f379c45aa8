package coherence_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/test/redisd"
)

// world is one process on a real Redis of its own.
type world struct {
	*process
	redis *redisd.Server
}

func newWorld(t *testing.T, guards coherence.Disabled) *world {
	server := redisd.Start(t)
	return &world{newProcess(t, addressOf(server), guards), server}
}

func (w *world) open(carried, known, guards []cachekeys.Tag) *coherence.Opened {
	w.t.Helper()
	opened, err := w.Open(w.t.Context(), nil,
		coherence.Opening{Carried: carried, Known: known, Guards: guards, TTL: time.Minute})
	if err != nil {
		w.t.Fatal(err)
	}
	return opened
}

func (w *world) invalidate(tags ...cachekeys.Tag) {
	w.t.Helper()
	if err := w.Invalidate(w.t.Context(), nil, cachekeys.Tag{}, tags,
		guardsOf(tags), 0); err != nil {
		w.t.Fatal(err)
	}
}

// do is a plain client, for a test's own commands behind the sidecar's back.
func (w *world) do() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

var (
	character = cachekeys.Named("character:42")
	family    = cachekeys.Family("character:")
	guard     = cachekeys.Guard("character:")
)

func TestAnEntryIsAliveUntilOneOfItsTagsIsInvalidated(t *testing.T) {
	other := cachekeys.Named("character:43")
	for _, c := range []struct {
		name       string
		invalidate cachekeys.Tag
		want       coherence.Verdict
	}{
		{"its tag", character, coherence.Dead},
		{"its family", family, coherence.Dead},
		{"everything", cachekeys.All, coherence.Dead},
		{"another tag of the family", other, coherence.Alive},
		{"another family", cachekeys.Family("user:"), coherence.Alive},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, coherence.Disabled{})
			stamp := w.open([]cachekeys.Tag{character, family}, nil, nil).Stamp
			if got := w.judge(stamp); got != coherence.Alive {
				t.Fatalf("a fresh entry is judged %v", got)
			}
			w.invalidate(c.invalidate)
			if got := w.judge(stamp); got != c.want {
				t.Errorf("judged %v, want %v", got, c.want)
			}
		})
	}
}

func TestATokenThatWasLostIsAnInvalidation(t *testing.T) {
	for name, lose := range map[string]func(*redis.Client, string) error{
		"evicted": func(c *redis.Client, key string) error {
			return c.Del(context.Background(), key).Err()
		},
		"flushed": func(c *redis.Client, _ string) error {
			return c.FlushAll(context.Background()).Err()
		},
		"written over by a stranger": func(c *redis.Client, key string) error {
			return c.Set(context.Background(), key, "stranger", 0).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, coherence.Disabled{})
			stamp := w.open([]cachekeys.Tag{character}, nil, nil).Stamp
			if err := lose(w.do(),
				cachekeys.NewNames("test").Token(character.Digest())); err != nil {
				t.Fatal(err)
			}
			if got := w.judge(stamp); got != coherence.Dead {
				t.Errorf("judged %v, want dead", got)
			}
			w.open([]cachekeys.Tag{character}, nil, nil) // another filler makes a new token
			if got := w.judge(stamp); got != coherence.Dead {
				t.Errorf("judged %v after another fill, want dead: a deleted token must never return", got)
			}
		})
	}
}

func TestTwoFillersShareATokenAndBothDieByOneInvalidation(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	first := w.open([]cachekeys.Tag{character}, nil, nil).Stamp
	second := w.open([]cachekeys.Tag{character}, nil, nil).Stamp
	if w.judge(first) != coherence.Alive || w.judge(second) != coherence.Alive {
		t.Fatal("opening a tag again must leave its token")
	}
	w.invalidate(character)
	if w.judge(first) != coherence.Dead || w.judge(second) != coherence.Dead {
		t.Error("an entry outlived the invalidation of its tag")
	}
}

func TestAnEntryWithoutTheTagOfEverythingIsNobodys(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	stamp := w.open([]cachekeys.Tag{character}, nil, nil).Stamp
	if got := w.judge(stamp[1:]); got != coherence.Dead {
		t.Errorf("judged %v, want dead", got)
	}
}

// A name that only the answer gives: the write comes between the answer's data and the moment
// when the filler opens the name.
func TestANameLearnedFromTheAnswer(t *testing.T) {
	learn := func(w *world, write ...cachekeys.Tag) (*coherence.Opened, error) {
		opened := w.open([]cachekeys.Tag{family}, nil, []cachekeys.Tag{guard, cachekeys.Guard("")})
		if len(write) > 0 {
			w.invalidate(write...)
		}
		return opened, w.Learn(w.t.Context(), opened, []cachekeys.Tag{character})
	}
	t.Run("is carried where nothing was written meanwhile", func(t *testing.T) {
		w := newWorld(t, coherence.Disabled{})
		opened, err := learn(w)
		if err != nil {
			t.Fatal(err)
		}
		if w.judge(opened.Stamp) != coherence.Alive {
			t.Fatal("the entry is dead though nothing was written")
		}
		w.invalidate(character)
		if w.judge(opened.Stamp) != coherence.Dead {
			t.Error("the entry does not carry the name that its answer gave")
		}
	})
	t.Run("proves nothing where it was written meanwhile", func(t *testing.T) {
		w := newWorld(t, coherence.Disabled{})
		if _, err := learn(w, character); !errors.Is(err, coherence.ErrGuardChanged) {
			t.Errorf("error is %v, want ErrGuardChanged", err)
		}
	})
	t.Run("proves nothing where its guard is carried and was closed", func(t *testing.T) {
		w := newWorld(t, coherence.Disabled{})
		write := w.begin(cachekeys.Named("character:43"))
		opened, err := w.Open(t.Context(), nil, coherence.Opening{
			Carried: []cachekeys.Tag{family}, Guards: []cachekeys.Tag{guard},
			Unseen: []cachekeys.Tag{cachekeys.Guard("")}, TTL: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.end(write, coherence.Done, 0, cachekeys.Named("character:43"))
		if err := w.Learn(t.Context(), opened,
			[]cachekeys.Tag{cachekeys.Guard("")}); !errors.Is(err, coherence.ErrGuardChanged) {
			t.Errorf("error is %v, want ErrGuardChanged", err)
		}
	})
	t.Run("needs no guard where it was known early", func(t *testing.T) {
		w := newWorld(t, coherence.Disabled{})
		opened := w.open([]cachekeys.Tag{family}, []cachekeys.Tag{character},
			[]cachekeys.Tag{guard})
		w.invalidate(cachekeys.Named("character:43"))
		if err := w.Learn(w.t.Context(), opened, []cachekeys.Tag{character}); err != nil {
			t.Fatal(err)
		}
		if w.judge(opened.Stamp) != coherence.Alive {
			t.Error("a write to another name killed an entry whose names were known early")
		}
	})
	t.Run("known early and not given any more is not carried", func(t *testing.T) {
		w := newWorld(t, coherence.Disabled{})
		opened := w.open(nil, []cachekeys.Tag{character}, []cachekeys.Tag{guard})
		if err := w.Learn(w.t.Context(), opened, nil); err != nil {
			t.Fatal(err)
		}
		w.invalidate(character)
		if w.judge(opened.Stamp) != coherence.Alive {
			t.Error("the entry carries a name that its answer did not give")
		}
	})
	t.Run("without its guard the stale entry is alive", func(t *testing.T) {
		w := newWorld(t, coherence.Disabled{IgnoreGuards: true})
		opened, err := learn(w, character)
		if err != nil {
			t.Fatal(err)
		}
		if w.judge(opened.Stamp) != coherence.Alive {
			t.Error("the hole that the guard closes does not show: the tests above prove nothing")
		}
	})
}

func TestALateStoreIsDeadBecauseItsTokensWereTakenBeforeTheFetch(t *testing.T) {
	for _, c := range []struct {
		name   string
		guards coherence.Disabled
		want   coherence.Verdict
	}{
		{"by the protocol", coherence.Disabled{}, coherence.Dead},
		{"alive without the guard, as the test must see",
			coherence.Disabled{TokensAfterFetch: true}, coherence.Alive},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.guards)
			opened := w.open([]cachekeys.Tag{character}, nil, nil)
			w.invalidate(character) // the write is acknowledged while the fetch is under way
			if err := w.Learn(t.Context(), opened, nil); err != nil {
				t.Fatal(err)
			}
			if got := w.judge(opened.Stamp); got != c.want {
				t.Errorf("judged %v, want %v", got, c.want)
			}
		})
	}
}

func TestExtendLetsTokensOutliveALongEntry(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	opened := w.open([]cachekeys.Tag{character}, nil, nil)
	if err := w.Extend(t.Context(), opened, time.Hour); err != nil {
		t.Fatal(err)
	}
	ttl := w.do().PTTL(t.Context(), cachekeys.NewNames("test").Token(character.Digest())).Val()
	if ttl <= 50*time.Minute || ttl > time.Hour {
		t.Errorf("the token lives %v, want about an hour", ttl)
	}
	if w.judge(opened.Stamp) != coherence.Alive {
		t.Error("extending changed the token")
	}
}

// A Redis that freezes in the middle of an invalidation and thaws with all its data must not be
// read before the invalidation is made good.
func TestAnInvalidationThatFailedIsMadeGoodBeforeAnythingIsRead(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	stamp := w.open([]cachekeys.Tag{character}, nil, nil).Stamp

	w.redis.Freeze()
	err := w.Invalidate(t.Context(), w.conn.Budget(50*time.Millisecond), cachekeys.Tag{},
		[]cachekeys.Tag{character}, nil, 0)
	if err == nil {
		t.Fatal("a frozen Redis took an invalidation")
	}
	if w.Readable() {
		t.Fatal("the keyspace may be read though an invalidation is not made good")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()

	w.redis.Thaw()
	awaitReadable(t, w)
	if got := w.judge(stamp); got != coherence.Dead {
		t.Errorf("judged %v after the thaw, want dead", got)
	}
}

func TestTheDirtyListIsBoundedAndThenDropsEverything(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	unrelated := w.open([]cachekeys.Tag{cachekeys.Named("unrelated")}, nil, nil).Stamp
	w.redis.Freeze()
	many := make([]cachekeys.Tag, 4000)
	for round := range 4 {
		for i := range many {
			many[i] = cachekeys.Named(string(rune('a'+round)) + ":" + time.Duration(i).String())
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // fails at once, like an open breaker
		if err := w.Invalidate(ctx, nil, cachekeys.Tag{}, many, nil, 0); err == nil {
			t.Fatal("a cancelled invalidation succeeded")
		}
	}
	if got := w.Pending(); got > 10_000 {
		t.Errorf("%d tags are pending, want at most 10000", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	w.redis.Thaw()
	awaitReadable(t, w)
	if got := w.judge(unrelated); got != coherence.Dead {
		t.Errorf("judged %v after the overflow, want dead: which tags failed is no longer known",
			got)
	}
}

func TestStampsSurviveTheirEncodingAndNothingElseDoes(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	stamp := w.open([]cachekeys.Tag{character, family}, nil, nil).Stamp
	encoded := stamp.Append(nil)
	got, rest, err := coherence.ParseStamp(append(encoded, "body"...))
	if err != nil || string(rest) != "body" || len(got) != len(stamp) {
		t.Fatalf("parsed %v, rest %q, error %v", got, rest, err)
	}
	for i := range got {
		if got[i] != stamp[i] {
			t.Errorf("mark %d is %v, want %v", i, got[i], stamp[i])
		}
	}
	for n := range len(encoded) {
		if _, _, err := coherence.ParseStamp(encoded[:n]); err == nil {
			t.Errorf("a stamp cut after %d of %d bytes was accepted", n, len(encoded))
		}
	}
}

// The token cost of an invalidation does not depend on how many entries carry the tag: entries
// are not touched at all.
func TestAnInvalidationTouchesNoEntry(t *testing.T) {
	w := newWorld(t, coherence.Disabled{})
	w.open([]cachekeys.Tag{character}, nil, nil)
	client := w.do()
	if err := client.Set(t.Context(), "test:e:{x}", "entry", 0).Err(); err != nil {
		t.Fatal(err)
	}
	w.invalidate(character)
	if client.Exists(t.Context(), "test:e:{x}").Val() != 1 {
		t.Error("an entry was deleted")
	}
}

func awaitReadable(t *testing.T, w *world) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !w.Readable(); time.Sleep(
		5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d invalidations are still pending", w.Pending())
		}
	}
}
