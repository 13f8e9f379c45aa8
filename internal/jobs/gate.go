package jobs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	gatePause    = 500 * time.Millisecond // after the first refused connection; doubled for each that follows
	maxGatePause = 10 * time.Second
	// redisPause is between two looks for tasks while Redis does not answer: asynq itself does not
	// wait at all.
	redisPause = 500 * time.Millisecond
)

// A gate keeps workers from taking jobs while the backend refuses connections: other sidecars,
// whose backend may be up, can have them meanwhile. The zero value is open.
type gate struct {
	mu     sync.Mutex
	pause  time.Duration
	closed time.Time // until when
}

// shut closes the gate for a while, longer each time until a connection is made.
func (g *gate) shut(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Before(g.closed) {
		return // others of those that were let through together
	}
	g.pause = min(max(gatePause, 2*g.pause), maxGatePause)
	g.closed = now.Add(g.pause)
}

// reached says that there was a connection.
func (g *gate) reached() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pause, g.closed = 0, time.Time{}
}

func (g *gate) open(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !now.Before(g.closed)
}

// taking is the client of asynq's server. It finds no task while the gate is shut, and takes its
// time when Redis fails.
type taking struct {
	redis.UniversalClient
	gate *gate
	done <-chan struct{} // ends a pause
}

// EvalSha implements redis.Scripter.
func (c taking) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.guard(ctx, keys, func() *redis.Cmd { return c.UniversalClient.EvalSha(ctx, sha, keys, args...) })
}

// Eval implements redis.Scripter.
func (c taking) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.guard(ctx, keys, func() *redis.Cmd { return c.UniversalClient.Eval(ctx, script, keys, args...) })
}

func (c taking) guard(ctx context.Context, keys []string, send func() *redis.Cmd) *redis.Cmd {
	if !takesTask(keys) {
		return send()
	}
	if !c.gate.open(time.Now()) {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil) // as if the queue were empty
		return cmd
	}
	cmd := send()
	if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT") {
		select {
		case <-c.done:
		case <-time.After(redisPause):
		}
	}
	return cmd
}

// takesTask reports whether the script with these keys takes a task off a queue: asynq's only one
// that first looks whether the queue is paused.
func takesTask(keys []string) bool {
	return len(keys) == 4 && strings.HasPrefix(keys[1], "asynq:{") && strings.HasSuffix(keys[1], "}:paused")
}
