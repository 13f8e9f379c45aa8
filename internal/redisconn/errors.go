package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"sidecar/internal/reason"
)

// ErrAway means that the breaker is open: nothing was sent.
var ErrAway = errors.New("redis is away: the breaker is open")

// ErrBudget means that the request's time for Redis was spent before: nothing was sent.
var ErrBudget = errors.New("redis: the request's time budget is spent")

// errLeft marks an operation that ended because its caller left.
var errLeft = errors.New("redis: the caller left")

// outcome interprets an operation's error: redis.Nil is none, and a caller that left is no failure.
func outcome(caller context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		return nil
	case errors.Is(caller.Err(), context.Canceled):
		return fmt.Errorf("%w: %w", errLeft, err)
	}
	return err
}

// away are the beginnings of error replies that say that this Redis cannot serve, whatever is
// asked.
var away = []string{
	"READONLY", "LOADING", "OOM", "NOAUTH", "WRONGPASS", "NOPERM", "MASTERDOWN", "CLUSTERDOWN", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN",
	"UNBLOCKED", "ERR max number of clients", "ERR AUTH", "ERR invalid password",
}

// isFailure reports whether an error speaks against Redis itself: anything but an error reply to
// one odd command.
func isFailure(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return true
	}
	for _, beginning := range away {
		if strings.HasPrefix(reply.Error(), beginning) || strings.Contains(reply.Error(), " "+beginning+" ") {
			return true
		}
	}
	return false
}

// Uncertain reports whether a command may have been executed although it failed: always, unless
// nothing was sent or Redis itself refused it.
func Uncertain(err error) bool {
	if err == nil || errors.Is(err, ErrAway) || errors.Is(err, ErrBudget) {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	_, reply := errors.AsType[redis.Error](err)
	return !reply
}

// Reason is why a request went past the cache after this error.
func Reason(err error) reason.Reason {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrAway):
		return reason.BreakerOpen
	case errors.Is(err, ErrBudget), errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return reason.RedisTimeout
	}
	return reason.RedisError
}

// fromBreaker gives the breaker's own errors the name that callers know.
func fromBreaker(err error) error {
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return ErrAway
	}
	return err
}
