package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// The one that fetches leaves in the middle of the answer, which is taken in hand for the other.
func TestAClientThatLeavesInTheMiddleTakesNobodysAnswerWithIt(t *testing.T) {
	var left, ended atomic.Int64
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_, _ = io.WriteString(w, "answer ")
		_ = http.NewResponseController(w).Flush()
		if g.wait(r) {
			_, _ = fmt.Fprint(w, n)
		}
	})
	s := start(t, b, items, watched(&left, &ended))
	leave := s.leaver(b, "/items/1", 1)
	rest := s.together(1, "/items/1", same())
	s.awaitOpens(2)
	leave()
	await(t, "the first one's handler has returned", func() bool { return ended.Load() == 1 })
	open()
	if a := rest()[0]; a.body != "answer 1" || b.requests.Load() != 1 {
		t.Errorf("%q %q, the backend saw %d requests", a.body, a.cache(), b.requests.Load())
	}
}

// No patience is for an answer that has begun to come.
func TestABodyThatHasBegunIsWaitedFor(t *testing.T) {
	const patience = 300 * time.Millisecond
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_, _ = io.WriteString(w, "answer ")
		_ = http.NewResponseController(w).Flush()
		if n > 1 || g.wait(r) {
			_, _ = fmt.Fprint(w, n)
		}
	})
	s := start(t, b, items, waits(patience))
	begun := make(chan struct{})
	first := make(chan string, 1)
	go func() { // ends with the answer
		resp, err := client.Get(s.url + "/items/1")
		close(begun)
		if err == nil {
			content, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			first <- string(content)
		}
	}()
	<-begun
	second := s.together(1, "/items/1", same())
	s.awaitOpens(2)
	time.Sleep(2 * patience) // a time that passes is what is tried
	open()
	if a := second()[0]; a.body != "answer 1" {
		t.Errorf("the second one got %q %q", a.body, a.cache())
	}
	if got := <-first; got != "answer 1" {
		t.Errorf("the first one got %q", got)
	}
}

func TestAnAnswerThatIsNotFreshEnoughForTheOneThatWaitsIsNotItsAnswer(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, holds(g, counts("Cache-Control: max-age=10")))
	s := start(t, b, items)
	first := s.together(1, "/items/1", same())
	await(t, "the first one fetches", func() bool { return b.requests.Load() == 1 })
	second := s.together(1, "/items/1", same("Cache-Control: min-fresh=60"))
	s.awaitOpens(2)
	open()
	if a := append(first(), second()...); a[0].body != "answer 1" || a[1].body != "answer 2" {
		t.Errorf("%q %q", a[0].body, a[1].body)
	}
}

// The names of an answer are known from the second time on: the guard of them is then opened, and
// proves that nothing was written to them.
func TestAnAnswerThatNamesItsTagsItselfIsSharedOnceThatIsKnown(t *testing.T) {
	var held atomic.Pointer[gate]
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPut || held.Load().wait(r) {
			counts("Surrogate-Key: a")(w, r, n)
		}
	})
	s := start(t, b, items)
	for _, want := range []int64{3, 1} {
		g, open := newGate(t)
		held.Store(&g)
		s.do(t.Context(), http.MethodPut, "/items/1", nil)
		before, opens := b.requests.Load(), s.operations("open")
		wait := s.together(3, "/items/1", same())
		s.awaitOpens(opens + 3)
		open()
		for i, a := range wait() {
			if a.status != http.StatusOK {
				t.Errorf("client %d got %d %v", i, a.status, a.err)
			}
		}
		if n := b.requests.Load() - before; n != want {
			t.Errorf("the backend saw %d requests, want %d", n, want)
		}
	}
}

func TestNobodyWaitsWhereAnAnswerWasOfNoUseToOthers(t *testing.T) {
	for name, answers := range map[string]func(http.ResponseWriter, *http.Request, int){
		"too long":     long(1<<20+1, false),
		"stale":        counts("Cache-Control: max-age=1", "Age: 5", `ETag: "a"`),
		"to validate":  counts("Cache-Control: no-cache, max-age=60", `ETag: "a"`),
		"of a trailer": trailing,
	} {
		t.Run(name, func(t *testing.T) {
			g, open := newGate(t)
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if n == 1 || g.wait(r) {
					answers(w, r, n)
				}
			})
			s := start(t, b, items, waits(time.Hour))
			s.get("/items/1")
			s.get("/items/1", "Cache-Control: only-if-cached") // waits for the store
			s.apart(b, open, 3, "/items/1", same())
		})
	}
}

// trailing has trailers that nobody announced.
func trailing(w http.ResponseWriter, _ *http.Request, n int) {
	w.Header().Set("Cache-Control", "max-age=60")
	fmt.Fprint(w, "answer ", n)
	_ = http.NewResponseController(w).Flush()
	w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
}

// One that did not join says nothing of those who do.
func TestAReloadThatIsNotStoredKeepsNobodyFromSharing(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			counts("Cache-Control: no-store")(w, r, n)
		} else if g.wait(r) {
			counts()(w, r, n)
		}
	})
	s := start(t, b, items)
	s.get("/items/1", "Cache-Control: no-cache")
	opens := s.operations("open")
	wait := s.together(3, "/items/1", same())
	s.awaitOpens(opens + 3)
	open()
	wait()
	if n := b.requests.Load(); n != 2 {
		t.Errorf("the backend saw %d requests", n)
	}
}

func TestAHEADAndAGETDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	g, open := newGate(t)
	d := &document{fields: []string{"Cache-Control: max-age=1"}}
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 || g.wait(r) {
			d.answer(w, r, n)
		}
	})
	s := start(t, b, validated, waits(time.Hour))
	s.awaitStale("/items/1")
	answers := make(chan answer, 2)
	for i, method := range []string{http.MethodHead, http.MethodGet} {
		go func() { answers <- s.do(t.Context(), method, "/items/1", nil) }() // ends with the gate
		await(t, method+" is at the backend", func() bool { return int(b.requests.Load()) == i+2 })
	}
	open()
	for range 2 {
		if a := <-answers; a.status != http.StatusOK {
			t.Errorf("%d %v", a.status, a.err)
		}
	}
}
