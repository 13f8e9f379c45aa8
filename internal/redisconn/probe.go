package redisconn

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"
)

// Times of the probe.
const (
	probeEvery   = 250 * time.Millisecond // how often the breaker's state is looked at
	probeClosed  = time.Second            // how often a closed breaker's Redis is tried
	probeTimeout = time.Second            // bound of one trial
)

// A probe asks Redis whether it can serve. A PING would be answered by a read-only or full Redis
// too, so it writes and reads a key of its own.
type probe struct {
	key    string
	script *redis.Script
}

// newProbe's script has
//
//	KEYS  1: the probe's key
//	ARGV  1: the value to write
//	OUT   the value that was read back
func newProbe(key string) probe {
	return probe{key: key, script: redis.NewScript(`
redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
return redis.call('GET', KEYS[1])`)}
}

func (p probe) try(ctx context.Context, c redis.UniversalClient) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return p.script.Run(ctx, c, []string{p.key}, "1").Err()
}

// Run probes until ctx is done: a closed breaker's Redis once a second, so that one that died is
// noticed though nobody asks it and a connection is kept warm; a half-open one's until the breaker
// closes or opens again. Clients' requests are never trials.
func (c *Conn) Run(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	if c.watch != nil {
		watching.Go(func() { c.watch.run(ctx) })
	}
	watching.Go(func() { c.rotate(ctx) })
	watching.Go(func() { c.look(ctx) })
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var last time.Time
	for {
		switch c.State() {
		case HalfOpen:
			for range c.trials {
				if !c.trial(ctx) || c.State() != HalfOpen {
					break
				}
			}
		case Closed:
			if time.Since(last) >= probeClosed {
				last = time.Now()
				c.trial(ctx)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// trial is one probe, counted by the breaker.
func (c *Conn) trial(ctx context.Context) bool {
	_, err := c.breaker.Execute(func() (struct{}, error) {
		start := time.Now()
		err := outcome(ctx, c.probe.try(ctx, c.client))
		c.observe("probe", time.Since(start), err != nil)
		return struct{}{}, err
	})
	c.reached.Store(err == nil)
	switch {
	case err == nil:
		c.answered.Store(true)
		c.fault.clear()
	case !errors.Is(err, errLeft) && !errors.Is(err, gobreaker.ErrOpenState):
		c.failed(ctx, err)
	}
	return err == nil
}

// HasAnswered reports whether Redis has ever taken a probe's commands.
func (c *Conn) HasAnswered() bool { return c.answered.Load() }

// Healthy says why Redis is away; nil if it takes commands, as far as the last probe and the
// breaker know.
func (c *Conn) Healthy() error {
	fault := c.fault.get()
	switch {
	case c.State() != Closed && fault == "":
		return ErrAway
	case c.State() == Closed && c.reached.Load():
		return nil
	case fault == "":
		return errors.New("redis does not answer the probe")
	}
	return errors.New(fault)
}
