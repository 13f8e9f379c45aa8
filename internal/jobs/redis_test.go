package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// interrupting calls before[op] once, before the operation of that name. While it is shut it
// behaves like a connection whose breaker is open.
type interrupting struct {
	Redis
	shut   atomic.Bool
	mu     sync.Mutex
	before map[string]func()
	done   []string // all operations
}

// ops are the operations so far.
func (i *interrupting) ops() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.done)
}

// State implements Redis.
func (i *interrupting) State() redisconn.State {
	if i.shut.Load() {
		return redisconn.Open
	}
	return i.Redis.State()
}

// at lets f happen before the next operation of this name.
func (i *interrupting) at(op string, f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.before[op] = f
}

func (i *interrupting) Do(
	ctx context.Context, b *redisconn.Budget, op string,
	f func(context.Context, redis.UniversalClient) error,
) error {
	shut := i.shut.Load()
	i.mu.Lock()
	i.done = append(i.done, op)
	before := i.before[op]
	delete(i.before, op)
	i.mu.Unlock()
	if before != nil {
		before()
	}
	if shut {
		return redisconn.ErrAway
	}
	return i.Redis.Do(ctx, b, op, f)
}

// dump is everything that stands in Redis, with the names of the keys.
func dump(r *redisd.Server) string {
	var all strings.Builder
	for _, key := range r.Do("KEYS", "*").([]any) {
		var value any
		switch r.Do("TYPE", key) {
		case "string":
			value = r.Do("GET", key)
		case "hash":
			value = r.Do("HGETALL", key)
		case "list":
			value = r.Do("LRANGE", key, 0, -1)
		case "set":
			value = r.Do("SMEMBERS", key)
		case "zset":
			value = r.Do("ZRANGE", key, 0, -1)
		}
		fmt.Fprintf(&all, "%v: %v\n", key, value)
	}
	return all.String()
}

// awaitTrue waits until the condition holds.
func awaitTrue(t *testing.T, what string, holds func() bool) {
	t.Helper()
	proc.Await(t, 20*time.Second, func() error {
		if !holds() {
			return errors.New("not yet: " + what)
		}
		return nil
	})
}

// awaitRequests waits until the API was asked n times.
func (w *world) awaitRequests(n int) {
	w.t.Helper()
	awaitTrue(w.t, fmt.Sprintf("%d requests", n), func() bool { return len(w.requests()) >= n })
}

// taskKey is where asynq keeps the task of a job.
func (w *world) taskKey(id string) string {
	return "asynq:{" + w.queue.asynq("default") + "}:t:" + id
}

// retryAt is when asynq gives the task to a worker again; zero if it does not wait for that.
func (w *world) retryAt(r *redisd.Server, id string) time.Time {
	switch score := r.Do("ZSCORE", "asynq:{"+w.queue.asynq("default")+"}:retry", id).(type) {
	case string:
		var seconds int64
		_, _ = fmt.Sscan(score, &seconds)
		return time.Unix(seconds, 0)
	case float64:
		return time.Unix(int64(score), 0)
	}
	return time.Time{}
}
