package wire

import (
	"context"
	"sync"
	"time"
)

// How long it takes at most to notice that a client has left while its request is answered below
// net/http, where nobody reads from the connection meanwhile: minWatch at first. For answers that
// take long, as event streams do, it becomes longer by an eighth with each look, up to maxWatch:
// there may be thousands of them.
const (
	minWatch = 100 * time.Millisecond
	maxWatch = 2 * time.Second
)

// A watch ends the context of a request when its client leaves, or the process ends. The zero value
// watches nothing.
type watch struct {
	mu    sync.Mutex
	life  *life         // of the request that is being answered; nil: there is none
	timer *time.Timer   // runs while there is one; nil before the first
	every time.Duration // from one look to the next
	leave func() bool   // forgets the process, of the timer's time; nil before the first
}

// live begins to watch, and returns the context of the request.
func (c *conn) live() context.Context {
	w, l := &c.watch, &life{base: c.quick.Base}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life, w.every = l, minWatch
	if w.timer == nil {
		w.timer = time.AfterFunc(w.every, c.look)
		w.leave = context.AfterFunc(l.base, w.end)
	} else {
		w.timer.Reset(w.every)
	}
	if l.base.Err() != nil {
		l.end()
	}
	return l
}

// look runs in the timer's goroutine.
func (c *conn) look() {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.life == nil:
	case hasLeft(c.Conn):
		w.life.end()
	default:
		w.every = min(w.every+w.every/8, maxWatch)
		w.timer.Reset(w.every)
	}
}

// end ends the context of the request.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life != nil {
		w.timer.Stop()
		w.life.end()
		w.life = nil
	}
}

// close is for a connection that ends.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leave != nil {
		w.leave()
	}
}

// A life is the context of one request. One of package context would be a child of base, beside all
// the others, and have a channel that is mostly not asked for.
type life struct {
	base context.Context // for its values

	mu    sync.Mutex
	over  bool
	done  chan struct{} // nil: nobody has asked for it
	after []*task       // to be run when it is over
	room  [1]*task      // for nearly all requests
}

// A task is a function that waits for the end of a life.
type task struct{ run func() }

// Deadline implements context.Context.
func (l *life) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (l *life) Value(key any) any { return l.base.Value(key) }

// Done implements context.Context.
func (l *life) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		l.done = make(chan struct{})
		if l.over {
			close(l.done)
		}
	}
	return l.done
}

// Err implements context.Context.
func (l *life) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return context.Canceled
	}
	return nil
}

// AfterFunc runs f in a goroutine of its own when the life is over. stop keeps it from that, and
// reports whether it did. Package context uses it for children.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := &task{f}
	if l.over {
		go f()
		return func() bool { return false }
	}
	if l.after == nil {
		l.after = l.room[:0]
	}
	l.after = append(l.after, t)
	return func() bool { return l.forget(t) }
}

func (l *life) forget(t *task) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.after {
		if other == t {
			last := len(l.after) - 1
			l.after[i], l.after[last] = l.after[last], nil
			l.after = l.after[:last]
			return true
		}
	}
	return false
}

// end ends it, for good.
func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.over = true
	if l.done != nil {
		close(l.done)
	}
	for _, t := range l.after {
		go t.run()
	}
	l.after = nil
}
