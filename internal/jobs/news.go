package jobs

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Changes are published on one channel of the prefix. A message names the key to look at, and never
// its value: one that is lost costs time alone, since everybody who waits for one also looks by
// itself, less often.
//
//	q:QUEUE  a task can be taken off the queue, by its name in asynq
//	j:ID     the record of the job has changed
//	c:ID     the job is to be canceled, and its worker is to see to it
const (
	newsQueue  = "q:"
	newsJob    = "j:"
	newsCancel = "c:"
)

const (
	newsPatience = 10 * time.Second       // without a message: the connection is tried
	newsPause    = 200 * time.Millisecond // between two subscriptions
	maxWatchers  = 10_000                 // clients that wait for a change
)

// watchers are the clients of this process that wait for changes of jobs. The zero value is empty.
type watchers struct {
	mu    sync.Mutex
	of    map[string]map[chan struct{}]bool // by the job's id
	count int
}

// watch returns a channel that has a value when the record may have changed. ok is false if too
// many wait already.
func (w *watchers) watch(id string) (changed <-chan struct{}, stop func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= maxWatchers {
		return nil, nil, false
	}
	c := make(chan struct{}, 1)
	if w.of == nil {
		w.of = map[string]map[chan struct{}]bool{}
	}
	if w.of[id] == nil {
		w.of[id] = map[chan struct{}]bool{}
	}
	w.of[id][c] = true
	w.count++
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.of[id], c); len(w.of[id]) == 0 {
			delete(w.of, id)
		}
		w.count--
	}, true
}

// tell wakes those who wait for the job.
func (w *watchers) tell(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wakeUp(w.of[id])
}

func (w *watchers) tellAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, all := range w.of {
		wakeUp(all)
	}
}

func wakeUp(all map[chan struct{}]bool) {
	for c := range all {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Watch returns a channel that has a value when the record of the job may have changed. It hears
// of changes that are made after it returned. ok is false if too many wait already; else stop has
// to be called once.
func (j *Jobs) Watch(id string) (changed <-chan struct{}, stop func(), ok bool) {
	return j.watchers.watch(id)
}

// listen hears the news of all sidecars until ctx is done.
func (j *Jobs) listen(ctx context.Context) {
	for ctx.Err() == nil {
		j.hear(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(newsPause):
		}
	}
}

// hear is one subscription, until it breaks.
func (j *Jobs) hear(ctx context.Context) {
	sub := j.Redis.Client().Subscribe(ctx, j.Names.JobNews())
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	defer sub.Close()
	for silent := false; ; {
		got, err := sub.ReceiveTimeout(ctx, newsPatience)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() &&
			ctx.Err() == nil {
			if silent || sub.Ping(ctx) != nil {
				return
			}
			silent = true
			continue
		}
		if err != nil {
			return
		}
		silent = false
		switch m := got.(type) {
		case *redis.Subscription: // earlier messages are lost
			j.wakes.wakeAll()
			j.watchers.tellAll()
		case *redis.Message:
			j.heard(m.Payload)
		}
	}
}

func (j *Jobs) heard(message string) {
	if queue, ok := strings.CutPrefix(message, newsQueue); ok {
		j.wakes.wake(queue)
	} else if id, ok := strings.CutPrefix(message, newsJob); ok {
		j.watchers.tell(id)
	} else if id, ok := strings.CutPrefix(message, newsCancel); ok {
		j.held.cancel(id)
	}
}
