package redisconn

import (
	"context"
	"time"
)

// Times of rotation.
const (
	rotationEvery = time.Second // how often the files are read
	// retireAfter is when connections that were let go are closed. No command takes so long: they
	// are idle, or subscriptions, which subscribe again.
	retireAfter = ioTimeout + time.Second
)

// rotate looks again and again whether passwords and certificates were replaced, until ctx is done.
// When a server lets the newest in, the connections of older ones are let go.
func (c *Conn) rotate(ctx context.Context) {
	if !c.keeper.rotates() {
		return
	}
	tick := time.NewTicker(rotationEvery)
	defer tick.Stop()
	var last time.Time // when connections were retired
	for {
		if c.renew(ctx) {
			last = time.Now()
		}
		if !last.IsZero() && time.Since(last) > retireAfter {
			c.open.dropRetired()
			last = time.Time{}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renew tries the newest access, if it is not in use, and reports whether it is now.
func (c *Conn) renew(ctx context.Context) bool {
	inUse := c.keeper.using()
	newest, err := c.keeper.read()
	if err == nil && inUse != nil && inUse.sum == newest.sum {
		c.unrenewed.clear()
		return false
	}
	if err == nil {
		err = c.try(ctx, newest)
	}
	if err != nil {
		if text := explain(c.redis, err); inUse != nil && ctx.Err() == nil &&
			c.unrenewed.set(text, time.Now()) {
			c.log.Warn("a new password or certificate cannot be used; the old one is", "redis",
				c.name, "why", text)
		}
		return false
	}
	c.unrenewed.clear()
	c.keeper.admitted(newest)
	c.open.retire(newest)
	if inUse != nil {
		c.log.Info("a new password or certificate is in use: connections of the old one are let go",
			"redis", c.name)
	}
	return true
}

// Unrenewed says why a new password or certificate cannot be used, while the old one still can; ""
// if there is none.
func (c *Conn) Unrenewed() string { return c.unrenewed.get() }

// try reports whether a server lets a connection with the access a in.
func (c *Conn) try(ctx context.Context, a *access) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs := c.redis.Cluster.List()
	if len(addrs) == 0 {
		var err error
		if addrs, err = c.addrs(ctx); err != nil {
			return err
		}
	}
	var failed error
	for _, addr := range addrs {
		err := func() error {
			client := c.fresh(addr, a)
			defer client.Close()
			return client.Ping(ctx).Err()
		}()
		if err == nil || isReply(err) && !isAccess(err) {
			return nil
		}
		failed = err
	}
	return failed
}
