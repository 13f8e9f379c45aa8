package jobscheck

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/test/proc"
)

// heal ends all trouble. Where the test does not wait for leases and slots to run out, every
// sidecar dies and they are taken to have run out before the next ones start.
func (w *world) heal(c class) {
	w.t.Helper()
	if !*patient && c.dies {
		for _, s := range w.sidecars {
			s.Kill()
		}
		w.age()
		for _, s := range w.sidecars {
			w.start(s)
		}
	}
	for _, s := range w.sidecars {
		w.awaitRedis(s)
	}
}

// age makes the leftovers of dead sidecars old.
func (w *world) age() {
	c, ctx := w.redis.Client(), w.t.Context()
	ids, err := c.LRange(ctx, "asynq:{default}:active", 0, -1).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range ids {
		z := redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: id}
		if err := c.ZAdd(ctx, "asynq:{default}:lease", z).Err(); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, set := range []string{"scheduled", "retry"} {
		due, err := c.ZRange(ctx, "asynq:{default}:"+set, 0, -1).Result()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, id := range due {
			z := redis.Z{Score: 1, Member: id}
			if err := c.ZAdd(ctx, "asynq:{default}:"+set, z).Err(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	slots, err := c.Keys(ctx, "sidecar:jr:*").Result()
	if err == nil && len(slots) > 0 {
		err = c.Del(ctx, slots...).Err()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// judge looks at each request when its job is over.
func (w *world) judge(c class) {
	w.t.Helper()
	var promised, direct, unknown, twice int
	for _, r := range w.requests {
		switch {
		case r.job != "":
			promised++
			w.judgeJob(r)
		case r.status != 0:
			direct++
			w.judgeDirect(c, r)
		default:
			unknown++
		}
	}
	w.awaitEmpty()
	for _, r := range w.requests {
		runs := w.api.of(r.Name)
		if len(runs) > r.Fail+1 {
			twice++
		}
		w.judgeKeys(r, runs)
	}
	w.judgeLeft()
	if !c.dies && w.api.most > limit {
		w.t.Errorf("%d jobs of a route that allows %d ran at once", w.api.most, limit)
	}
	w.t.Logf("%d jobs, %d answered by the API, %d without an answer; %d executed more than once",
		promised, direct, unknown, twice)
	if promised < len(w.requests)/4 {
		w.t.Errorf("of %d requests only %d became jobs", len(w.requests), promised)
	}
}

func (w *world) violation(r *request, format string, args ...any) {
	w.t.Helper()
	var runs strings.Builder
	for _, run := range w.api.of(r.Name) {
		fmt.Fprintf(&runs, "\n  %v", run)
	}
	w.t.Errorf("seed %d: %s\n  %v%s", *seed, fmt.Sprintf(format, args...), r, runs.String())
}

// judgeJob waits for the job's end. It has the API's own answer.
func (w *world) judgeJob(r *request) {
	w.t.Helper()
	var s state
	deadline := time.Now().Add(2 * time.Minute)
	for {
		s = state{}
		status, err := w.get(r, r.job, &s)
		over := s.Status == "succeeded" || s.Status == "failed"
		if err == nil && status == http.StatusOK && over {
			break
		}
		if status == http.StatusNotFound || time.Now().After(deadline) {
			w.violation(r, "the job is lost: %d %v %+v", status, err, s)
			return
		}
		time.Sleep(20 * time.Millisecond) // until it is asked again
	}
	if s.Status != "succeeded" {
		w.violation(r, "the job came out as %+v", s)
		return
	}
	var got reply
	status, err := w.get(r, r.job+"/result", &got)
	runs := w.api.of(r.Name)
	switch {
	case err != nil || status != r.Status || got.Name != r.Name,
		got.Run < 1, got.Run > len(runs):
		w.violation(r, "the result is %d %+v, %v", status, got, err)
	case runs[got.Run-1].status != r.Status:
		w.violation(r, "the result is that of execution %d", got.Run)
	}
}

// judgeDirect looks at a request that the API has answered at once. Unless its sidecar died, it
// was executed once.
func (w *world) judgeDirect(c class, r *request) {
	w.t.Helper()
	runs := w.api.of(r.Name)
	failed := r.Fail > 0 && r.status == http.StatusServiceUnavailable
	if r.status != http.StatusCreated && !failed {
		w.violation(r, "the client was answered %d", r.status)
	}
	if len(runs) == 0 || len(runs) > 1 && !c.dies && r.tries < 2 {
		w.violation(r, "a request that the API answered at once was executed %d times", len(runs))
	}
}

// judgeKeys: executions of one request carry one key, the client's if it sent one.
func (w *world) judgeKeys(r *request, runs []run) {
	w.t.Helper()
	for _, run := range runs {
		differ := len(runs) > 1 && (run.key == "" || run.key != runs[0].key)
		if differ || r.key != "" && run.key != r.key {
			w.violation(r, "executions carry different keys")
			return
		}
	}
}

// awaitEmpty waits until no task is left. A job whose submission died before it was confirmed runs
// after a minute.
func (w *world) awaitEmpty() {
	w.t.Helper()
	proc.Await(w.t, 3*time.Minute, func() error {
		if tasks := w.redis.Do("KEYS", "asynq:{default}:t:*").([]any); len(tasks) > 0 {
			return fmt.Errorf("%d tasks are left, like %v", len(tasks), tasks[0])
		}
		return nil
	})
}

// judgeLeft looks for requests and credentials in all that stands in Redis.
func (w *world) judgeLeft() {
	w.t.Helper()
	left, jobs := 0, 0
	for _, key := range w.redis.Do("KEYS", "*").([]any) {
		var value any
		switch w.redis.Do("TYPE", key) {
		case "string":
			value = w.redis.Do("GET", key)
		case "hash":
			value = w.redis.Do("HGETALL", key)
			jobs++
		case "list":
			value = w.redis.Do("LRANGE", key, 0, -1)
		case "set":
			value = w.redis.Do("SMEMBERS", key)
		case "zset":
			value = w.redis.Do("ZRANGE", key, 0, -1)
		}
		if strings.Contains(fmt.Sprint(key, value), secret) {
			if left++; left < 4 {
				w.t.Errorf("a request is left in Redis: %v: %.300v", key, value)
			}
		}
	}
	if jobs == 0 {
		w.t.Error("no record was looked at")
	}
}
