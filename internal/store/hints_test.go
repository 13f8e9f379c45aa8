package store

import (
	"encoding/binary"
	"runtime"
	"strconv"
	"testing"

	"sidecar/cachekeys"
)

// A client that sends unique URLs by the million, whose answers name much, fills no memory with
// hints.
func TestHintsAreBoundedByWhatTheyHold(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	h, before := newHints(), heap()
	for i := range uint64(1_000_000) {
		var key cachekeys.Digest
		binary.BigEndian.PutUint64(key[:], i)
		got := hint{vary: []string{"Accept"}}
		if i%4 == 0 {
			for n := range 128 {
				got.names = append(got.names,
					cachekeys.Named("character:"+strconv.FormatUint(i, 10)+":"+strconv.Itoa(n)))
			}
		}
		h.set(key, got)
	}
	if held := heap() - before; held > 64<<20 {
		t.Errorf("they hold %d MiB", held>>20)
	}
	runtime.KeepAlive(h)
}
