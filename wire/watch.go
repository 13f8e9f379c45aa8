package wire

import (
	"context"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// How long after it began a request is looked after that is answered below net/http, where nobody
// reads from the connection meanwhile: at least minWatch, and at most twice that. Answers that take
// long, as event streams do, are looked after more and more rarely, up to maxWatch, by an eighth
// with each look: there may be thousands of them.
const (
	minWatch = 100 * time.Millisecond
	maxWatch = 2 * time.Second
)

// A watch ends the context of a request when its client leaves, or the process ends. It also looks
// once whether a client that is waited for has left. The zero value watches nothing.
type watch struct {
	mu    sync.Mutex
	life  *life         // of the request that is being answered; nil: there is none
	waits bool          // there is none, and another one is waited for
	over  bool          // the client has left meanwhile
	more  bool          // bytes behind the request have been read
	timer *time.Timer   // looks after it; nil before the first
	runs  bool          // timer is running, for this request or since an earlier one
	early bool          // since an earlier one: the first look would be too early
	every time.Duration // from one look to the next
	leave func() bool   // forgets the process, of the timer's time; nil before the first
}

// live begins to watch, and returns the context of the request.
func (c *conn) live() context.Context {
	w, l := &c.watch, &life{base: c.quick.Base}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.life, w.waits, w.early, w.more = l, false, w.runs, c.more
	if w.leave == nil {
		w.leave = context.AfterFunc(l.base, w.end)
	}
	c.watched()
	if l.base.Err() != nil {
		l.end()
	}
	return l
}

// watched has the timer run. It may still do so for an earlier request. mu is held.
func (c *conn) watched() {
	w := &c.watch
	switch {
	case w.runs:
		return
	case w.timer == nil:
		w.timer = time.AfterFunc(minWatch, c.look)
	default:
		w.timer.Reset(minWatch)
	}
	w.every, w.runs = minWatch, true
}

// await says that the connection waits for a request without a read in vain (socket.Wait), and so
// may not hear of an end that came with the request before. It reports false if the client has
// left.
func (c *conn) await() bool {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = true
	c.watched()
	return !w.over
}

// look runs in the timer's goroutine.
func (c *conn) look() {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.runs = false
	switch {
	case w.life == nil && !w.waits:
	case w.life != nil && w.early: // who only ended its own direction gets an answer that is quick
		w.early = false
		w.every, w.runs = minWatch, true
		w.timer.Reset(minWatch)
	case w.life != nil && w.more: // bytes that still wait in the system hide the end likewise
		if isGone(c.Conn) {
			w.left(c)
			return
		}
		w.lookLater()
	case hasLeft(c.Conn):
		w.left(c)
	case w.life != nil:
		w.lookLater()
	}
}

// lookLater has the timer run once more. mu is held.
func (w *watch) lookLater() {
	w.every = min(w.every+w.every/8, maxWatch)
	w.timer.Reset(w.every)
	w.runs = true
}

// left is called when the client has left. mu is held.
func (w *watch) left(c *conn) {
	if w.life != nil {
		w.life.end()
		return
	}
	w.over = true
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // nothing more comes
}

// hasLeft reports whether the client was found to have left while it was waited for, and ends that.
func (w *watch) hasLeft() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = false
	return w.over
}

// end ends the context of the request. The timer runs on: it is not set for each request.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.life == nil {
		return
	}
	w.life.end()
	w.life = nil
	if w.every > minWatch {
		w.stop() // the next request is to be looked after sooner
	}
}

// close is for a connection that ends.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leave != nil {
		w.leave()
	}
	if w.timer != nil {
		w.stop()
	}
}

// stop stops the timer. mu is held.
func (w *watch) stop() {
	w.timer.Stop()
	w.runs = false
}

// A life is the context of one request. One of package context would be a child of base, beside all
// the others, and have a channel that is mostly not asked for.
type life struct {
	base context.Context // for its values

	over  atomic.Bool // set while mu is held
	mu    sync.Mutex
	done  chan struct{} // nil: nobody has asked for it
	after []io.Closer   // to be closed when it is over
	room  [1]io.Closer  // for nearly all requests
}

// A task is a function that waits for the end of a life.
type task struct{ run func() }

// Close implements io.Closer.
func (t *task) Close() error {
	t.run()
	return nil
}

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
		if l.over.Load() {
			close(l.done)
		}
	}
	return l.done
}

// Err implements context.Context.
func (l *life) Err() error {
	if l.over.Load() {
		return context.Canceled
	}
	return nil
}

// AfterFunc runs f in a goroutine of its own when the life is over. stop keeps it from that, and
// reports whether it did. Package context uses it for children.
func (l *life) AfterFunc(f func()) (stop func() bool) {
	t := &task{f}
	l.Attach(t)
	return func() bool { return l.Detach(t) }
}

// Attach has c closed, in a goroutine of its own, when the life is over.
func (l *life) Attach(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over.Load() {
		go c.Close()
		return
	}
	if l.after == nil {
		l.after = l.room[:0]
	}
	l.after = append(l.after, c)
}

// Detach keeps an attached c from being closed, and reports whether it did.
func (l *life) Detach(c io.Closer) (untouched bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.after, c)
	if i >= 0 {
		l.after = slices.Delete(l.after, i, i+1)
	}
	return i >= 0
}

// end ends it, for good.
func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over.Swap(true) {
		return
	}
	if l.done != nil {
		close(l.done)
	}
	for _, c := range l.after {
		go c.Close()
	}
	l.after = nil
}
