package coherence_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// places are where the protocol runs: on one server, where a call is about many tags, and in
// Cluster, where each key has a slot of its own.
func places(t *testing.T, test func(t *testing.T, r config.Redis, drop func(keys ...string))) {
	t.Helper()
	t.Run("one server", func(t *testing.T) {
		s := redisd.Start(t)
		client := s.Client()
		test(t, addressOf(s), func(keys ...string) {
			if err := client.Del(t.Context(), keys...).Err(); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("cluster", func(t *testing.T) {
		c := redisd.StartCluster(t)
		client := c.Client(t)
		test(t, c.Redis(), func(keys ...string) {
			for _, key := range keys {
				if err := client.Del(t.Context(), key).Err(); err != nil {
					t.Fatal(err)
				}
			}
		})
	})
}

var (
	carried = []cachekeys.Tag{character, family}
	other   = cachekeys.Named("character:43")
)

func TestWhileAWriteIsUnderWayNothingIsStoredAndNothingShared(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		a, b := newProcess(t, r, coherence.Disabled{}), newProcess(t, r, coherence.Disabled{})
		before := a.open(carried, nil)
		w := a.begin(character)
		if got := b.judge(before.Stamp); got != coherence.Dead {
			t.Errorf("what was stored before is judged %v while a write is under way", got)
		}
		for _, p := range []*process{a, b} {
			if during := p.open(carried, nil); during.Storable() || during.Shareable() {
				t.Error("a fill during the write may be stored or shared")
			}
		}
		guarded := b.open([]cachekeys.Tag{family}, []cachekeys.Tag{guard})
		if !guarded.Storable() || guarded.Shareable() {
			t.Errorf("a fill under a closed guard: storable %t, shareable %t",
				guarded.Storable(), guarded.Shareable())
		}
		a.end(w, coherence.Done, 0, character)
		after := b.open(carried, []cachekeys.Tag{guard})
		if !after.Shareable() || b.judge(after.Stamp) != coherence.Alive ||
			b.judge(before.Stamp) != coherence.Dead {
			t.Error("the write is over and the tag is not as new")
		}
	})
}

func TestTwoWritersEachKeepTheTagClosed(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		p := newProcess(t, r, coherence.Disabled{})
		first, second := p.begin(character), p.begin(character)
		p.end(first, coherence.Done, 0, character)
		if p.open(carried, nil).Storable() {
			t.Error("the first to end opened the tag of the second")
		}
		p.end(second, coherence.Done, 0, character)
		if !p.open(carried, nil).Storable() {
			t.Error("the tag stays closed")
		}
	})
}

// Nobody keeps a shared list out of the cache by writes that are refused.
func TestARefusedWriteLeavesEverythingAsItWas(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, drop func(...string)) {
		p := newProcess(t, r, coherence.Disabled{})
		intents := names.Intents(character.Digest())
		for _, c := range []struct {
			name  string
			write func(stamp coherence.Stamp)
			want  coherence.Verdict
		}{
			{"alone", func(coherence.Stamp) {
				p.end(p.begin(character), coherence.Refused, 0)
			}, coherence.Alive},
			{"a hundred times", func(coherence.Stamp) {
				for range 100 {
					p.end(p.begin(character), coherence.Refused, 0)
				}
			}, coherence.Alive},
			{"two at once", func(coherence.Stamp) {
				first, second := p.begin(character), p.begin(character)
				p.end(first, coherence.Refused, 0)
				if p.open(carried, nil).Storable() {
					t.Error("the first to be refused opened the tag of the second")
				}
				p.end(second, coherence.Refused, 0)
			}, coherence.Alive},
			{"while another write is done", func(coherence.Stamp) {
				refused, done := p.begin(character), p.begin(character)
				p.end(done, coherence.Done, 0, character)
				p.end(refused, coherence.Refused, 0)
			}, coherence.Dead},
			{"before another write is done", func(coherence.Stamp) {
				refused, done := p.begin(character), p.begin(character)
				p.end(refused, coherence.Refused, 0)
				p.end(done, coherence.Done, 0, character)
			}, coherence.Dead},
			{"while something is purged", func(coherence.Stamp) {
				refused := p.begin(character)
				if err := p.Invalidate(t.Context(), nil, cachekeys.Tag{},
					[]cachekeys.Tag{character}, nil, 0); err != nil {
					t.Fatal(err)
				}
				p.end(refused, coherence.Refused, 0)
			}, coherence.Dead},
			{"while a job changes it", func(coherence.Stamp) {
				refused := p.begin(character)
				if err := p.Invalidate(t.Context(), nil, cachekeys.Rules("x"),
					[]cachekeys.Tag{character}, nil, 0); err != nil {
					t.Fatal(err)
				}
				p.end(refused, coherence.Refused, 0)
			}, coherence.Dead},
			{"with its intents evicted", func(coherence.Stamp) {
				refused := p.begin(character)
				drop(intents)
				p.end(refused, coherence.Refused, 0)
			}, coherence.Dead},
			{"while what became of another is unknown", func(coherence.Stamp) {
				refused, unknown := p.begin(character), p.begin(character)
				p.end(unknown, coherence.Unknown, 0, character)
				p.end(refused, coherence.Refused, 0)
			}, coherence.Dead},
		} {
			t.Run(c.name, func(t *testing.T) {
				drop(intents)
				stamp := p.open(carried, []cachekeys.Tag{guard}).Stamp
				c.write(stamp)
				if got := p.judge(stamp); got != c.want {
					t.Errorf("what was stored before is judged %v, want %v", got, c.want)
				}
			})
		}
	})
}

// An intent whose writer was killed runs out by itself; a token that it put aside does not come
// back by another's refusal.
func TestAnIntentThatRanOutBringsNothingBack(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		p := newProcess(t, r, coherence.Disabled{}, 300*time.Millisecond)
		stamp := p.open(carried, nil).Stamp
		if _, err := p.begin(character).End(canceled(t), nil, coherence.Unknown,
			[]cachekeys.Tag{character}, nil, 0); err == nil {
			t.Fatal("a cancelled end succeeded")
		}
		refused := p.begin(character)
		// the refused one renews its own, and sweeps the other out
		proc.Await(t, 10*time.Second, func() error {
			if n := p.intents(character); n != 1 {
				return fmt.Errorf("%d writes are under way", n)
			}
			return nil
		})
		p.end(refused, coherence.Refused, 0)
		if got := p.judge(stamp); got != coherence.Dead {
			t.Errorf("what was stored before the killed write is judged %v", got)
		}
		if !p.open(carried, nil).Storable() {
			t.Error("the tag stays closed by a writer that is dead")
		}
	})
}

func TestAfterAnUnknownOutcomeTheTagStaysClosedAWhile(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		p := newProcess(t, r, coherence.Disabled{})
		p.end(p.begin(character), coherence.Unknown, 0, character)
		if p.open(carried, nil).Storable() {
			t.Error("a fill may be stored though the write may commit yet")
		}
	})
}

func TestSettleKeepsTheTagClosedAfterTheAnswer(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		p := newProcess(t, r, coherence.Disabled{})
		began := time.Now()
		p.end(p.begin(character), coherence.Done, 300*time.Millisecond, character)
		if p.open(carried, nil).Storable() && time.Since(began) < 300*time.Millisecond {
			t.Error("a fill may be stored although replicas of the database lag")
		}
		proc.Await(t, 10*time.Second, func() error {
			if !p.open(carried, nil).Storable() {
				return errors.New("the tag is closed")
			}
			return nil
		})
		if took := time.Since(began); took < 300*time.Millisecond {
			t.Errorf("the tag opened after %v", took)
		}
	})
}

func TestAFamilyThatWasOnlyClosedInCaseComesBack(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		p := newProcess(t, r, coherence.Disabled{})
		stamp, changed := p.open([]cachekeys.Tag{other, family}, nil).Stamp,
			p.open(carried, nil).Stamp
		w := p.begin(family) // a strict write whose answer will say which character it made
		if p.judge(stamp) != coherence.Dead {
			t.Error("the family is not closed")
		}
		p.end(w, coherence.Done, 0, character)
		if p.judge(stamp) != coherence.Alive || p.judge(changed) != coherence.Dead {
			t.Errorf("what the answer did not name is judged %v, what it named %v",
				p.judge(stamp), p.judge(changed))
		}
	})
}

// The writer answers although Redis did not take the end: others are kept from the old by its
// intents.
func TestALostEndIsCoveredWhereTheIntentsStand(t *testing.T) {
	s := redisd.Start(t)
	p := newProcess(t, addressOf(s), coherence.Disabled{})
	stamp := p.open(carried, nil).Stamp
	w := p.begin(character)
	covered, err := w.End(canceled(t), nil, coherence.Done, []cachekeys.Tag{character},
		guardsOf([]cachekeys.Tag{character}), 0)
	if err == nil || !covered || p.Readable() {
		t.Errorf("covered %t, readable %t, error %v", covered, p.Readable(), err)
	}
	another := newProcess(t, addressOf(s), coherence.Disabled{})
	if another.judge(stamp) != coherence.Dead || another.open(carried, nil).Storable() {
		t.Error("another process serves or stores what the write made old")
	}
	w = another.begin(character)
	covered, err = w.End(canceled(t), nil, coherence.Done, []cachekeys.Tag{other}, nil, 0)
	if err == nil || covered {
		t.Errorf("a tag that was never begun is covered: %t, %v", covered, err)
	}
}

func TestWithoutIntentsAKilledWriterLeavesTheOldAlive(t *testing.T) {
	s := redisd.Start(t)
	for _, c := range []struct {
		guards coherence.Disabled
		want   coherence.Verdict
	}{{coherence.Disabled{}, coherence.Dead},
		{coherence.Disabled{NoBegin: true}, coherence.Alive}} {
		p := newProcess(t, addressOf(s), c.guards)
		stamp := p.open([]cachekeys.Tag{other}, nil).Stamp
		p.begin(other) // and is killed after its commit
		if got := p.judge(stamp); got != c.want {
			t.Errorf("judged %v, want %v", got, c.want)
		}
		if c.want == coherence.Dead {
			s.Do("FLUSHALL")
		}
	}
}

// Sidecars under different policies, in a rollout: an entry of one carries tags that the other does
// not know.
func TestAWriteInvalidatesWhatOtherRulesFilled(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, drop func(...string)) {
		mine, others := cachekeys.Rules("old"), cachekeys.Rules("new")
		p := newProcess(t, r, coherence.Disabled{})
		fill := func(rules cachekeys.Tag) coherence.Stamp {
			opened, err := p.Open(t.Context(), nil,
				coherence.Opening{Rules: rules, Carried: []cachekeys.Tag{other}, TTL: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			return opened.Stamp
		}
		fill(mine) // a set of rules that is not there drops everything, this first time
		a, b := fill(mine), fill(others)
		w := p.Write(mine)
		if err := w.Begin(t.Context(), nil, []cachekeys.Tag{character}, nil); err != nil {
			t.Fatal(err)
		}
		if p.judge(a) != coherence.Alive || p.judge(b) != coherence.Dead {
			t.Errorf("under way: its own is judged %v, the others' %v", p.judge(a), p.judge(b))
		}
		if covered, err := w.End(t.Context(), nil, coherence.Done, []cachekeys.Tag{character}, nil,
			0); err != nil || !covered {
			t.Fatal(covered, err)
		}
		if b = fill(others); p.judge(a) != coherence.Alive || p.judge(b) != coherence.Alive {
			t.Errorf("afterwards: its own is judged %v, the others' next %v",
				p.judge(a), p.judge(b))
		}
		// A refused write reopens the entries of others that it closed.
		w = p.Write(mine)
		if err := w.Begin(t.Context(), nil, []cachekeys.Tag{character}, nil); err != nil {
			t.Fatal(err)
		}
		p.end(w, coherence.Refused, 0)
		if p.judge(b) != coherence.Alive {
			t.Error("a refused write dropped what other rules filled")
		}
		// Rules that are announced between begin and end are seen by the end.
		drop(names.Rules())
		a = fill(mine)
		w = p.Write(mine)
		if err := w.Begin(t.Context(), nil, []cachekeys.Tag{character}, nil); err != nil {
			t.Fatal(err)
		}
		b = fill(others)
		if covered, err := w.End(t.Context(), nil, coherence.Done, []cachekeys.Tag{character}, nil,
			0); err != nil || !covered {
			t.Fatal(covered, err)
		}
		if p.judge(a) != coherence.Alive || p.judge(b) != coherence.Dead {
			t.Errorf("announced meanwhile: its own is judged %v, the others' %v",
				p.judge(a), p.judge(b))
		}
		// Where the set of rules was lost, the tags of others' entries are unknown.
		b = fill(others)
		drop(names.Rules())
		fill(mine)
		if p.judge(b) != coherence.Dead {
			t.Error("what other rules filled outlived the loss of their announcement")
		}
	})
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A failed invalidation keeps its tags closed for a lagging replica once it is made good.
func TestSettleOutlivesAnEndThatFailed(t *testing.T) {
	s := redisd.Start(t)
	p := newProcess(t, addressOf(s), coherence.Disabled{}, time.Second)
	w := p.begin(character)
	covered, err := w.End(canceled(t), nil, coherence.Done, []cachekeys.Tag{character},
		nil, 20*time.Second)
	if err == nil || covered {
		t.Errorf("covered %t, %v: the intents run out before the replicas have caught up",
			covered, err)
	}
	p.run()
	proc.Await(t, 10*time.Second, func() error {
		if !p.Readable() {
			return errors.New("the invalidation is pending")
		}
		return nil
	})
	proc.Await(t, 10*time.Second, func() error { // the writer's own intent is given back
		if n := p.intents(character); n != 1 {
			return fmt.Errorf("%d intents", n)
		}
		return nil
	})
	ttl := s.Client().PTTL(t.Context(), names.Intents(character.Digest())).Val()
	if p.open(carried, nil).Storable() || ttl < 10*time.Second {
		t.Errorf("the tag stays closed for %v", ttl)
	}
}

// A hiccup of Redis at the end of a write closes its tags no longer than the hiccup lasts.
func TestAnEndThatIsMadeGoodGivesItsIntentsBack(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		for _, c := range []struct {
			name    string
			outcome coherence.Outcome
			changed []cachekeys.Tag
			want    coherence.Verdict // of the entry that was stored before
		}{
			{"done", coherence.Done, []cachekeys.Tag{character}, coherence.Dead},
			{"done to something else", coherence.Done, []cachekeys.Tag{other}, coherence.Alive},
			{"refused", coherence.Refused, nil, coherence.Alive},
		} {
			t.Run(c.name, func(t *testing.T) {
				p := newProcess(t, r, coherence.Disabled{}, time.Minute)
				stamp := p.open(carried, nil).Stamp
				w := p.begin(character)
				if _, err := w.End(canceled(t), nil, c.outcome, c.changed,
					guardsOf(c.changed), 0); err == nil {
					t.Fatal("the end did not fail")
				}
				if p.intents(character) == 0 {
					t.Fatal("no intent stands")
				}
				p.run()
				proc.Await(t, 10*time.Second, func() error {
					if n := p.intents(character); n > 0 || !p.Readable() {
						return fmt.Errorf("%d intents, readable %t", n, p.Readable())
					}
					return nil
				})
				if got := p.judge(stamp); got != c.want {
					t.Errorf("what was stored before is judged %v, want %v", got, c.want)
				}
				if !p.open(carried, nil).Storable() {
					t.Error("the tag stays closed")
				}
			})
		}
	})
}

// An outcome that is unknown keeps its tags closed, however often its end was sent; the tags of
// another write whose end failed at the same time open.
func TestMakingGoodKeepsTheSettleOfEachWrite(t *testing.T) {
	s := redisd.Start(t)
	p := newProcess(t, addressOf(s), coherence.Disabled{}, time.Minute)
	unknown, done := p.begin(character), p.begin(other)
	_, _ = unknown.End(canceled(t), nil, coherence.Unknown, nil, nil, 0)
	_, _ = done.End(canceled(t), nil, coherence.Done, []cachekeys.Tag{other}, nil, 0)
	p.run()
	proc.Await(t, 10*time.Second, func() error {
		if !p.Readable() || p.intents(other) > 0 {
			return fmt.Errorf("readable %t, %d intents", p.Readable(), p.intents(other))
		}
		return nil
	})
	proc.Await(t, 10*time.Second, func() error {
		if n := p.intents(character); n != 1 {
			return fmt.Errorf("%d intents where the outcome is unknown", n)
		}
		return nil
	})
	left := s.Client().PTTL(t.Context(), names.Intents(character.Digest())).Val()
	if p.open([]cachekeys.Tag{character}, nil).Storable() || left < 5*time.Second ||
		left > time.Minute {
		t.Errorf("the tag of the unknown outcome stays closed for %v", left)
	}
	if !p.open([]cachekeys.Tag{other}, nil).Storable() {
		t.Error("the tag of the other write stays closed")
	}
}

// A begin that Redis executes after the end of its write closes nothing for long.
func TestABeginWithoutAnAnswerIsGivenBack(t *testing.T) {
	s := redisd.Start(t)
	p := newProcess(t, addressOf(s), coherence.Disabled{}, time.Minute)
	p.run()
	p.end(p.begin(character), coherence.Refused, 0) // the server knows the script
	s.Freeze()
	w := p.Write(cachekeys.Tag{})
	err := w.Begin(t.Context(), p.conn.Budget(100*time.Millisecond),
		[]cachekeys.Tag{character}, nil)
	covered, endErr := w.End(t.Context(), nil, coherence.Refused, nil, nil, 0)
	s.Thaw()
	if err == nil || !covered || endErr != nil {
		t.Fatal(err, covered, endErr)
	}
	proc.Await(t, 10*time.Second, func() error {
		if n := p.intents(character); n > 0 || !p.open(carried, nil).Storable() {
			return fmt.Errorf("%d intents", n)
		}
		return nil
	})
}

// A write that ended before it began is never begun.
func TestAWriteThatIsOverIsNotAnnounced(t *testing.T) {
	s := redisd.Start(t)
	p := newProcess(t, addressOf(s), coherence.Disabled{})
	stamp := p.open(carried, nil).Stamp
	w := p.Write(cachekeys.Tag{})
	p.end(w, coherence.Done, 0, character)
	if err := w.Begin(t.Context(), nil, []cachekeys.Tag{character}, nil); err != nil {
		t.Fatal(err)
	}
	if p.judge(stamp) != coherence.Dead || !p.open(carried, nil).Storable() {
		t.Error("the end did not invalidate, or the tag is closed after it")
	}
}

func TestAnEndDoesNotWaitForARenewalThatHangs(t *testing.T) {
	t.Parallel()
	s := redisd.Start(t)
	const intent = 9 * time.Second
	p := newProcess(t, addressOf(s), coherence.Disabled{}, intent)
	w := p.begin(character)
	s.Freeze()
	defer s.Thaw()
	// after a third of the intent's time the renewal is on its way, and for the next third
	time.Sleep(intent/3 + 200*time.Millisecond)
	start, late := time.Now(), proc.Late(t)
	_, err := w.End(t.Context(), p.conn.Budget(100*time.Millisecond), coherence.Done,
		[]cachekeys.Tag{character}, nil, 0)
	if took := time.Since(start) - late(); err == nil || took > intent/6 {
		t.Errorf("it took %v, %v", took, err)
	}
}

// The clock of the server went back by an hour: an intent of seconds would keep the tag closed for
// an hour.
func TestAClockThatWentBackKeepsNoTagClosed(t *testing.T) {
	s := redisd.Start(t)
	p := newProcess(t, addressOf(s), coherence.Disabled{})
	s.Do("ZADD", names.Intents(character.Digest()), time.Now().Add(time.Hour).UnixMilli(),
		"a writer of before")
	if !p.open(carried, nil).Storable() {
		t.Error("the tag is closed")
	}
}
