package redisconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

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

// away are the beginnings of error replies that say that this Redis cannot serve any command.
var away = []string{
	"READONLY", "LOADING", "OOM", "NOAUTH", "WRONGPASS", "NOPERM", "MASTERDOWN", "CLUSTERDOWN",
	"MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN",
	"UNBLOCKED", "ERR max number of clients", "ERR AUTH", "ERR invalid password",
}

// isFailure reports whether an error speaks against Redis itself: anything but an error reply to
// one odd command.
func isFailure(err error) bool {
	if _, ok := errors.AsType[dialError](err); ok {
		return true // also where a Sentinel replied with an error
	}
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return true
	}
	return says(reply.Error(), away)
}

// isReply reports whether err is a reply of a server.
func isReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// letIn are the beginnings of error replies to a connection that has to authenticate, or did so
// with a wrong or expired password.
var letIn = []string{
	"NOAUTH", "WRONGPASS", "ERR AUTH", "ERR invalid password", "ERR invalid username-password",
}

// isAccess reports whether a server did not let us in: it refused a password or a certificate, or
// we refused its certificate.
func isAccess(err error) bool {
	if err == nil {
		return false
	}
	if _, ok := errors.AsType[*tlsError](err); ok {
		// A server that ends, or hangs, refuses nothing.
		return !isTimeout(err) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET)
	}
	return isReply(err) && says(err.Error(), letIn) || strings.Contains(err.Error(), alert)
}

// alert begins the errors by which crypto/tls names the other side's refusal. In TLS 1.3 that of a
// client certificate comes after the handshake.
const alert = "remote error: tls: "

// demoted are the beginnings of error replies of a server that is not a primary, or not any more.
var demoted = []string{"READONLY", "MASTERDOWN", "UNBLOCKED"}

// isDemoted reports whether the server says that it is no primary.
func isDemoted(err error) bool { return says(err.Error(), demoted) }

// says reports whether a message begins with one of the words, or quotes an error that does.
func says(message string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool {
		return strings.HasPrefix(message, w) || strings.Contains(message, " "+w+" ")
	})
}

// isTimeout reports whether err is the end of a time.
func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
}

// Uncertain reports whether a command may have been executed although it failed: always, unless
// nothing was sent or Redis itself refused it. A redirection says nothing: the library leaves it on
// commands that were redirected and sent, and whose connection broke then.
func Uncertain(err error) bool {
	if err == nil || errors.Is(err, ErrAway) || errors.Is(err, ErrBudget) ||
		errors.Is(err, ErrUnproved) {
		return false
	}
	if _, ok := errors.AsType[dialError](err); ok {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	return !isReply(err) || strings.HasPrefix(err.Error(), "MOVED ") ||
		strings.HasPrefix(err.Error(), "ASK ")
}

// Reason is why a request went past the cache after this error.
func Reason(err error) reason.Reason {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrAway):
		return reason.BreakerOpen
	case errors.Is(err, ErrBudget), errors.Is(err, ErrUnproved), isTimeout(err):
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
