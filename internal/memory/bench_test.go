package memory_test

import (
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/memory"
)

const benchEntries = 1 << 16

func benchKeys() []cachekeys.Digest {
	keys := make([]cachekeys.Digest, 4*benchEntries)
	for i := range keys {
		keys[i] = digest(i)
	}
	return keys
}

// BenchmarkGet is of hits all over a full cache, by as many users as there are processors.
func BenchmarkGet(b *testing.B) {
	keys := benchKeys()[:benchEntries/2]
	value := new(int)
	c := memory.New[*int](benchEntries * (1<<10 + memory.Overhead))
	for _, key := range keys {
		c.Put(key, value, 1<<10)
	}
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			c.Get(keys[i%len(keys)])
		}
	})
}

// BenchmarkPut is of new keys in a full cache: each evicts another.
func BenchmarkPut(b *testing.B) {
	keys := benchKeys()
	value := new(int)
	c := memory.New[*int](benchEntries * (1<<10 + memory.Overhead))
	for _, key := range keys {
		c.Put(key, value, 1<<10)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Put(keys[i%len(keys)], value, 1<<10)
	}
}
