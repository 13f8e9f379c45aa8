package store

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"weak"

	"sidecar/internal/entry"
)

func TestLongBodiesThatAreTheSameAreHeldOnce(t *testing.T) {
	s := newSharing()
	body := func(c byte, n int) *entry.Entry {
		return &entry.Entry{Status: 200, Body: bytes.Repeat([]byte{c}, n)}
	}
	shared := func(a, b *entry.Entry) bool { return &a.Body[0] == &b.Body[0] }
	first, second, other, shorter := body('a', minShared), body('a', minShared),
		body('b', minShared), body('a', minShared+1)
	for _, e := range []*entry.Entry{first, second, other, shorter} {
		s.share(e)
	}
	if !shared(first, second) || shared(first, other) || shared(first, shorter) ||
		other.Body[0] != 'b' {
		t.Error("bodies are mixed up, or held twice")
	}
	first = nil
	runtime.GC()
	third := body('a', minShared)
	if s.share(third); !shared(second, third) {
		t.Error("the body is lost with the first that held it")
	}
	small, alike := body('a', minShared-1), body('a', minShared-1)
	s.share(small)
	if s.share(alike); shared(small, alike) {
		t.Error("a short body is looked for")
	}
	runtime.KeepAlive(second)
}

func TestWhoSharesABodyHoldsNoRecord(t *testing.T) {
	s := newSharing()
	decoded := func() (*entry.Entry, weak.Pointer[byte]) {
		e, err := entry.New(200, map[string][]string{"A": {"b"}})
		if err != nil {
			t.Fatal(err)
		}
		e.Body = make([]byte, minShared)
		// is not compressed: the entry is a view of its record
		_, _ = rand.NewChaCha8([32]byte{}).Read(e.Body)
		record := e.Encode(nil)
		e, err = entry.Decode(record, minShared)
		if err != nil {
			t.Fatal(err)
		}
		s.share(e)
		return e, weak.Make(&record[0])
	}
	first, firstRecord := decoded()
	second, secondRecord := decoded()
	runtime.GC()
	if firstRecord.Value() == nil || secondRecord.Value() != nil || len(second.Values("A")) != 1 {
		t.Errorf("the first holds its record: %t, the second holds one: %t",
			firstRecord.Value() != nil, secondRecord.Value() != nil)
	}
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
}

func TestBodiesThatNobodySendsAreForgotten(t *testing.T) {
	s := newSharing()
	for i := range maxShared + 10 {
		e := &entry.Entry{Body: make([]byte, minShared)}
		e.Body[0], e.Body[1] = byte(i), byte(i>>8)
		if s.share(e); i%512 == 0 {
			runtime.GC()
		}
	}
	if n := len(s.known); n > maxShared {
		t.Errorf("%d are known", n)
	}
}

func TestBodiesAreSharedByManyAtOnce(t *testing.T) {
	s := newSharing()
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 50 {
				e := &entry.Entry{Body: bytes.Repeat([]byte{'a'}, minShared)}
				if s.share(e); len(e.Body) != minShared || e.Body[0] != 'a' {
					t.Error("another body")
				}
			}
		})
	}
	running.Wait()
}
