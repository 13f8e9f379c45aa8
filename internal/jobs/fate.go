package jobs

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

// A fate says whether Redis executed a script.
type fate int

const (
	unsent   fate = iota // it never left this process, and never will
	unknown              // it was sent, and there is no answer: Redis may execute it yet
	refused              // Redis answered that it did not execute it
	executed             // Redis answered
)

// certainlyNot reports whether the script was not executed and will not be.
func (f fate) certainlyNot() bool { return f == unsent || f == refused }

var errAbandoned = errors.New("jobs: nobody waits for this command any more")

// once calls f through Redis.Do and returns the fate of the one script that f sends, with the
// client that it is given or with another traced one.
func once(
	ctx context.Context, via Redis, b *redisconn.Budget, op string,
	f func(context.Context, redis.UniversalClient) error,
) (fate, error) {
	t := &tracer{}
	err := via.Do(ctx, b, op, func(ctx context.Context, c redis.UniversalClient) error {
		err := f(context.WithValue(ctx, tracerKey{}, t), traced{c})
		if raw := t.failure(); raw != nil {
			return raw // asynq's errors do not wrap their cause
		}
		return err
	})
	return t.close(), err
}

type tracerKey struct{}

// A tracer follows one script. Once closed it lets nothing more out, so that "unsent" stays true
// though somebody may still be at work with its context.
type tracer struct {
	mu     sync.Mutex
	fate   fate
	err    error
	closed bool
}

// begin reports whether the script may be sent.
func (t *tracer) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.fate, t.err = unknown, nil
	return true
}

func (t *tracer) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return // the caller has drawn its conclusions
	}
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		t.fate = executed
		return
	case isReply(err):
		t.fate = refused
	case neverSent(err):
		t.fate = unsent
	}
	t.err = err
}

func (t *tracer) failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

func (t *tracer) close() fate {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.fate
}

// isReply reports whether err is Redis's own answer.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// neverSent reports whether err came before there was a connection to send on. Unknown errors count
// as sent.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, redis.ErrPoolTimeout) ||
		errors.Is(err, redis.ErrClosed)
}

// traced is a client that reports the fate of a script to the tracer in the command's context.
// asynq sends one script for each operation: by its digest first and, if Redis does not know the
// digest, in full. A joined part in the context joins it.
type traced struct{ redis.UniversalClient }

// EvalSha implements redis.Scripter.
func (c traced) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if joinedOf(ctx) != nil {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(errNoScript{})
		return cmd
	}
	return trace(ctx, func() *redis.Cmd {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	})
}

// Eval implements redis.Scripter.
func (c traced) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	if part := joinedOf(ctx); part != nil {
		return part.run(ctx, c, script, keys, args)
	}
	return trace(ctx, func() *redis.Cmd {
		return c.UniversalClient.Eval(ctx, script, keys, args...)
	})
}

func trace(ctx context.Context, send func() *redis.Cmd) *redis.Cmd {
	t, ok := ctx.Value(tracerKey{}).(*tracer)
	if !ok {
		return send()
	}
	if !t.begin() {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(errAbandoned)
		return cmd
	}
	cmd := send()
	t.end(cmd.Err())
	return cmd
}
