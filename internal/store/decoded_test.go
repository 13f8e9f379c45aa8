package store_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// The same bytes are decoded once, and other bytes in Redis are seen at once.
func TestARecordThatComesAgainIsNotDecodedAgain(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	put := func(record string) {
		t.Helper()
		if err := w.raw().Set(t.Context(), names.Entry(q.Primary), record,
			time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	body := strings.Repeat("one ", 1000)
	w.keep(w.begin(q), answer(body), noNames)
	w.wantBody(q, body)
	first, second := w.lookup(q), w.lookup(q)
	if first.Entry == nil || first.Entry != second.Entry {
		t.Errorf("the entry is decoded again: %v, %v", first.Why, second.Why)
	}
	record := w.raw().Get(t.Context(), names.Entry(q.Primary)).Val()
	damaged := []byte(record)
	damaged[len(damaged)-1] ^= 1
	put(string(damaged))
	w.wantNothing(q, reason.Undecodable)
	put("nothing like it")
	w.wantNothing(q, reason.Miss)
	put(record)
	w.wantBody(q, body)
	short := q
	short.MaxBody = 100
	w.wantNothing(short, reason.Undecodable)
	w.keep(w.begin(q), answer("two"), noNames)
	w.wantBody(q, "two")
	w.invalidate(tag)
	w.wantNothing(q, reason.Invalidated)
}

// One that is too long for the bound is decompressed each time.
func TestALongBodyIsDecompressedOnce(t *testing.T) {
	var text strings.Builder
	for i := 0; text.Len() <= 1<<20; i++ {
		fmt.Fprint(&text, "text ", i)
	}
	for size, kept := range map[int]bool{100_000: true, 1 << 20: true, 1<<20 + 1: false} {
		w, q := newWorld(t), query("/characters/42", nil)
		q.MaxBody = 4 << 20
		w.keep(w.begin(q), answer(text.String()[:size]), noNames)
		first, second := w.lookup(q), w.lookup(q)
		if first.Entry == nil || (first.Entry == second.Entry) != kept {
			t.Errorf("%d bytes: %q, and kept is %v", size, first.Why, first.Entry == second.Entry)
		}
	}
}

// An entry is not kept twice: memory has it, or its look-up is kept.
func TestWhatMemoryHoldsIsNotKeptBesides(t *testing.T) {
	w := newWorld(t)
	held, unheld := heldQuery("/held"), query("/unheld", nil)
	for _, q := range []store.Query{held, unheld} {
		w.keep(w.begin(q), answer("one"), noNames)
	}
	other := another(t, w.redis).listening()
	if found := other.lookup(held); found.Entry == nil || found.Memory {
		t.Fatalf("%+v", found)
	}
	if found := other.lookup(held); !found.Memory || other.Kept() > 0 {
		t.Errorf("in memory is %v, and %d look-ups are kept", found.Memory, other.Kept())
	}
	if other.wantBody(unheld, "one"); other.Kept() != 1 {
		t.Errorf("%d look-ups are kept", other.Kept())
	}
}

// A process that knows neither variants nor names learns them by its first look-up, and decodes the
// entry no second time.
func TestTheFirstLookupWithoutAHintIsKept(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", http.Header{"Accept": {"a"}})
	name := cachekeys.Named("character:learnt")
	f := w.begin(q, name)
	e := answer("one")
	e.Vary = []string{"Accept"}
	w.keep(f, e, named(name))
	other := another(t, w.redis)
	first := other.lookup(q)
	before := w.redis.Calls()["mget"]
	for range 3 {
		if next := other.lookup(q); first.Entry == nil || next.Entry != first.Entry {
			t.Errorf("it is decoded again: %q", next.Why)
		}
	}
	if calls := w.redis.Calls()["mget"] - before; calls != 3 {
		t.Errorf("3 look-ups took %d commands", calls)
	}
}
