package backend

import (
	"sync"
	"time"
)

// A pool holds connections that wait for their next request, the latest on top. It is safe for
// concurrent use. Close ends it.
type pool struct {
	mu     sync.Mutex
	idle   []*conn     // in the order in which they became idle
	sweep  *time.Timer // runs while there are some; nil before the first
	closed bool
	wary   time.Time // until then no connection is kept
	trials int       // how often a connection was used again since the backend was last not trusted
}

// A backend that has said more than its answer held will do so again, and may do it when the next
// request is already on its way: for waryTime none of its connections is used twice. Bytes that
// come later than surplusTime after an answer are no part of it, but the end of an idle connection,
// which some servers announce.
const (
	waryTime    = 10 * time.Minute
	surplusTime = time.Second
)

// Of a backend that is not known yet, a connection is used again only when it has been silent for
// trialTime, which is waited for: surplus bytes are noticed before they can be taken for another
// answer. After maxTrials it is trusted.
const (
	trialTime = 20 * time.Millisecond
	maxTrials = 16
)

// beWary closes the idle connections, and for a while those that become idle.
func (p *pool) beWary() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wary, p.trials = time.Now().Add(waryTime), 0
	p.closeIdle()
}

// get takes the connection that was used last; nil if there is none. A connection that can be read
// is closed: the backend has ended it, or sends something unasked. checked is false where that is
// still to be found out, by asking; so it may be left if mayAsk. now is the time.
func (p *pool) get(now time.Time, mayAsk bool) (c *conn, checked bool) {
	for {
		c, onTrial := p.pop()
		switch {
		case c == nil:
			return nil, true
		case !c.by.After(now):
			c.takeTime() // it would keep quiet from looking
		}
		switch {
		case onTrial:
			time.Sleep(trialTime - time.Since(c.since))
		case mayAsk && c.asker != nil:
			return c, false
		}
		if c.quiet() {
			return c, true
		}
		p.discard(c)
	}
}

// discard closes a connection that was not quiet.
func (p *pool) discard(c *conn) {
	_ = c.Close()
	if c.spoke && time.Since(c.since) < surplusTime {
		p.beWary()
	}
}

func (p *pool) pop() (c *conn, onTrial bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle) - 1
	if n < 0 {
		return nil, false
	}
	c = p.idle[n]
	p.idle[n] = nil
	p.idle = p.idle[:n]
	if onTrial = p.trials < maxTrials; onTrial {
		p.trials++
	}
	return c, onTrial
}

// put keeps a connection for idleTimeout. It is closed if there are enough.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.since = time.Now()
	if p.closed || len(p.idle) >= idleConnections || c.since.Before(p.wary) {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	switch {
	case p.sweep == nil:
		p.sweep = time.AfterFunc(idleTimeout, p.expire)
	case len(p.idle) == 1:
		p.sweep.Reset(idleTimeout)
	}
}

// expire closes the connections that waited too long, and runs again when the next one will have.
// It runs in the timer's goroutine.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= idleTimeout {
		_ = p.idle[n].Close()
		n++
	}
	left := copy(p.idle, p.idle[n:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
	if left > 0 && !p.closed {
		p.sweep.Reset(idleTimeout - now.Sub(p.idle[0].since))
	}
}

// Close closes the idle connections, and from now on those that become idle.
func (p *pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.closeIdle()
}

// closeIdle closes the idle connections. mu is held.
func (p *pool) closeIdle() {
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
}
