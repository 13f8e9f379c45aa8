package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/test/redisd"
)

const (
	each = 256 << 10 // bytes of a chunk
	hour = time.Hour
)

// content is n bytes that differ from those of another seed.
func content(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// spilled stores body in chunks, inHand bytes of it first and the rest by and by, and returns how
// that ended.
func (w *world) spilled(q store.Query, body []byte, inHand int) (*entry.Entry, reason.Reason) {
	w.t.Helper()
	fill, e := w.begin(q), answer("")
	e.Body = nil
	spill := fill.NewChunkWriter(e, body[:inHand], 5*time.Second)
	if spill == nil {
		return nil, reason.StoreBusy
	}
	go spill.Run() // ends with the body
	for rest := body[inHand:]; len(rest) > 0; {
		n := min(len(rest), 50_000)
		spill.Write(rest[:n])
		rest = rest[n:]
	}
	e.Chunks = spill.Finish()
	why := w.keep(fill, e, func() ([]cachekeys.Tag, reason.Reason) { return nil, spill.Wait() })
	if why != "" {
		spill.Discard(why)
	}
	return e, why
}

// read reads parts of the entry that is found for q.
func (w *world) read(q store.Query, parts ...store.Span) ([]byte, error) {
	w.t.Helper()
	found := w.lookup(q)
	if found.Entry == nil {
		w.t.Fatalf("nothing found: why %q, bypass %q", found.Why, found.Bypass)
	}
	body, err := w.Open(w.t.Context(), w.conn.Budget(5*time.Second), found.Entry, parts...)
	if err != nil {
		return nil, err
	}
	var got bytes.Buffer
	for _, part := range parts {
		if err := body.WriteRange(w.t.Context(), &got, part.First, part.End); err != nil {
			return got.Bytes(), err
		}
	}
	return got.Bytes(), nil
}

func (w *world) wantChunks(q store.Query, body []byte) {
	w.t.Helper()
	if got, err := w.read(q, store.Span{End: int64(len(body))}); err != nil ||
		!bytes.Equal(got, body) {
		w.t.Errorf("read %d bytes, %v; want %d", len(got), err, len(body))
	}
}

func (w *world) keys(pattern string) []string { return w.raw().Keys(w.t.Context(), pattern).Val() }

func TestABodyInChunksIsReadAsItWasWritten(t *testing.T) {
	w := newWorld(t)
	stranger := another(t, w.redis)
	for _, size := range []int{1, each - 1, each, each + 1, 4 * each, 4*each + 1, 1_500_000} {
		for _, inHand := range []int{1, each - 1, each, 2*each + 7, size} {
			if inHand > size {
				continue
			}
			q := query(fmt.Sprintf("/large/%d/%d", size, inHand), nil)
			body := content(size, byte(inHand))
			if e, why := w.spilled(q, body, inHand); why != "" || e.Size() != int64(size) {
				t.Fatalf("%d bytes, %d in hand: %q, size %d", size, inHand, why, e.Size())
			}
			w.wantChunks(q, body)
			stranger.wantChunks(q, body)
		}
	}
}

func TestPartsOfABodyInChunks(t *testing.T) {
	w := newWorld(t)
	const size = 3*each + 10
	q, body := query("/large", nil), content(size, 1)
	w.spilled(q, body, each)
	inRecord := query("/small", nil)
	w.keep(w.begin(inRecord), answer(string(body)), noNames)
	edges := []int64{0, 1, each - 1, each, each + 1, 2*each - 1, 2 * each, 3 * each, size - 1, size}
	for _, first := range edges {
		for _, end := range edges {
			if first >= end {
				continue
			}
			for _, q := range []store.Query{q, inRecord} {
				if got, err := w.read(q, store.Span{First: first, End: end}); err != nil ||
					!bytes.Equal(got, body[first:end]) {
					t.Errorf("from %d up to %d: %d bytes, %v", first, end, len(got), err)
				}
			}
		}
	}
	parts := []store.Span{
		{First: 2 * each, End: 2*each + 3}, {First: 0, End: 2}, {First: each - 1, End: each + 1},
		{First: size - 1, End: size},
	}
	var want []byte
	for _, p := range parts {
		want = append(want, body[p.First:p.End]...)
	}
	if got, err := w.read(q, parts...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("several parts: %x, %v; want %x", got, err, want)
	}
}

// Parts that go to and fro read each chunk once.
func TestPartsToAndFroReadEachChunkOnce(t *testing.T) {
	w := newWorld(t)
	body := content(3*each+each/2, 1)
	q := query("/large/1", nil)
	if _, why := w.spilled(q, body, each); why != "" {
		t.Fatal(why)
	}
	var parts []store.Span
	var want []byte
	for n := range int64(8) { // first and last chunk in turn, and over an edge
		for _, first := range []int64{n * 10, 3*each + n*10} {
			parts = append(parts, store.Span{First: first, End: first + 1 + n})
			want = append(want, body[first:first+1+n]...)
		}
	}
	parts = append(parts, store.Span{First: each - 5, End: each + 5}, store.Span{First: 0, End: 3})
	want = append(append(want, body[each-5:each+5]...), body[:3]...)
	before := w.sent()
	got, err := w.read(q, parts...)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if sent := w.sent() - before; sent > 3*each+16<<10 {
		t.Errorf("Redis sent %d bytes for three chunks of %d", sent, each)
	}
}

// sent is how many bytes Redis has sent.
func (w *world) sent() (n int) {
	w.t.Helper()
	info := w.raw().Info(w.t.Context(), "stats").Val()
	_, rest, _ := strings.Cut(info, "total_net_output_bytes:")
	line, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestAChunkThatIsGoneOrDamagedIsNoticed(t *testing.T) {
	w := newWorld(t)
	q, body := query("/large", nil), content(4*each, 1)
	e, _ := w.spilled(q, body, each)
	key := func(nth int) string {
		return cachekeys.NewNames("test").Chunk(e.Chunks.ID.String(), nth)
	}
	redis, all := w.raw(), store.Span{End: 4 * each}
	set := func(nth int, value string) {
		if err := redis.Set(t.Context(), key(nth), value, time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for nth := range 4 {
		value := redis.Get(t.Context(), key(nth)).Val()
		redis.Del(t.Context(), key(nth))
		if got, err := w.read(q, all); len(got) > 0 || !errors.Is(err, store.ErrBodyLost) {
			t.Errorf("without chunk %d: %d bytes, %v", nth, len(got), err)
		}
		other := store.Span{First: int64(nth+1) % 4 * each, End: int64(nth+1)%4*each + 1}
		if got, err := w.read(q, other); err != nil ||
			!bytes.Equal(got, body[other.First:other.End]) {
			t.Errorf("a part that is not in chunk %d: %d bytes, %v", nth, len(got), err)
		}
		for what, damaged := range map[string]string{
			"cut": value[:len(value)-1], "longer": value + "x",
			"changed": value[:1000] + "change" + value[1006:],
			"another": redis.Get(t.Context(), key((nth+1)%4)).Val(), "empty": "",
		} {
			set(nth, damaged)
			if got, err := w.read(q, all); len(got) != nth*each ||
				!errors.Is(err, store.ErrBodyLost) {
				t.Errorf("chunk %d %s: %d bytes, %v", nth, what, len(got), err)
			}
		}
		set(nth, value)
	}
	redis.Del(t.Context(), key(2))
	redis.LPush(t.Context(), key(2), "a stranger's")
	if _, err := w.read(q, all); err == nil {
		t.Error("a list was read as a chunk")
	}
	if w.conn.State() != 0 {
		t.Error("what is lost or damaged opens the breaker")
	}
}

func TestStoresAtOnceDoNotMixAndTheLastOneIsFound(t *testing.T) {
	w := newWorld(t)
	q := query("/large", nil)
	worlds := []*world{w, another(t, w.redis), another(t, w.redis)}
	var bodies [][]byte
	var storing sync.WaitGroup
	for i, w := range worlds {
		body := content(6*each+i, byte(i))
		bodies = append(bodies, body)
		storing.Go(func() {
			if _, why := w.spilled(q, body, each); why != "" {
				t.Errorf("store %d: %q", i, why)
			}
		})
	}
	storing.Wait()
	e := w.lookup(q).Entry
	w.wantChunks(q, bodies[e.Size()-6*each])
}

func TestChunksLiveAsLongAsTheirRecordAndThoseThatAreReplacedGo(t *testing.T) {
	w := newWorld(t)
	q, body := query("/large", nil), content(2*each, 1)
	ttls := func(e *entry.Entry) (least, most time.Duration) {
		least = 100 * hour
		for nth := range e.Chunks.Count() {
			ttl := w.raw().PTTL(t.Context(),
				cachekeys.NewNames("test").Chunk(e.Chunks.ID.String(), nth)).Val()
			least, most = min(least, ttl), max(most, ttl)
		}
		return least, most
	}
	first, _ := w.spilled(q, body, 1)
	if least, most := ttls(first); least < hour || most > hour+10*time.Minute {
		t.Errorf("the chunks of an answer that lives an hour live %v to %v", least, most)
	}

	// The same body under a new record, as after a 304.
	again := answer("")
	again.Body, again.Chunks, again.Lifetime = nil, first.Chunks, 3*hour
	if why := w.keep(w.begin(q), again, noNames); why != "" {
		t.Fatalf("stored anew: %q", why)
	}
	if least, _ := ttls(first); least < 3*hour-time.Minute {
		t.Errorf("of a record that lives three hours they live %v", least)
	}
	w.wantChunks(q, body)

	second, _ := w.spilled(q, content(2*each, 2), 1)
	if least, most := ttls(first); least < time.Minute || most > 5*time.Minute {
		t.Errorf("replaced, they live %v to %v: too short for who reads them, or too long",
			least, most)
	}
	if least, _ := ttls(second); least < hour-time.Minute {
		t.Errorf("those that replace them live %v", least)
	}

	w.raw().Del(t.Context(), cachekeys.NewNames("test").Chunk(second.Chunks.ID.String(), 1))
	again.Chunks = second.Chunks
	if why := w.keep(w.begin(q), again, noNames); why != reason.BodyLost {
		t.Errorf("a record of chunks that are gone: %q", why)
	}
}

func TestABodyInChunksIsNotHeldInMemory(t *testing.T) {
	w := newWorld(t)
	q := query("/large", nil)
	q.Memory = time.Hour
	w.spilled(q, content(2*each, 1), 1)
	w.wantChunks(q, content(2*each, 1))
	if found := w.lookup(q); found.Memory || w.Memory().Entries > 0 {
		t.Errorf("found in memory: %v, which has %d entries", found.Memory, w.Memory().Entries)
	}
}

func TestReadersOfOneChunkHoldItOnce(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string][]byte{
		"compressed":     bytes.Repeat([]byte("to be compressed "), 2*each/16),
		"not compressed": content(2*each, 1),
	} {
		q := query("/"+name, nil)
		w.spilled(q, body, 1)
		w.wantChunks(q, body)
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		const readers = 64
		before, open := heap(), []*store.Body{}
		found := w.lookup(q)
		for range readers {
			b, err := w.Open(t.Context(), w.conn.Budget(5*time.Second), found.Entry,
				store.Span{End: int64(len(body))})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, b)
		}
		if held := heap() - before; held > readers*each/4 {
			t.Errorf("%s: %d readers hold %d KiB", name, readers, held>>10)
		}
		for _, b := range open { // the next bytes of one do not overwrite those that another holds
			var got bytes.Buffer
			if err := b.WriteRange(t.Context(), &got, 0, int64(len(body))); err != nil ||
				!bytes.Equal(got.Bytes(), body) {
				t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
			}
		}
	}
}

func TestOfOneKeyOneBodyIsStoredInChunksAndOfAllABoundedNumber(t *testing.T) {
	w := newWorld(t)
	var under []*store.ChunkWriter
	begin := func(i int) *store.ChunkWriter {
		return w.begin(query(fmt.Sprintf("/large/%d", i), nil)).NewChunkWriter(answer(""),
			[]byte("x"), time.Second)
	}
	for i := range 16 {
		spill := begin(i)
		if spill == nil {
			t.Fatalf("number %d is not stored", i)
		}
		under = append(under, spill)
		go spill.Run() // ends when it is discarded
		if i == 0 && begin(0) != nil {
			t.Error("a second one of the same key is stored too")
		}
	}
	if begin(16) != nil {
		t.Error("a seventeenth is stored too")
	}
	for _, spill := range under {
		spill.Discard(reason.Incomplete)
		if why := spill.Wait(); why != reason.Incomplete {
			t.Errorf("given up for %q", why)
		}
	}
	if e, why := w.spilled(query("/large/0", nil), content(each, 1), 1); why != "" {
		t.Errorf("afterwards: %v %q", e, why)
	}
}

func TestWhatIsDiscardedIsDeleted(t *testing.T) {
	w := newWorld(t)
	body := content(5*each, 1)
	spill := w.begin(query("/large", nil)).NewChunkWriter(answer(""), body, time.Second)
	done := make(chan struct{})
	go func() { defer close(done); spill.Run() }()
	await(t, "it is written", func() bool { return len(w.keys("test:p:*")) == 5 })
	spill.Discard(reason.TooLarge)
	spill.Discard(reason.Incomplete)
	<-done
	await(t, "it is deleted", func() bool { return len(w.keys("test:p:*")) == 0 })
	spill.Write(body) // goes on, and does nothing
	if why := spill.Wait(); why != reason.TooLarge {
		t.Errorf("given up for %q", why)
	}
}

// A reader waits for a Redis that is behind, but not longer than its patience, and once.
func TestARedisThatTakesNothingHoldsTheReaderUpOnce(t *testing.T) {
	w := newWorld(t)
	q := query("/large", nil)
	fill, body := w.begin(q), content(each, 1)
	w.redis.Freeze()
	defer w.redis.Thaw()
	const patience = 50 * time.Millisecond
	spill := fill.NewChunkWriter(answer(""), body, patience)
	done := make(chan struct{})
	go func() { defer close(done); spill.Run() }()
	began := time.Now()
	for range 100 {
		spill.Write(body)
	}
	if took := time.Since(began); took < patience || took > 20*patience {
		t.Errorf("the reader was held up for %v", took)
	}
	spill.Finish()
	<-done
	if why := spill.Wait(); why != reason.StoreFailed {
		t.Errorf("given up for %q", why)
	}
	spill.Discard(reason.StoreFailed)
}

func TestChunksInACluster(t *testing.T) {
	cluster := redisd.StartCluster(t)
	w := on(t, cluster.Nodes[0], connectTo(t, cluster.Redis()))
	for i := range 3 {
		q, body := query(fmt.Sprintf("/large/%d", i), nil), content(4*each+i, byte(i))
		for range 2 { // the second time, chunks are replaced
			if _, why := w.spilled(q, body, each); why != "" {
				t.Fatalf("not stored: %q", why)
			}
			w.wantChunks(q, body)
		}
		if got, err := w.read(q, store.Span{First: each - 1, End: each + 1},
			store.Span{First: 0, End: 1}); err != nil || len(got) != 3 {
			t.Errorf("parts: %x, %v", got, err)
		}
	}
	e := w.lookup(query("/large/0", nil)).Entry
	cluster.Client(t).Del(t.Context(), cachekeys.NewNames("test").Chunk(e.Chunks.ID.String(), 3))
	if _, err := w.read(query("/large/0", nil),
		store.Span{End: e.Size()}); !errors.Is(err, store.ErrBodyLost) {
		t.Errorf("without a chunk: %v", err)
	}
}

// A client that leaves in the middle ends the reading.
func TestAWriterThatFailsEndsTheReading(t *testing.T) {
	w := newWorld(t)
	q := query("/large", nil)
	w.spilled(q, content(3*each, 1), 1)
	body, err := w.Open(t.Context(), nil, w.lookup(q).Entry, store.Span{End: 3 * each})
	if err != nil {
		t.Fatal(err)
	}
	r, left := io.Pipe()
	_ = r.Close()
	if err := body.WriteRange(t.Context(), left, 0, 3*each); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
