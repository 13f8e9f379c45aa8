package jobs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	foreignPause = 10 * time.Second // until a task of another application is looked at again
	routePause   = 2 * time.Second  // until a job of an unknown route is
	maxStranded  = 64               // names that are remembered
	strandedLife = time.Minute      // of a name since it was last seen
)

// stranded remembers the tasks that this sidecar gave back lately, for log and status: jobs of
// routes that its policies do not have, and tasks of other applications. The zero value is empty.
type stranded struct {
	mu   sync.Mutex
	seen map[string]time.Time
}

// see notes a name, and reports whether it is new.
func (s *stranded) see(name string, now time.Time) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.seen, func(_ string, at time.Time) bool { return now.Sub(at) > strandedLife })
	_, known := s.seen[name]
	if !known && len(s.seen) >= maxStranded {
		return false
	}
	if s.seen == nil {
		s.seen = map[string]time.Time{}
	}
	s.seen[name] = now
	return !known
}

func (s *stranded) names(now time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.seen, func(_ string, at time.Time) bool { return now.Sub(at) > strandedLife })
	return slices.Sorted(maps.Keys(s.seen))
}

// unknownRoute gives a job back to a sidecar whose policies have its route, or fails it when its
// retention is over.
func (j *Jobs) unknownRoute(ctx context.Context, r Record) error {
	if time.Since(r.Queued) > r.retention {
		return j.reject(ctx, r, "no job route matches it, since it was accepted")
	}
	if j.unknown.see(r.Type, time.Now()) {
		j.Log.Warn("a job waits for a sidecar whose policies have its route", "job_type", r.Type)
	}
	return &again{
		after: routePause, why: "its route is not in the policies of the sidecar that took it",
	}
}

// isOfOtherKeys reports whether a sidecar with other sealing keys, or without any, could open it.
func isOfOtherKeys(err error) bool {
	return errors.Is(err, errUnknownKey) || errors.Is(err, errUnsealed)
}

// The remedies for jobs that wait for a sidecar with other sealing keys.
const (
	keyRemedy      = "put it back into JOBS_ENCRYPTION_KEY, behind the first"
	unsealedRemedy = "run a sidecar without JOBS_ENCRYPTION_KEY until they are done"
)

// unknownKey gives a job back to a sidecar that can open it.
func (j *Jobs) unknownKey(r Record, err error) error {
	waiting, text := &j.keyless, "a job waits for its key: "+keyRemedy
	if errors.Is(err, errUnsealed) {
		waiting, text = &j.unsealed, "jobs from before the first key wait: "+unsealedRemedy
	}
	if waiting.see(r.Type, time.Now()) {
		j.Log.Error(text, "job_type", r.Type)
	}
	return &again{after: keyPause, why: err.Error()}
}

// foreignTask gives a task back to the application that it belongs to. asynq does not count that as
// a retry. A task without any retry left is archived, where its application can run it again.
func (j *Jobs) foreignTask() error {
	if j.foreign.see("task", time.Now()) {
		j.Log.Warn("another application's tasks are in our queues: give each its own " +
			"REDIS_KEY_PREFIX, or its own Redis")
	}
	return &again{after: foreignPause, why: "not a task of this sidecar"}
}

// warnOfOthers looks once whether another kind of asynq server works on our queues. Sidecars of one
// API all have the same queues.
func (j *Jobs) warnOfOthers(ctx context.Context, ours map[string]int) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	_ = j.Redis.Do(ctx, nil, "servers", func(ctx context.Context, c redis.UniversalClient) error {
		servers, err := asynq.NewInspectorFromRedisClient(c).Servers()
		for _, s := range servers {
			if maps.Equal(s.Queues, ours) {
				continue
			}
			for queue := range s.Queues {
				if _, both := ours[queue]; both {
					j.Log.Warn("another asynq server works on one of our queues, and would take "+
						"our jobs: set REDIS_KEY_PREFIX",
						"queue", queue, "host", s.Host, "pid", s.PID)
				}
			}
		}
		return err
	})
}
