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
