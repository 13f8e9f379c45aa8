package redisconn

// Waiting is how many reads wait for their batch and have not been left.
func (c *Conn) Waiting() (n int) {
	c.reads.mu.Lock()
	defer c.reads.mu.Unlock()
	for _, read := range c.reads.waiting {
		if !read.left.Load() {
			n++
		}
	}
	return n
}

// FillQueue makes as many commands be under way as may be, and as many reads wait as may, all of
// which were left. The function it returns ends these commands.
func (c *Conn) FillQueue() (end func()) {
	b := c.reads
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent += maxReads
	for range maxWaiting {
		read := &batched{keys: []string{"key"}, done: make(chan struct{}, 1)}
		read.left.Store(true)
		b.waiting = append(b.waiting, read)
	}
	return func() {
		for range maxReads {
			b.pass()
		}
	}
}

// Queued are all reads that wait, also those that were left.
func (c *Conn) Queued() int {
	c.reads.mu.Lock()
	defer c.reads.mu.Unlock()
	return len(c.reads.waiting)
}
