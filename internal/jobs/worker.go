package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
)

const (
	takeInterval    = 200 * time.Millisecond // between two looks for tasks, when there are none
	delayedInterval = time.Second            // between two looks for tasks whose time has come
	awaitRecord     = 300 * time.Millisecond // for a record that is created right after its task
	recordTimeout   = 2 * time.Second        // of one operation on a record
	orderlyEnd      = 5 * time.Second        // for attempts that were cut off to be written down
	keyPatience     = time.Hour              // for a sealing key that other sidecars have been given already
)

// again is the error by which a task goes back to asynq. It holds nothing of the request: asynq
// keeps its text in Redis.
type again struct {
	after  time.Duration
	failed bool // an attempt failed, for asynq's own statistics
	why    string
}

func (e *again) Error() string { return e.why }

// RunWorkers takes tasks and runs them until ctx is done; then it takes no more, lets those that
// run go on for DrainTimeout, and gives the rest back. Redis may be away when it starts and
// whenever it likes.
func (j *Jobs) RunWorkers(ctx context.Context) error {
	if j.Concurrency == 0 {
		return nil
	}
	attempts, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	queues := make(map[string]int, len(j.Queues))
	for queue, weight := range j.Queues {
		queues[j.queue.asynq(queue)] = weight
	}
	server := asynq.NewServerFromRedisClient(taking{j.Redis.Client(), &j.gate, ctx.Done()}, asynq.Config{
		Concurrency:              j.Concurrency,
		Queues:                   queues,
		TaskCheckInterval:        takeInterval,
		DelayedTaskCheckInterval: delayedInterval,
		// Attempts are cut off before, and then end: asynq would requeue a task while its request
		// is still under way.
		ShutdownTimeout: j.DrainTimeout + orderlyEnd,
		RetryDelayFunc:  retryDelay,
		IsFailure:       isFailure,
		Logger:          asynqLog{j.Log},
		LogLevel:        asynq.WarnLevel,
	})
	j.warnOfOthers(ctx, queues)
	err := server.Start(asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		j.running.Add(1)
		defer j.running.Done()
		return j.process(ctx, attempts, t)
	}))
	if err != nil {
		return fmt.Errorf("starting the workers: %w", err)
	}
	<-ctx.Done()
	drain := time.AfterFunc(j.DrainTimeout, cutOff)
	defer drain.Stop()
	server.Shutdown()
	cutOff()
	j.running.Wait()
	return nil
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

// process runs one task. A nil error makes asynq delete it. attempts ends when attempts are to be
// cut off.
func (j *Jobs) process(ctx, attempts context.Context, t *asynq.Task) error {
	id, ok := asynq.GetTaskID(ctx)
	if !ok || !ValidID(id) {
		return j.foreignTask()
	}
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
	}
	req, err := j.openRequest(r)
	switch {
	case errors.Is(err, errUnknownKey) && time.Since(r.Queued) < keyPatience:
		return &again{after: 15 * time.Second, why: err.Error()}
	case err != nil:
		return j.reject(ctx, r, "the stored request cannot be opened: "+err.Error())
	}
	return j.attempt(ctx, attempts, r, req)
}

// await reads the record, which may come a moment after its task.
func (j *Jobs) await(ctx context.Context, id string) (Record, error) {
	fields := append(append([]string{}, public...), private...)
	deadline := time.Now().Add(awaitRecord)
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		opCtx, cancel := context.WithTimeout(ctx, recordTimeout)
		r, err := j.peek(opCtx, nil, id, fields)
		cancel()
		if !errors.Is(err, ErrNotFound) || time.Now().After(deadline) {
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
	there, fate := j.create(ctx, nil, Record{ID: id, Status: withdrawn, Queued: time.Now()}, withdrawnLife)
	if fate != executed || there != "" && there != withdrawn {
		return &again{after: time.Second, why: "not confirmed yet"}
	}
	return nil
}

func (j *Jobs) openRequest(r Record) (*Request, error) {
	if sumOf(r.request) != r.requestSum {
		return nil, errForged
	}
	value, err := j.Sealer.open(j.binding("request", r.ID, r.Owner), r.request)
	if err != nil {
		return nil, err
	}
	return decodeRequest(value)
}

// asynqLog is asynq's logger. Its message is constant, so that it can be searched for.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) say(level slog.Level, args []any) {
	l.log.Log(context.Background(), level, "asynq", "says", fmt.Sprint(args...))
}

func (l asynqLog) Debug(args ...any) { l.say(slog.LevelDebug, args) }
func (l asynqLog) Info(args ...any)  { l.say(slog.LevelDebug, args) }
func (l asynqLog) Warn(args ...any)  { l.say(slog.LevelWarn, args) }
func (l asynqLog) Error(args ...any) { l.say(slog.LevelWarn, args) }
func (l asynqLog) Fatal(args ...any) { l.say(slog.LevelError, args) }
