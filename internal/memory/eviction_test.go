package memory_test

import (
	"fmt"
	"testing"

	"sidecar/internal/memory"
)

// A sized is a cache for so many entries of equal weight.
type sized struct {
	*memory.Cache[int]
	entries int
	weight  int64
}

// caches are one of a single shard and one of sixteen, for a thousand entries each.
func caches(t *testing.T, test func(*testing.T, sized)) {
	const entries = 1000
	for _, weight := range []int64{100, 80 << 10} {
		t.Run(fmt.Sprintf("weight %d", weight), func(t *testing.T) {
			test(t, sized{memory.New[int](entries * (weight + memory.Overhead)), entries, weight})
		})
	}
}

// ask acts as a user of the cache: it puts a value that it did not get.
func (c sized) ask(i int) {
	if _, there := c.Get(digest(i)); !there {
		c.Put(digest(i), i, c.weight)
	}
}

// askAll asks for each of the keys from a to b, times times over.
func (c sized) askAll(a, b, times int) {
	for range times {
		for i := a; i < b; i++ {
			c.ask(i)
		}
	}
}

// kept counts the keys from a to b that are there.
func (c sized) kept(a, b int) int {
	kept := 0
	for i := a; i < b; i++ {
		if _, there := c.Get(digest(i)); there {
			kept++
		}
	}
	return kept
}

func TestAScanThroughColdKeysDoesNotEvictTheHotOnes(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		hot := c.entries / 2
		c.askAll(0, hot, 3)
		// Each hot key is asked for once while twice the capacity of cold ones passes. In an LRU
		// none would be left.
		next := 0
		for i := range 10 * c.entries {
			c.ask(1_000_000 + i)
			if i%(2*c.entries/hot) == 0 {
				c.Get(digest(next % hot))
				next++
			}
		}
		if kept := c.kept(0, hot); kept < hot*9/10 {
			t.Errorf("%d of %d hot keys are left", kept, hot)
		}
		if stats := c.Stats(); stats.Evictions < uint64(8*c.entries) {
			t.Errorf("the scan evicted only %d", stats.Evictions)
		}
	})
}

func TestKeysThatAreHotNowDisplaceThoseThatWere(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		hot := c.entries / 2
		c.askAll(0, hot, 10)
		c.askAll(10_000, 20_000, 1)
		// In between come cold keys, so that the new ones have to hold their own as well.
		for round := range 40 {
			c.askAll(hot, 2*hot, 1)
			c.askAll(20_000+100*round, 20_000+100*(round+1), 1)
		}
		if kept := c.kept(hot, 2*hot); kept < hot*9/10 {
			t.Errorf("%d of %d hot keys are there", kept, hot)
		}
		c.askAll(30_000, 40_000, 1)
		c.askAll(2*hot, 4*hot, 10)
		if kept := c.kept(0, hot); kept > hot/2 {
			t.Errorf("%d of %d keys that nobody asks for are left", kept, hot)
		}
	})
}

func TestAKeyThatComesBackSoonAfterItsEvictionOutlivesAScan(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		const back = 100
		c.askAll(0, back, 1)
		c.askAll(10_000, 10_000+c.entries*3/2, 1)
		if kept := c.kept(0, back); kept != 0 {
			t.Fatalf("%d were not evicted", kept)
		}
		c.askAll(0, back, 1)
		c.askAll(20_000, 30_000, 1)
		if kept := c.kept(0, back); kept < back*9/10 {
			t.Errorf("%d of %d are left", kept, back)
		}
	})
}

func TestAKeyThatComesBackLateIsAColdKey(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		const back = 100
		c.askAll(0, back, 1)
		c.askAll(10_000, 10_000+c.entries*3, 1)
		c.askAll(0, back, 1)
		c.askAll(20_000, 30_000, 1)
		if kept := c.kept(0, back); kept != 0 {
			t.Errorf("%d of %d are left", kept, back)
		}
	})
}

func TestAHotKeyWhoseValueIsReplacedStaysHot(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		hot := c.entries / 2
		c.askAll(0, hot, 3)
		c.askAll(10_000, 20_000, 1) // moves the hot ones to the main queue
		for i := range hot {
			c.Put(digest(i), i, c.weight)
		}
		c.askAll(20_000, 30_000, 1)
		if kept := c.kept(0, hot); kept < hot*9/10 {
			t.Errorf("%d of %d hot keys are left", kept, hot)
		}
	})
}

func TestANewKeyHasATenthOfTheCacheToProveItselfIn(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		c.askAll(0, c.entries, 4)
		c.askAll(10_000, 20_000, 1)
		const fresh = 20
		c.askAll(20_000, 20_000+fresh, 1)
		c.askAll(30_000, 30_000+c.entries/25, 1)
		if kept := c.kept(20_000, 20_000+fresh); kept < fresh*9/10 {
			t.Errorf("%d of %d are left", kept, fresh)
		}
		c.askAll(40_000, 40_000+c.entries/3, 1)
		if kept := c.kept(30_000, 30_000+c.entries/25); kept != 0 {
			t.Errorf("%d are left that did not prove themselves", kept)
		}
	})
}

func TestOfTheProvenKeysThoseLeaveFirstThatNobodyAsksForAnyMore(t *testing.T) {
	caches(t, func(t *testing.T, c sized) {
		proven, half := c.entries*8/10, c.entries*4/10
		c.askAll(0, proven, 4)
		c.askAll(10_000, 20_000, 1) // moves them to the main queue
		c.askAll(0, half, 1)
		c.askAll(20_000, 20_000+half, 1)
		c.askAll(30_000, 30_000+c.entries/2, 1)
		c.askAll(20_000, 20_000+half, 1) // back out of the ghost, into the main queue too
		if kept := c.kept(0, half); kept < half*9/10 {
			t.Errorf("%d of %d that were asked for are left", kept, half)
		}
		if kept := c.kept(half, proven); kept > half/2 {
			t.Errorf("%d of %d that were not asked for are left", kept, half)
		}
	})
}
