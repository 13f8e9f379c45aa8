package memory_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
	"sidecar/internal/memory"
)

// digest is that of the i-th key.
func digest(i int) (d cachekeys.Digest) {
	sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, uint64(i)))
	copy(d[:], sum[:])
	return d
}

// expect fails unless want stands under the i-th key.
func expect[V comparable](t *testing.T, c *memory.Cache[V], i int, want V) {
	t.Helper()
	if got, there := c.Get(digest(i)); !there || got != want {
		t.Errorf("key %d: %v %v, want %v", i, got, there, want)
	}
}

func expectNone[V any](t *testing.T, c *memory.Cache[V], i int) {
	t.Helper()
	if got, there := c.Get(digest(i)); there {
		t.Errorf("key %d: %v, want nothing", i, got)
	}
}

func expectStats[V any](t *testing.T, c *memory.Cache[V], want memory.Stats) {
	t.Helper()
	if got := c.Stats(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// A stored is the model's value under a key.
type stored struct{ version, weight int }

// shardsOf says into how many shards New cuts a limit.
func shardsOf(limit int) int {
	switch {
	case limit >= 64<<20:
		return 16
	case limit >= 16<<20:
		return 4
	}
	return 1
}

// The model is a map that forgets nothing: the cache may have less, never anything else.
func TestWhatGetReturnsIsAlwaysTheLastPutNotDeletedAndTheLimitHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{0, 100, 160, 200, 1000, 5000, 20000, 16 << 20, 64 << 20}).
			Draw(t, "limit")
		share := limit / shardsOf(limit)
		keys := rapid.SampledFrom([]int{3, 20, 100}).Draw(t, "keys")
		c := memory.New[int](int64(limit))
		model := map[int]stored{}
		version := 0
		key := rapid.IntRange(0, keys-1)
		weight := rapid.OneOf(rapid.IntRange(0, 200), rapid.IntRange(0, share/8),
			rapid.IntRange(0, share+share/8),
			rapid.IntRange(max(0, share-memory.Overhead-1), share-min(share, memory.Overhead)+1))
		get := func(t *rapid.T, i int) bool {
			got, there := c.Get(digest(i))
			if want, modelled := model[i]; there && (!modelled || got != want.version) {
				t.Fatalf("key %d: %d, want %v of %+v", i, got, modelled, want)
			}
			return there
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				stats := c.Stats()
				if stats.Bytes > int64(limit) || stats.Limit != int64(limit) ||
					stats.Entries > len(model) {
					t.Fatalf("%+v with a limit of %d and %d in the model", stats, limit, len(model))
				}
				if stats.Evictions == 0 && stats.Entries != len(model) {
					t.Fatalf("%+v, %d in the model", stats, len(model))
				}
			},
			"put": func(t *rapid.T) {
				i, w := key.Draw(t, "key"), weight.Draw(t, "weight")
				version++
				c.Put(digest(i), version, int64(w))
				taken := w+memory.Overhead <= share
				if taken {
					model[i] = stored{version, w}
				} else {
					delete(model, i)
				}
				if get(t, i) != taken {
					t.Fatalf("a value of %d bytes for a share of %d: taken is %v", w, share, !taken)
				}
			},
			"put many": func(t *rapid.T) {
				for i := range keys {
					if rapid.Bool().Draw(t, "this") {
						version++
						w := rapid.IntRange(0, max(0, share/8-memory.Overhead)).Draw(t, "weight")
						c.Put(digest(i), version, int64(w))
						if w+memory.Overhead <= share {
							model[i] = stored{version, w}
						}
					}
				}
			},
			"get": func(t *rapid.T) { get(t, key.Draw(t, "key")) },
			"delete": func(t *rapid.T) {
				i := key.Draw(t, "key")
				c.Delete(digest(i))
				delete(model, i)
			},
			"delete if": func(t *rapid.T) {
				i, yes := key.Draw(t, "key"), rapid.Bool().Draw(t, "yes")
				called := false
				c.DeleteIf(digest(i), func(got int) bool {
					called = true
					if got != model[i].version {
						t.Fatalf("key %d: asked of %d, want %+v", i, got, model[i])
					}
					return yes
				})
				if !called || yes {
					delete(model, i) // what is not asked of is not there
				}
				if there := get(t, i); there != (called && !yes) {
					t.Fatalf("key %d: there is %v after called %v, yes %v", i, there, called, yes)
				}
			},
			"count": func(t *rapid.T) {
				var bytes int64
				entries := 0
				for i := range keys {
					if get(t, i) {
						bytes += int64(model[i].weight + memory.Overhead)
						entries++
					}
				}
				if stats := c.Stats(); stats.Bytes != bytes || stats.Entries != entries {
					t.Fatalf("%+v, want %d bytes, %d entries", stats, bytes, entries)
				}
			},
			"clear": func(t *rapid.T) {
				if rapid.IntRange(0, 4).Draw(t, "not") > 0 {
					t.Skip() // the step, not the test: rapid takes another one
				}
				c.Clear()
				clear(model)
				if stats := c.Stats(); stats.Bytes != 0 || stats.Entries != 0 {
					t.Fatalf("%+v", stats)
				}
			},
		})
	})
}

func TestAValueReplacesTheOneBeforeAndItsWeight(t *testing.T) {
	c := memory.New[string](10000)
	c.Put(digest(1), "light", 10)
	c.Put(digest(1), "heavy", 5000)
	expect(t, c, 1, "heavy")
	expectStats(t, c, memory.Stats{Bytes: 5000 + memory.Overhead, Entries: 1, Limit: 10000})
	c.Put(digest(1), "light again", 20)
	expect(t, c, 1, "light again")
	expectStats(t, c, memory.Stats{Bytes: 20 + memory.Overhead, Entries: 1, Limit: 10000})
}

func TestAValueThatReplacesAnotherEvictsTheOthersAndNotItself(t *testing.T) {
	c := memory.New[string](10000)
	for i := range 10 {
		c.Put(digest(i), "light", 0)
	}
	c.Put(digest(0), "all there is", 10000-memory.Overhead)
	expect(t, c, 0, "all there is")
	expectStats(t, c, memory.Stats{Bytes: 10000, Entries: 1, Evictions: 9, Limit: 10000})
}

func TestAValueTooHeavyIsNotTakenAndEvictsOnlyTheOlderOneUnderItsKey(t *testing.T) {
	for _, weight := range []int64{10000 - memory.Overhead + 1, 10000, math.MaxInt64} {
		c := memory.New[string](10000)
		c.Put(digest(1), "old", 10)
		c.Put(digest(2), "other", 10)
		c.Put(digest(1), "new", weight)
		c.Put(digest(3), "new", weight)
		expectNone(t, c, 1)
		expect(t, c, 2, "other")
		expectNone(t, c, 3)
		expectStats(t, c, memory.Stats{Bytes: 10 + memory.Overhead, Entries: 1, Limit: 10000})
	}
}

func TestAWeightBelowZeroCountsAsZero(t *testing.T) {
	c := memory.New[string](10000)
	c.Put(digest(1), "odd", math.MinInt64)
	expect(t, c, 1, "odd")
	expectStats(t, c, memory.Stats{Bytes: memory.Overhead, Entries: 1, Limit: 10000})
}

func TestALimitOfZeroOrLessHoldsNothing(t *testing.T) {
	for _, limit := range []int64{0, -1, math.MinInt64} {
		c := memory.New[string](limit)
		c.Put(digest(1), "", 0)
		expectNone(t, c, 1)
		c.Delete(digest(1))
		c.Clear()
		expectStats(t, c, memory.Stats{})
	}
}

func TestAValueThatTakesFourMiBFitsIntoEveryCacheOfThatLimitOrMore(t *testing.T) {
	for _, limit := range []int64{
		4 << 20, 8<<20 - 1, 8 << 20, 11 << 20, 16 << 20, 64 << 20, 1 << 40,
	} {
		c := memory.New[string](limit)
		c.Put(digest(1), "large", 4<<20-memory.Overhead)
		expect(t, c, 1, "large")
	}
}

func TestDeleteIfDropsOnlyWhatItIsToldTo(t *testing.T) {
	c := memory.New[string](10000)
	c.Put(digest(1), "a", 0)
	c.DeleteIf(digest(1), func(v string) bool { return v == "b" })
	expect(t, c, 1, "a")
	c.DeleteIf(digest(1), func(v string) bool { return v == "a" })
	expectNone(t, c, 1)
	c.DeleteIf(digest(1), func(string) bool { t.Error("asked about nothing"); return true })
}

func TestDeletedAndClearedEntriesAreNotCountedAsEvictions(t *testing.T) {
	c := memory.New[string](10000)
	c.Put(digest(1), "a", 0)
	c.Put(digest(2), "b", 0)
	c.Delete(digest(1))
	expectStats(t, c, memory.Stats{Bytes: memory.Overhead, Entries: 1, Limit: 10000})
	c.Clear()
	expectStats(t, c, memory.Stats{Limit: 10000})
}
