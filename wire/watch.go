package wire

import (
	"context"
	"sync"
	"time"
)

// watchInterval is how long it takes at most to notice that a client has left while its request is
// answered below net/http, where nobody reads from the connection meanwhile.
const watchInterval = 100 * time.Millisecond

// A watch ends the context of a request when its client leaves. The zero value watches nothing.
type watch struct {
	mu     sync.Mutex
	cancel context.CancelFunc // of the request that is being answered; nil: there is none
	timer  *time.Timer        // runs while there is one; nil before the first
}

// live begins to watch, and returns the context of the request.
func (c *conn) live() context.Context {
	ctx, cancel := context.WithCancel(c.quick.Base)
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel = cancel
	if w.timer == nil {
		w.timer = time.AfterFunc(watchInterval, c.look)
	} else {
		w.timer.Reset(watchInterval)
	}
	return ctx
}

// look runs in the timer's goroutine.
func (c *conn) look() {
	w := &c.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.cancel == nil:
	case hasLeft(c.Conn):
		w.cancel()
	default:
		w.timer.Reset(watchInterval)
	}
}

// end ends the context.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		w.timer.Stop()
		w.cancel()
		w.cancel = nil
	}
}
