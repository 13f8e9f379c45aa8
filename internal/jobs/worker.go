package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	takeInterval    = time.Millisecond       // after all queues were empty: taking waits by itself
	delayedInterval = time.Second            // between two looks for tasks whose time has come
	awaitRecord     = 300 * time.Millisecond // for a record that is created right after its task
	recordTimeout   = 2 * time.Second        // of one operation on a record
	orderlyEnd      = 5 * time.Second        // for attempts that were cut off to be written down
	keyPatience     = time.Hour              // at least, for a sealing key that others have
	keyPause        = 15 * time.Second       // until a job is looked at again whose key is missing
	heldPause       = 2 * time.Second        // until a task is looked at again whose job is held
	// beyond the attempt, asynq lets a task go on: it is never over it
	forever = 24 * time.Hour
)

// again is the error by which a task goes back to asynq. It holds nothing of the request: asynq
// keeps its text in Redis.
type again struct {
	after  time.Duration
	failed bool // an attempt failed, for asynq's own statistics
	why    string
}

func (e *again) Error() string { return e.why }

// RunWorkers takes tasks and runs them until ctx is done; then it takes no more, lets the attempts
// that are under way go on for DrainTimeout, those too that submissions began, and gives the rest
// back. Redis may be away when it starts and whenever it likes. It is called once, with a
// Concurrency of 0 too.
func (j *Jobs) RunWorkers(ctx context.Context) error {
	var tending sync.WaitGroup
	tendCtx, endTending := context.WithCancel(context.WithoutCancel(ctx))
	tending.Go(func() { j.tend(tendCtx) })
	defer func() {
		j.drain(ctx)
		endTending()
		tending.Wait()
	}()
	context.AfterFunc(ctx, func() { // it ends with drain at the latest
		select {
		case <-j.attempts.Done():
		case <-time.After(j.DrainTimeout):
			j.cutOff()
		}
	})
	if j.Concurrency == 0 || !j.awaitRedis(ctx) {
		return nil
	}
	queues := make(map[string]int, len(j.Queues))
	for queue, weight := range j.Queues {
		queues[j.queue.asynq(queue)] = weight
	}
	server := asynq.NewServerFromRedisClient(taking{j.Redis.Client(), j, ctx.Done()}, asynq.Config{
		Concurrency:              j.Concurrency,
		Queues:                   queues,
		TaskCheckInterval:        takeInterval,
		DelayedTaskCheckInterval: delayedInterval,
		// Attempts are cut off before, and then end: asynq would requeue a task while its request
		// is still under way.
		ShutdownTimeout: j.DrainTimeout + orderlyEnd,
		RetryDelayFunc:  retryDelay,
		IsFailure:       isFailure,
		Logger:          newAsynqLog(j.Log),
		LogLevel:        asynq.WarnLevel,
	})
	j.warnOfOthers(ctx, queues)
	if err := server.Start(asynq.HandlerFunc(j.process)); err != nil {
		return fmt.Errorf("starting the workers: %w", err)
	}
	<-ctx.Done()
	server.Shutdown()
	return nil
}

// drain waits for ctx, and then for the attempts that are under way, until they are cut off and
// their outcome is recorded.
func (j *Jobs) drain(ctx context.Context) {
	<-ctx.Done()
	idle := j.held.close()
	select {
	case <-idle:
	case <-j.attempts.Done():
	}
	j.cutOff()
	defer time.AfterFunc(orderlyEnd, j.endAll).Stop()
	<-idle
	j.endAll()
}

// awaitRedis waits until the job store answers, since asynq wants it there at its start. It returns
// false if ctx is done before.
func (j *Jobs) awaitRedis(ctx context.Context) bool {
	for {
		pinging, cancel := context.WithTimeout(ctx, recordTimeout)
		err := j.Redis.Do(pinging, nil, "ping",
			func(ctx context.Context, c redis.UniversalClient) error {
				return c.Ping(ctx).Err()
			})
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(redisPause):
		}
	}
}

func retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var a *again
	if errors.As(err, &a) {
		return a.after
	}
	return time.Second // a worker that died or was cut off by asynq
}

func isFailure(err error) bool {
	var a *again
	return errors.As(err, &a) && a.failed
}

// process runs one task. A nil error makes asynq delete it.
func (j *Jobs) process(ctx context.Context, t *asynq.Task) error {
	id, ok := asynq.GetTaskID(ctx)
	if !ok || !ValidID(id) {
		return j.foreignTask()
	}
	queue, _ := asynq.GetQueueName(ctx)
	own, ok := j.held.begin(j.attempts, id, queue)
	if !ok {
		return &again{after: heldPause, why: "this process is still at work on it, or ends"}
	}
	defer j.held.end(id)
	r, err := j.await(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound) && j.Secret() == nil:
		return &again{after: time.Second, why: "the key secret is not known yet"}
	case errors.Is(err, ErrNotFound) && r.Status != "": // a record that no sidecar of ours accepted
		return j.foreignTask()
	case errors.Is(err, ErrNotFound):
		return j.unconfirmed(ctx, id, t.Payload())
	case err != nil:
		return &again{after: time.Second, why: "the job store is away"}
	case r.Status.Final():
		return nil
	case r.unconfirmed:
		if err := j.outlived(ctx, r); err != nil {
			return err
		}
	}
	if r.Canceling { // its worker died before it could do so, and the attempt is over
		return j.withoutAttempt(ctx, r, Canceled, j.canceled(r))
	}
	req, err := j.openRequest(r)
	switch {
	case isOfOtherKeys(err) && time.Since(r.Queued) < max(keyPatience, r.retention):
		return j.unknownKey(r, err)
	case err != nil:
		return j.reject(ctx, r, "the stored request cannot be opened: "+err.Error())
	}
	return j.attempt(ctx, own, r, req)
}

// await reads the record, which may come, or be confirmed, a moment after its task.
func (j *Jobs) await(ctx context.Context, id string) (Record, error) {
	fields := append(append([]string{}, public...), private...)
	deadline := time.Now().Add(awaitRecord)
	for pause := 2 * time.Millisecond; ; pause *= 2 {
		opCtx, cancel := context.WithTimeout(ctx, recordTimeout)
		r, err := j.peek(opCtx, nil, id, fields)
		cancel()
		waits := errors.Is(err, ErrNotFound) || r.unconfirmed && !r.Status.Final()
		if !waits || time.Now().After(deadline) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return Record{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// unconfirmed gives a task without a record back, or withdraws it when it is too old.
func (j *Jobs) unconfirmed(ctx context.Context, id string, payload []byte) error {
	s, ok := j.parseStub(id, payload)
	if !ok {
		return j.foreignTask()
	}
	age := time.Since(s.Queued)
	if age < unconfirmedLife {
		return &again{after: min(time.Second+age/10, time.Minute), why: "not confirmed yet"}
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	there, fate := j.create(ctx, j.Redis, nil,
		Record{ID: id, Status: withdrawn, Queued: time.Now()}, withdrawnLife)
	if fate != executed || there != "" && there != withdrawn {
		return &again{after: time.Second, why: "not confirmed yet"}
	}
	return nil
}

func (j *Jobs) openRequest(r Record) (*Request, error) {
	if sumOf(r.request) != r.requestSum {
		return nil, errForged
	}
	value, err := j.unseal("request", r, r.request)
	if err != nil {
		return nil, err
	}
	return decodeRequest(value)
}
