package store

import "sync"

// tasks are the goroutines that a store has begun. Unlike those of a sync.WaitGroup they may be
// waited for while another one begins. The zero value has none.
type tasks struct {
	mu      sync.Mutex
	running int
	none    chan struct{} // closed when none runs; nil: nobody waits
}

// Go runs f in a goroutine.
func (t *tasks) Go(f func()) {
	t.mu.Lock()
	t.running++
	t.mu.Unlock()
	go func() { // ends with f
		defer t.over()
		f()
	}()
}

func (t *tasks) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	t.tell()
}

// tell lets those go who wait, if nothing runs. t.mu is held.
func (t *tasks) tell() {
	if t.running == 0 && t.none != nil {
		close(t.none)
		t.none = nil
	}
}

// Ended is closed when there is none, now or later.
func (t *tasks) Ended() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.none == nil {
		t.none = make(chan struct{})
	}
	ended := t.none
	t.tell()
	return ended
}
