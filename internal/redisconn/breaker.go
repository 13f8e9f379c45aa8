package redisconn

import (
	"errors"

	"github.com/sony/gobreaker/v2"
)

// newBreaker returns the breaker that the settings describe. It wraps whole operations and is not
// go-redis's Limiter, which takes redis.Nil and a caller that left for failures, once for each
// retry.
func newBreaker(o Options, changed func(State)) *gobreaker.CircuitBreaker[struct{}] {
	s := o.Breaker
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        o.Name,
		MaxRequests: s.MaxRequests,
		Interval:    s.Interval,
		Timeout:     s.Timeout,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.Requests >= s.MinRequests &&
				float64(c.TotalFailures) >= s.FailureRatio*float64(c.Requests)
		},
		IsSuccessful: func(err error) bool { return err == nil || !isFailure(err) },
		IsExcluded:   func(err error) bool { return errors.Is(err, errLeft) },
		// gobreaker's lock is held meanwhile: nothing here may wait.
		OnStateChange: func(_ string, _, to gobreaker.State) { changed(stateOf(to)) },
	})
}

func stateOf(s gobreaker.State) State {
	switch s {
	case gobreaker.StateHalfOpen:
		return HalfOpen
	case gobreaker.StateOpen:
		return Open
	}
	return Closed
}

// stateChanged logs a change and hands it on.
func (c *Conn) stateChanged(next func(State)) func(State) {
	return func(to State) {
		switch to {
		case Open:
			c.log.Warn("redis is away: the breaker opens, requests go past it", "redis", c.name)
		case Closed:
			c.log.Info("redis is back: the breaker closes", "redis", c.name)
		}
		if next != nil {
			next(to)
		}
	}
}

// State is the breaker's state now.
func (c *Conn) State() State { return stateOf(c.breaker.State()) }
