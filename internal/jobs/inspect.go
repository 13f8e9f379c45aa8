package jobs

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	scanStep  = 1000 // keys of Redis that one step of a listing looks at
	scanSteps = 50   // steps of one page
)

// An Info is a job as an administrator sees it: never its caller, request or response.
type Info struct {
	JobID      string     `json:"job_id"`
	Type       string     `json:"type"`
	Queue      string     `json:"queue"`
	Status     Status     `json:"status"`
	Attempts   int        `json:"attempts"`
	Failures   int        `json:"failures"`
	MaxRetry   int        `json:"max_retry"`
	QueuedAt   time.Time  `json:"queued_at"`
	StartedAt  *time.Time `json:"started_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	LastError  string     `json:"last_error,omitempty"`
	HasResult  bool       `json:"has_result"`
	Canceling  bool       `json:"canceling,omitempty"`
}

// Info is the job as an administrator sees it.
func (r Record) Info() Info {
	i := Info{
		JobID: r.ID, Type: r.Type, Queue: r.Queue, Status: r.Status, Attempts: r.Attempts,
		Failures: r.Failures,
		MaxRetry: r.MaxRetry, QueuedAt: r.Queued, LastError: r.LastError, HasResult: r.HasResult,
		Canceling: r.Canceling,
	}
	if !r.Started.IsZero() {
		i.StartedAt = &r.Started
	}
	if !r.Finished.IsZero() {
		i.FinishedAt = &r.Finished
	}
	return i
}

// A Page is a part of a listing.
type Page struct {
	Jobs []Info `json:"jobs"`
	Next string `json:"next,omitempty"` // the cursor of the next page; "" after the last
}

// List returns about limit jobs with one of the statuses, or all for none, in no order. A job that
// is there all the while is on one page at least. In Cluster it is not possible.
func (j *Jobs) List(ctx context.Context, cursor string, limit int,
	statuses ...Status) (Page, error) {
	page := Page{Jobs: []Info{}}
	at, _ := strconv.ParseUint(cursor, 10, 64)
	pattern := escapeGlob(strings.TrimSuffix(j.Names.Job(""), "}")) + "*"
	for range scanSteps {
		var keys []string
		err := j.Redis.Do(ctx, nil, "jobs-list",
			func(ctx context.Context, c redis.UniversalClient) (err error) {
				keys, at, err = c.Scan(ctx, at, pattern, scanStep).Result()
				return err
			})
		if err != nil {
			return page, err
		}
		found, err := j.infos(ctx, keys, statuses)
		if err != nil {
			return page, err
		}
		page.Jobs = append(page.Jobs, found...)
		if at == 0 || len(page.Jobs) >= limit {
			break
		}
	}
	if at != 0 {
		page.Next = strconv.FormatUint(at, 10)
	}
	return page, nil
}

// infos reads the records at keys.
func (j *Jobs) infos(ctx context.Context, keys []string,
	statuses []Status) (out []Info, err error) {
	if len(keys) == 0 {
		return nil, nil
	}
	read := make([]*redis.SliceCmd, len(keys))
	err = j.Redis.Do(ctx, nil, "jobs-list",
		func(ctx context.Context, c redis.UniversalClient) error {
			_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i, key := range keys {
					read[i] = p.HMGet(ctx, key, public...)
				}
				return nil
			})
			return err
		})
	if err != nil {
		return nil, err
	}
	prefix := strings.TrimSuffix(j.Names.Job(""), "}")
	for i, key := range keys {
		id := strings.TrimSuffix(strings.TrimPrefix(key, prefix), "}")
		r, ok := parse(id, read[i].Val())
		if !ok || !ValidID(id) || r.Status == withdrawn || !j.isOurs(r) ||
			len(statuses) > 0 && !slices.Contains(statuses, r.Status) {
			continue
		}
		out = append(out, r.Info())
	}
	return out, nil
}

// escapeGlob makes a pattern that matches s alone.
func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(s)
}

// RunNow makes a job that waits for its next attempt run at once. It reports whether it waited. A
// job that is over cannot run again: its request is erased.
func (j *Jobs) RunNow(ctx context.Context, r Record) (waited bool, err error) {
	queue := j.queue.asynq(r.Queue)
	err = j.Redis.Do(ctx, nil, "job-run", func(ctx context.Context, c redis.UniversalClient) error {
		n, err := callScript.Run(ctx, c,
			[]string{asynqKey(queue, "retry"), asynqKey(queue, "pending"),
				asynqKey(queue, "t:"+r.ID)},
			r.ID, time.Now().UnixNano()).Int()
		waited = n == 1
		if waited {
			_ = c.Publish(ctx, j.Names.JobNews(), newsQueue+queue).Err()
		}
		return err
	})
	j.wakes.wake(queue)
	return waited, err
}
