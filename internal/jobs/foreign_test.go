package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"sidecar/internal/httpfield"
	"sidecar/policy"
	"sidecar/test/redisd"
)

func TestAJobWaitsForASidecarThatKnowsItsRoute(t *testing.T) {
	t.Parallel()
	knows := newWorld(t, shared, answer(201))
	id := knows.accept(knows.submission("a sword", ""))
	older := newWorld(t, shared, answer(201), func(o *Options) {
		o.Plan = func(httpfield.Request, time.Time) *policy.Plan { return &policy.Plan{} }
	})
	older.work()
	awaitTrue(t, "the older sidecar says that the job waits", func() bool {
		_, _, degraded := older.Report(t.Context())
		return strings.Contains(fmt.Sprint(degraded), "jobs of the route craft wait")
	})
	if r, err := knows.Job(t.Context(), nil, id); err != nil ||
		r.Status != Queued || r.Attempts != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	knows.work()
	if r := knows.await(id, Succeeded); r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}

func TestAJobOfAnUnknownRouteFailsWhenItsRetentionIsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201), func(o *Options) {
		o.Plan = func(httpfield.Request, time.Time) *policy.Plan { return &policy.Plan{} }
	})
	s := Submission{Request: &Request{Method: "POST", Target: "/craft/1", Proto: "HTTP/1.1"},
		Route: "craft", Owner: "alice",
		Job: &policy.JobPlan{Queue: "default", Retention: time.Second, Timeout: time.Second}}
	id := w.accept(s)
	w.work()
	// The record is kept for its retention, which is as short as the wait: the outcome is in the
	// metrics.
	awaitTrue(t, "the job is over", func() bool {
		r, err := w.Job(t.Context(), nil, id)
		return errors.Is(err, ErrNotFound) || r.Status == Failed
	})
	awaitTrue(t, "its task is gone",
		func() bool { return shared.For(t).Do("EXISTS", w.taskKey(id)) == int64(0) })
}

func TestAnotherApplicationsTasksAreLeftToIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	client := asynq.NewClientFromRedisClient(w.conn.Client())
	ids := []string{"b5c6a0de-0000-4000-8000-1e2d3c4b5a69", newID(), newID()}
	for i, id := range ids {
		payload := []string{
			`{"email": 1}`, `{"email": 2}`, `{"queued_at": "2020-01-01T00:00:00Z"}`,
		}[i]
		_, err := client.Enqueue(asynq.NewTask("mail", []byte(payload)), asynq.TaskID(id),
			asynq.Queue(w.queue.asynq("default")), asynq.MaxRetry(1))
		if err != nil {
			t.Fatal(err)
		}
	}
	w.work()
	r := shared.For(t)
	for _, id := range ids {
		awaitTrue(t, "it waits", func() bool { return !w.retryAt(r, id).IsZero() })
		if r.Do("EXISTS", w.taskKey(id)) != int64(1) ||
			r.Do("EXISTS", w.Names.Job(id)) != int64(0) {
			t.Errorf("%s is gone, or has a record", id)
		}
	}
	if _, _, degraded := w.Report(t.Context()); !strings.Contains(fmt.Sprint(degraded),
		"another application's tasks") {
		t.Errorf("/status says %v", degraded)
	}
	id := w.accept(w.submission("a sword", ""))
	w.await(id, Succeeded)
}

func TestQueuesHaveTheirAPIsName(t *testing.T) {
	for prefix, want := range map[string]string{
		"sidecar": "default", "shop": "shop.default", "Sidecar": "Sidecar.default",
	} {
		if got := (queueNames{prefix}).asynq("default"); got != want {
			t.Errorf("with the prefix %s it is %s, want %s", prefix, got, want)
		}
	}
}

func TestTwoAPIsOnOneRedisNeverRunEachOthersJobs(t *testing.T) {
	t.Parallel()
	prefixed := func(prefix string) *world {
		return newWorld(t, shared, answer(201),
			func(o *Options) { o.Prefix = redisd.Prefix(t) + prefix })
	}
	one, two := prefixed("1"), prefixed("2")
	two.work()
	id := one.accept(one.submission("a sword", ""))
	other := two.accept(two.submission("a shield", ""))
	two.await(other, Succeeded)
	one.work()
	one.await(id, Succeeded)
	if len(one.requests()) != 1 || len(two.requests()) != 1 {
		t.Errorf("%d and %d requests", len(one.requests()), len(two.requests()))
	}
}

func TestARecordThatWasChangedIsNobodys(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][]any{
		"the owner is gone": {"owner", ""},
		"another owner":     {"owner", "mallory"},
		"a final status":    {"status", "succeeded"},
		"another type":      {"type", "other"},
		"an error":          {"error", "see https://evil.example"},
		"no answer":         {"answered", "0"},
		"another result":    {"result_sum", sumOf([]byte("x"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, shared, answer(201))
			id := w.accept(w.submission("a sword", ""))
			if name != "a final status" {
				w.work()
				w.await(id, Succeeded)
			}
			shared.For(t).Do(append([]any{"HSET", w.Names.Job(id)}, change...)...)
			r, err := w.Job(t.Context(), nil, id)
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

func TestAResultThatWasChangedIsNotAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	id := w.accept(w.submission("a sword", ""))
	w.work()
	r := w.await(id, Succeeded)
	script := (*Sealer)(nil).seal(binding{},
		(&Response{Status: 200, Body: []byte("<script>")}).encode())
	shared.For(t).Do("HSET", w.Names.Job(id), "result", script)
	if got, err := w.Result(t.Context(), nil, r); !errors.Is(err, ErrSealed) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAForgedJobIsNotRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shared, answer(201))
	forger := newWorld(t, shared, answer(201),
		func(o *Options) { o.Secret = func() []byte { return []byte("a guess") } })
	forged := forger.accept(forger.submission("an army", ""))
	w.work()
	w.await(w.accept(w.submission("a sword", "")), Succeeded)
	awaitTrue(t, "the forged one waits",
		func() bool { return !w.retryAt(shared.For(t), forged).IsZero() })
	if n := len(w.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestAnotherServerOnOurQueuesIsWarnedOfAtTheStart(t *testing.T) {
	t.Parallel()
	log := new(lines)
	w := newWorld(t, shared, answer(201),
		func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	other := asynq.NewServerFromRedisClient(w.conn.Client(), asynq.Config{
		Queues: map[string]int{w.queue.asynq("default"): 7, "mail": 1},
		Logger: newAsynqLog(slog.New(slog.DiscardHandler)),
	})
	if err := other.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	defer other.Shutdown()
	awaitTrue(t, "the other server is known", func() bool {
		servers, err := asynq.NewInspectorFromRedisClient(w.conn.Client()).Servers()
		for _, s := range servers {
			if s.Queues["mail"] == 1 {
				return err == nil
			}
		}
		return false
	})
	w.work()
	awaitTrue(t, "it is warned of",
		func() bool { return strings.Contains(log.String(), "another asynq server") })
}
