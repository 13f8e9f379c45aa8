package store_test

import (
	"strings"
	"testing"
	"time"

	"sidecar/internal/reason"
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

func TestLongEntriesAreDecodedEachTime(t *testing.T) {
	w, q := newWorld(t), query("/characters/42", nil)
	w.keep(w.begin(q), answer(strings.Repeat("one ", 16<<10)), noNames)
	if first, second := w.lookup(q), w.lookup(q); first.Entry == nil ||
		first.Entry == second.Entry {
		t.Errorf("a long entry is kept: %v", first.Why)
	}
}
