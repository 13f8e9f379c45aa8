package store

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
)

// The weight of an entry is the heap that it keeps alive, as it comes from Redis, within a quarter.
func TestTheWeightOfAnEntryIsItsHeap(t *testing.T) {
	const entries = 2000
	for _, tt := range []struct{ fields, tags, body int }{
		{2, 2, 0}, {4, 3, 200}, {8, 5, 200}, {9, 5, 200}, {20, 50, 200},
		{4, 3, 2000}, {4, 3, 100_000},
	} {
		t.Run(fmt.Sprintf("%d fields, %d tags, %d bytes", tt.fields, tt.tags, tt.body),
			func(t *testing.T) {
				n := entries
				if tt.body > 10_000 {
					n = 200
				}
				fields := http.Header{}
				for i := range tt.fields {
					fields.Set(fmt.Sprint("X-Field-", i), "the value of a field")
				}
				e, err := entry.New(http.StatusOK, fields)
				if err != nil {
					t.Fatal(err)
				}
				e.ResponseTime, e.Lifetime = time.Now(), time.Hour
				e.Body = bytes.Repeat([]byte("a"), tt.body)
				stamp := make(coherence.Stamp, tt.tags)
				for i := range stamp {
					stamp[i].Tag = cachekeys.Named(fmt.Sprint("character:", i)).Digest()
				}
				key := fmt.Sprintf("sidecar:entry:%032d", 0)
				record := envelope{stamp: stamp, payload: e.Encode(nil)}.encode(key)
				kept := make([]*held, 0, n)
				claimed, before := int64(0), heap()
				for range n {
					r, err := decodeEnvelope(bytes.Clone(record), key)
					if err != nil {
						t.Fatal(err)
					}
					e, err := entry.Decode(r.payload, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					e.Fields()
					kept = append(kept, &held{entry: e, stamp: r.stamp})
					claimed += weight(e, r.stamp)
				}
				took := heap() - before
				runtime.KeepAlive(kept)
				if took*4 > claimed*5 || took*4 < claimed*3 {
					t.Errorf("an entry takes %d bytes and weighs %d",
						took/int64(n), claimed/int64(n))
				}
			})
	}
}

// heap are the bytes in use on the heap.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
