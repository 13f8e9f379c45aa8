package memory_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"sidecar/internal/memory"
)

// Each writer has keys of its own and puts ever higher versions, so the versions that a reader sees
// must never go back.
func TestUsersAtTheSameTimeSeeVersionsInOrderAndTheLimitHolds(t *testing.T) {
	const writers, readers, keys, turns = 4, 3, 50, 3000
	for _, limit := range []int64{20_000, 64 << 20} {
		c := memory.New[int](limit)
		var users, watchers sync.WaitGroup
		var done atomic.Bool
		for w := range writers {
			users.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(w)))
				for version := range turns {
					own := random.IntN(keys)*writers + w
					key := digest(own)
					switch random.IntN(8) {
					case 0:
						c.Delete(key)
						expectNone(t, c, own)
					case 1:
						c.DeleteIf(key, func(v int) bool { return v%2 == 0 })
						if v, there := c.Get(key); there && v%2 == 0 {
							t.Errorf("key %d: %d was deleted", own, v)
						}
					default:
						c.Put(key, version, random.Int64N(limit/16/4))
						if v, there := c.Get(key); there && v != version {
							t.Errorf("key %d: %d, %d was put", own, v, version)
						}
					}
					if w == 0 && version%500 == 0 {
						c.Clear()
					}
				}
			})
		}
		for r := range readers {
			users.Go(func() {
				random := rand.New(rand.NewPCG(2, uint64(r)))
				var seen [keys * writers]int
				for range turns {
					i := random.IntN(len(seen))
					if v, there := c.Get(digest(i)); there {
						if v < seen[i] {
							t.Errorf("key %d: %d after %d", i, v, seen[i])
						}
						seen[i] = v
					}
				}
			})
		}
		watchers.Go(func() {
			for !done.Load() {
				if stats := c.Stats(); stats.Bytes > limit ||
					stats.Bytes < int64(stats.Entries)*memory.Overhead {
					t.Errorf("%+v", stats)
				}
			}
		})
		users.Wait()
		done.Store(true)
		watchers.Wait()
		if stats := c.Stats(); stats.Evictions == 0 {
			t.Errorf("nothing was evicted: %+v", stats)
		}
	}
}
