package jobs

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

const (
	gatePause    = 500 * time.Millisecond // after the first refused connection; then doubled
	maxGatePause = 10 * time.Second
	// redisPause is between two looks for tasks while Redis does not answer: asynq itself does not
	// wait at all.
	redisPause = 500 * time.Millisecond
	// gateLook is how often a shut gate is looked at.
	gateLook = 50 * time.Millisecond
	// strangerPause is before a sidecar takes a task that has lately met jobs of unknown routes.
	strangerPause = 50 * time.Millisecond
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

// taking is the client of asynq's server. It takes a task off a queue only while the backend and
// the job store can be had, and looks at empty queues only when there is news of them, or
// seldom.
type taking struct {
	redis.UniversalClient
	jobs *Jobs
	done <-chan struct{} // ends a wait
}

// EvalSha implements redis.Scripter.
func (c taking) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.guard(ctx, keys, func(ctx context.Context) *redis.Cmd {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	})
}

// Eval implements redis.Scripter.
func (c taking) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return c.guard(ctx, keys, func(ctx context.Context) *redis.Cmd {
		return c.UniversalClient.Eval(ctx, script, keys, args...)
	})
}

func (c taking) guard(
	ctx context.Context, keys []string, send func(context.Context) *redis.Cmd,
) *redis.Cmd {
	if errors.Is(ctx.Err(), context.Canceled) {
		// asynq repeats a command that failed with a context that it has cancelled itself.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
	}
	if queue, ok := forwards(keys); ok {
		cmd := send(ctx)
		if n, err := cmd.Int(); err == nil && n > 0 {
			c.jobs.wakes.wake(queue)
			// others look by themselves
			_ = c.Publish(ctx, c.jobs.Names.JobNews(), newsQueue+queue).Err()
		}
		return cmd
	}
	queue, ok := takesTask(keys)
	if !ok {
		return send(ctx)
	}
	if !c.jobs.wakes.await(queue, c.done) || !c.awaitGate() {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil) // as if the queue were empty
		return cmd
	}
	if len(c.jobs.unknown.names(time.Now())) > 0 { // others may know the route: they come first
		c.pause(strangerPause)
	}
	cmd := send(ctx)
	switch err := cmd.Err(); {
	case err == nil, redis.HasErrorPrefix(err, "NOSCRIPT"):
		c.jobs.wakes.wake(queue) // there may be more
	case !errors.Is(err, redis.Nil):
		c.jobs.wakes.wake(queue)
		c.pause(redisPause)
	}
	return cmd
}

func (c taking) pause(d time.Duration) {
	select {
	case <-c.done:
	case <-time.After(d):
	}
}

// awaitGate waits until the backend takes connections and the breaker of the job store is closed:
// a sidecar that cannot record an attempt leaves the job to others. It returns false at the end.
func (c taking) awaitGate() bool {
	for {
		select {
		case <-c.done:
			return false
		default:
		}
		if c.jobs.gate.open(time.Now()) && c.jobs.Redis.State() == redisconn.Closed {
			return true
		}
		c.pause(gateLook)
	}
}

// takesTask reports whether the script with these keys takes a task off a queue: asynq's only one
// that first looks whether the queue is paused.
func takesTask(keys []string) (queue string, ok bool) {
	if len(keys) != 4 {
		return "", false
	}
	return queueOf(keys[1], "paused")
}

// forwards reports whether the script moves tasks whose time has come to the queue.
func forwards(keys []string) (queue string, ok bool) {
	if len(keys) != 2 {
		return "", false
	}
	_, scheduled := queueOf(keys[0], "scheduled")
	_, retry := queueOf(keys[0], "retry")
	if !scheduled && !retry {
		return "", false
	}
	return queueOf(keys[1], "pending")
}

// queueOf is the queue of a key asynq:{queue}:kind.
func queueOf(key, kind string) (queue string, ok bool) {
	rest, ok := strings.CutPrefix(key, "asynq:{")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "}:"+kind)
}

// lookInterval is how often queues are looked at without news: news may be lost, and a queue that
// was paused makes none.
const lookInterval = time.Second

// wakes says which queues to look at. A queue in which a look found nothing is asleep until there
// is news of it. One goroutine awaits, asynq's only one that takes tasks.
type wakes struct {
	mu     sync.Mutex
	awake  map[string]bool // by the name in asynq; false: asleep
	signal chan struct{}   // has a value if some may have been woken
}

func newWakes(queues []string) *wakes {
	w := &wakes{awake: map[string]bool{}, signal: make(chan struct{}, 1)}
	for _, queue := range queues {
		w.awake[queue] = true
	}
	return w
}

// wake makes the next look see the queue. Queues that are not ours are ignored.
func (w *wakes) wake(queue string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ours := w.awake[queue]; ours {
		w.awake[queue] = true
		w.tell()
	}
}

func (w *wakes) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for queue := range w.awake {
		w.awake[queue] = true
	}
	w.tell()
}

func (w *wakes) tell() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// await reports whether the queue is to be looked at now. It waits while all are asleep: asynq
// asks for one after the other, and would ask again at once.
func (w *wakes) await(queue string, done <-chan struct{}) bool {
	for {
		if awake, any := w.take(queue); awake || any {
			return awake
		}
		select {
		case <-done:
			return false
		case <-w.signal:
		case <-time.After(lookInterval):
			w.wakeAll()
		}
	}
}

// take puts the queue to sleep, and reports whether it was awake, and whether any was.
func (w *wakes) take(queue string) (awake, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, is := range w.awake {
		any = any || is
	}
	awake = w.awake[queue]
	w.awake[queue] = false
	return awake, any
}
