package peek

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// stalled is the body of a client that sends n bytes, and the rest when it is told to go on.
func stalled(t *testing.T, n int, rest string) (body io.ReadCloser, goOn func()) {
	r, w := io.Pipe()
	told := make(chan struct{})
	goOn = sync.OnceFunc(func() { close(told) })
	t.Cleanup(goOn)
	go func() {
		_, _ = w.Write(bytes.Repeat([]byte("x"), n))
		<-told
		_, _ = io.WriteString(w, rest)
		_ = w.Close()
	}()
	return r, goOn
}

func (r *Room) state() (used int64, awaited int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used, len(r.awaited)
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

func TestABodyInARoom(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name  string
		body  io.Reader
		whole bool
		err   error
	}{
		{"short", strings.NewReader("0123456789"), true, nil},
		{"too long", strings.NewReader("0123456789a"), false, nil},
		{"empty", strings.NewReader(""), true, nil},
		{"broken", io.MultiReader(strings.NewReader("0123"), failing{broken}), false, broken},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewRoom(1<<20, time.Minute)
			var want bytes.Buffer
			h := r.Body(io.NopCloser(io.TeeReader(c.body, &want)), 10)
			if h.Whole != c.whole || !errors.Is(h.Err, c.err) || (h.Err == nil) != (c.err == nil) {
				t.Fatalf("whole %t, %v", h.Whole, h.Err)
			}
			again, err := io.ReadAll(h.Again)
			if !errors.Is(err, c.err) || string(again) != want.String() {
				t.Errorf("read again: %q %v, want %q", again, err, &want)
			}
			if h.Whole && string(h.Content) != want.String() {
				t.Errorf("content %q", h.Content)
			}
			h.Release()
			if used, awaited := r.state(); used != 0 || awaited != 0 {
				t.Errorf("%d bytes, %d bodies are left", used, awaited)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// newest is how much is held of the body that has been awaited for the shortest time.
func (r *Room) newest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.awaited) == 0 {
		return 0
	}
	return len(r.awaited[len(r.awaited)-1].content)
}

// waiting is how many bodies are awaited.
func (r *Room) waiting() int {
	_, n := r.state()
	return n
}

// Over the bound the bodies that have been awaited longest go on, and none is refused.
func TestStalledBodiesHoldNoMoreThanTheRoom(t *testing.T) {
	const bodies, size, bound = 300, 1<<20 - 1, 16 << 20
	r := NewRoom(bound, time.Minute)
	var waiting sync.WaitGroup
	passed := make(chan int, bodies)
	var ends []func()
	gone := 0
	for i := range bodies {
		body, goOn := stalled(t, size-1, "x")
		ends = append(ends, goOn)
		waiting.Go(func() {
			h := r.Body(body, 1<<20)
			defer h.Release()
			if h.Err != nil || h.Whole != (len(h.Content) == size) {
				t.Errorf("whole %t, %v", h.Whole, h.Err)
			}
			passed <- i
			if n, err := io.Copy(io.Discard, h.Again); n != size || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
		await(t, "the body is held as far as it comes", func() bool {
			return r.newest() == size-1 && gone+len(passed)+r.waiting() == i+1
		})
		for ; len(passed) > 0; gone++ {
			if oldest := <-passed; oldest != gone {
				t.Errorf("body %d was let go before body %d", oldest, gone)
			}
		}
	}
	if gone < bodies-bound/size {
		t.Errorf("%d of %d were let go", gone, bodies)
	}
	if used, _ := r.state(); used > bound {
		t.Errorf("%d bytes are held", used)
	}
	for _, goOn := range ends {
		goOn()
	}
	waiting.Wait()
	if used, awaited := r.state(); used != 0 || awaited != 0 {
		t.Errorf("%d bytes, %d bodies are left", used, awaited)
	}
}

// Bodies that are complete are needed, so they keep their room; one that comes goes on unread.
func TestABodyThatFindsNoRoomGoesOn(t *testing.T) {
	r := NewRoom(100, time.Minute)
	first := r.Body(io.NopCloser(strings.NewReader(strings.Repeat("x", 90))), 1000)
	second := r.Body(io.NopCloser(strings.NewReader(strings.Repeat("y", 90))), 1000)
	if !first.Whole {
		t.Fatal("the first is let go")
	}
	again, err := io.ReadAll(second.Again)
	if string(again) != strings.Repeat("y", 90) || err != nil {
		t.Errorf("%q %v", again, err)
	}
	first.Release()
	second.Release()
	if used, _ := r.state(); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
}

func TestABodyIsAwaitedForATime(t *testing.T) {
	r := NewRoom(1<<20, 20*time.Millisecond)
	body, goOn := stalled(t, 5, "rest")
	h := r.Body(body, 100)
	if h.Whole || h.Err != nil {
		t.Fatalf("whole %t, %v", h.Whole, h.Err)
	}
	goOn()
	again, err := io.ReadAll(h.Again)
	if string(again) != "xxxxxrest" || err != nil {
		t.Errorf("%q %v", again, err)
	}
}
