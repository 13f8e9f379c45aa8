package store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
)

// A sample is an entry for the tests of weights.
type sample struct{ fields, tags, names, body int }

// String names its test.
func (s sample) String() string {
	return fmt.Sprintf("%d fields, %d tags, %d names, %d bytes", s.fields, s.tags, s.names, s.body)
}

// record is the sample as Redis has it. Of a long body half repeats.
func (s sample) record(t *testing.T, key string) []byte {
	t.Helper()
	fields := http.Header{}
	for i := range s.fields {
		fields.Set(fmt.Sprint("X-Field-", i), "the value of a field")
	}
	e, err := entry.New(http.StatusOK, fields)
	if err != nil {
		t.Fatal(err)
	}
	e.ResponseTime, e.Lifetime = entry.At(time.Now()), time.Hour
	e.Body = bytes.Repeat([]byte("a"), s.body)
	if s.body > 200_000 {
		_, _ = rand.Read(e.Body)
	}
	rec := envelope{payload: e.Encode(nil), stamp: make(coherence.Stamp, s.tags+s.names)}
	for i := range rec.stamp {
		rec.stamp[i].Tag = cachekeys.Named(fmt.Sprint("character:", i)).Digest()
	}
	for i := range s.names {
		rec.names = append(rec.names, cachekeys.Named(fmt.Sprint("a name of the response:", i)))
	}
	return rec.encode(key)
}

// count is how many of them are measured.
func (s sample) count() int {
	if s.body > 10_000 {
		return 100
	}
	return 2000
}

var samples = []sample{
	{2, 2, 0, 0}, {4, 3, 0, 200}, {8, 5, 0, 200}, {9, 5, 0, 200}, {20, 50, 0, 200}, {4, 3, 0, 2000},
	{4, 3, 50, 2000}, {4, 3, 256, 200}, {4, 3, 0, 50_000}, {4, 3, 0, 100_000}, {4, 3, 0, 500_000},
}

// decode decodes a copy of a record, as it comes from Redis.
func decode(t *testing.T, record []byte, key string) (*envelope, *entry.Entry) {
	t.Helper()
	rec := parse(string(record), key)
	if rec == nil {
		t.Fatal("no record")
	}
	e, err := entry.Decode(rec.payload, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return rec, e
}

// The weight of an entry in memory is the heap that it keeps alive, within a quarter.
func TestTheWeightOfAnEntryIsItsHeap(t *testing.T) {
	const key = "sidecar:e:{00000000000000000000000000000000}"
	for _, s := range samples {
		t.Run(s.String(), func(t *testing.T) {
			record := s.record(t, key)
			all, claimed, before := make([]*held, s.count()), int64(0), heap()
			for i := range all {
				rec, e := decode(t, record, key)
				all[i] = hold(readAt{}, e, rec.stamp)
				claimed += all[i].weight()
			}
			weighed(t, heap()-before, claimed, len(all))
			runtime.KeepAlive(all)
		})
	}
}

// So is that of a look-up that is kept.
func TestTheWeightOfAKeptLookupIsItsHeap(t *testing.T) {
	names := cachekeys.NewNames("sidecar")
	keyspace := coherence.New(coherence.Options{Names: names})
	s := New(Options{Memory: 8 << 30, Keyspace: keyspace, Names: names})
	for _, sample := range samples {
		t.Run(sample.String(), func(t *testing.T) {
			at := s.names.Entry(cachekeys.Digest{})
			record := sample.record(t, at)
			s.decoded.Clear()
			before := heap()
			for i := range sample.count() {
				rec, e := decode(t, record, at)
				var variant cachekeys.Digest
				binary.BigEndian.PutUint64(variant[8:], uint64(i))
				s.keepDecoded(variant, rec, e)
			}
			took, stats := heap()-before, s.decoded.Stats()
			if stats.Entries != sample.count() {
				t.Errorf("%+v", stats)
			}
			weighed(t, took, stats.Bytes, stats.Entries)
		})
	}
}

func weighed(t *testing.T, took, claimed int64, n int) {
	t.Helper()
	t.Logf("one takes %d bytes and weighs %d", took/int64(n), claimed/int64(n))
	if took*4 > claimed*5 || took*4 < claimed*3 {
		t.Error("that is more than a quarter off")
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
