package redisconn

import (
	"context"
	"time"
)

// Failed notes an error of the probe or the watch.
func (c *Conn) Failed(err error) { c.failed(context.Background(), err) }

// Waiting is how many reads wait for their batch and have not been left.
func (c *Conn) Waiting() (n int) {
	c.reads.mu.Lock()
	defer c.reads.mu.Unlock()
	for _, read := range c.reads.waiting {
		if !read.left {
			n++
		}
	}
	return n
}

// Hold makes as many commands be under way as may be. The function it returns ends them.
func (c *Conn) Hold() (end func()) {
	b := c.reads
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += maxReads
	b.latest = time.Now()
	return func() {
		for range maxReads {
			b.pass()
		}
	}
}

// FillQueue is Hold, and makes as many reads wait as may, and leaves them all.
func (c *Conn) FillQueue() (end func()) {
	end = c.Hold()
	b := c.reads
	b.mu.Lock()
	defer b.mu.Unlock()
	for range maxWaiting {
		b.waiting = append(b.waiting,
			&batched{keys: []string{"key"}, done: make(chan struct{}, 1), left: true})
	}
	return end
}

// Counts are the requests and failures that the breaker has counted.
func (c *Conn) Counts() (requests, failures uint32) {
	counts := c.breaker.Counts()
	return counts.Requests, counts.TotalFailures
}

// Queued are all reads that wait, also those that were left.
func (c *Conn) Queued() int {
	c.reads.mu.Lock()
	defer c.reads.mu.Unlock()
	return len(c.reads.waiting)
}
