package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	maxMending      = 10_000   // things that wait for Redis
	maxMendingBytes = 32 << 20 // of records among them
	mendTimeout     = 2 * time.Second
	// after the first failure; doubled for each that follows
	mendPause    = 100 * time.Millisecond
	maxMendPause = 2 * time.Second
)

var errNotYet = errors.New("Redis has not answered yet")

// A mender repeats operations whose outcome is unknown until Redis answers.
type mender struct {
	log  *slog.Logger
	wake chan struct{} // has a value if there may be something to do

	mu    sync.Mutex
	todo  []mending
	bytes int
}

type mending struct {
	try   func(context.Context, Redis) error // may be repeated; nil error: done
	bytes int
}

func newMender(log *slog.Logger) *mender { return &mender{log: log, wake: make(chan struct{}, 1)} }

// add reports whether there was room.
func (m *mender) add(what mending) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.todo) >= maxMending || m.bytes+what.bytes > maxMendingBytes {
		return false
	}
	m.todo, m.bytes = append(m.todo, what), m.bytes+what.bytes
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// pass tries everything that waits, in order, and keeps the failed. It stops at the first failure:
// the rest would only wait for the same Redis. It reports whether nothing is left.
func (m *mender) pass(ctx context.Context, via Redis) bool {
	for {
		m.mu.Lock()
		if len(m.todo) == 0 {
			m.mu.Unlock()
			return true
		}
		next := m.todo[0]
		m.mu.Unlock()

		tryCtx, cancel := context.WithTimeout(ctx, mendTimeout)
		err := next.try(tryCtx, via)
		cancel()
		if err != nil {
			return false
		}
		m.mu.Lock()
		m.todo, m.bytes = m.todo[1:], m.bytes-next.bytes // only this goroutine takes away
		m.mu.Unlock()
	}
}

// mend repeats operations whose outcome is unknown, until ctx is done. Operations that are left at
// the end are logged and given up.
func (j *Jobs) mend(ctx context.Context) {
	m := j.mender
	for pause := mendPause; ; {
		select {
		case <-ctx.Done():
			m.finish(direct{j.Redis}, j.EndTimeout)
			return
		case <-m.wake:
		}
		for !m.pass(ctx, j.Redis) {
			select {
			case <-ctx.Done():
				m.finish(direct{j.Redis}, j.EndTimeout)
				return
			case <-time.After(pause):
				pause = min(2*pause, maxMendPause)
			}
		}
		pause = mendPause
	}
}

// finish goes past the breaker, which may be open though Redis is back: a promised job is made
// certain, if there is time.
func (m *mender) finish(via Redis, most time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for !m.pass(ctx, via) {
		select {
		case <-ctx.Done():
			m.log.Error("the job store did not come back: accepted jobs may be missing", "open",
				m.size())
			return
		case <-time.After(mendPause):
		}
	}
}

func (m *mender) size() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.todo)
}

// confirm repeats the creation of a record whose outcome is unknown. It reports whether there was
// room to remember it.
func (j *Jobs) confirm(r Record) bool {
	return j.mender.add(mending{bytes: len(r.request),
		try: func(ctx context.Context, via Redis) error {
			there, fate := j.create(ctx, via, nil, r, r.waits())
			if fate != executed {
				return errNotYet
			}
			if there == withdrawn {
				j.Log.Error("an accepted job was withdrawn before its record could be created",
					"job_type", r.Type)
			}
			return nil
		}})
}

// withdraw sees to it that no worker runs the job h.id, unless it was confirmed, and that the key
// leads nowhere. It reports whether there was room to remember it. Where there was none, a task
// without a record is left to the workers, who withdraw it in the end.
func (j *Jobs) withdraw(queue string, h hold) bool {
	return j.mender.add(mending{try: func(ctx context.Context, via Redis) error {
		var there string
		err := via.Do(ctx, nil, "job-withdraw",
			func(ctx context.Context, c redis.UniversalClient) (err error) {
				there, err = withdrawScript.Run(ctx, c, []string{j.Names.Job(h.id)},
					withdrawnLife.Milliseconds()).Text()
				return err
			})
		switch {
		case err != nil:
			return errNotYet
		case Status(there) != withdrawn:
			return nil // somebody who sent the same key went on with the job
		}
		// The record is enough: a worker that meets the task now drops it. So whether this succeeds
		// does not matter.
		_, _ = once(ctx, via, nil, "job-withdraw",
			func(ctx context.Context, c redis.UniversalClient) error {
				_ = asynq.NewInspectorFromRedisClient(within{c, ctx}).
					DeleteTask(j.queue.asynq(queue),
						h.id)
				return nil
			})
		return j.release(ctx, via, h)
	}})
}
