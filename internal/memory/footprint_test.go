package memory_test

import (
	"runtime"
	"testing"
	"weak"

	"sidecar/internal/memory"
)

// heap is the bytes of all that is reachable.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestAnEntryTakesNoMoreThanOverheadBesideItsValue(t *testing.T) {
	const entries = 100_000
	before := heap()
	c := memory.New[*int](entries * memory.Overhead)
	measure := func(when string) {
		each := float64(heap()-before) / float64(c.Stats().Entries)
		t.Logf("%s: %.1f bytes an entry, %d entries", when, each, c.Stats().Entries)
		if each > memory.Overhead*1.3 {
			t.Errorf("%s: %.1f bytes an entry, Overhead is %d", when, each, memory.Overhead)
		}
	}
	const turns = 5 // after the first one the ghost fills up
	for turn := range turns {
		for i := range entries {
			c.Put(digest(turn*entries+i), nil, 0)
			if i%3 == 0 {
				c.Get(digest(turn*entries + i))
				c.Get(digest(turn*entries + i))
			}
		}
		if stats := c.Stats(); stats.Entries < entries*9/10 {
			t.Fatalf("%+v", stats)
		}
		measure("full")
	}
	for i := range turns * entries {
		if i%10 > 0 {
			c.Delete(digest(i))
		}
	}
	measure("nine of ten deleted")
	runtime.KeepAlive(c)
}

func TestLightEntriesThatGoLeaveNothingBehind(t *testing.T) {
	const entries = 50_000
	for name, empty := range map[string]func(*memory.Cache[*int]){
		"deleted": func(c *memory.Cache[*int]) {
			for i := range 2 * entries {
				c.Delete(digest(i))
			}
		},
		"cleared": (*memory.Cache[*int]).Clear,
		"evicted": func(c *memory.Cache[*int]) {
			for i := range 100 { // so that every shard gets one
				c.Put(digest(2*entries+i), nil, c.Stats().Limit/2-memory.Overhead)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := heap()
			c := memory.New[*int](entries * memory.Overhead)
			for i := range 2 * entries {
				c.Put(digest(i), nil, 0)
			}
			full := heap() - before
			empty(c)
			if left := heap() - before; left > full/100 {
				t.Errorf("%d bytes are left of %d", left, full)
			}
			runtime.KeepAlive(c)
		})
	}
}

func TestAValueIsFreedAsSoonAsItIsOutOfTheCache(t *testing.T) {
	type body = [1 << 10]byte
	for name, remove := range map[string]func(*memory.Cache[*body]){
		"deleted": func(c *memory.Cache[*body]) { c.Delete(digest(1)) },
		"deleted if": func(c *memory.Cache[*body]) {
			c.DeleteIf(digest(1), func(*body) bool { return true })
		},
		"cleared":   (*memory.Cache[*body]).Clear,
		"replaced":  func(c *memory.Cache[*body]) { c.Put(digest(1), nil, 0) },
		"too heavy": func(c *memory.Cache[*body]) { c.Put(digest(1), nil, 10000) },
		"evicted to the ghost": func(c *memory.Cache[*body]) {
			for i := range 65 { // a few more than fit, so the ghost still remembers the first
				c.Put(digest(10+i), nil, 0)
			}
		},
		"evicted from the main queue": func(c *memory.Cache[*body]) {
			for range 3 {
				c.Get(digest(1))
			}
			for i := range 1000 {
				c.Put(digest(10+i), nil, 0)
				for range 3 {
					c.Get(digest(10 + i))
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := memory.New[*body](10000)
			value := new(body)
			freed := weak.Make(value)
			c.Put(digest(1), value, 1<<10)
			value = nil
			runtime.GC()
			if freed.Value() == nil {
				t.Fatal("freed while it was in the cache")
			}
			remove(c)
			if held, _ := c.Get(digest(1)); held != nil {
				t.Fatal("still in the cache")
			}
			runtime.GC()
			if freed.Value() != nil {
				t.Error("still alive")
			}
			runtime.KeepAlive(c)
		})
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	c := memory.New[string](10000)
	c.Put(digest(1), "there", 10)
	for i, name := range []string{"miss", "hit"} {
		key := digest(i)
		if allocated := testing.AllocsPerRun(1000, func() { c.Get(key) }); allocated != 0 {
			t.Errorf("a %s allocates %v times", name, allocated)
		}
	}
}
