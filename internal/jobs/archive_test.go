package jobs

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"sidecar/test/redisd"
)

// asynqArchive is how many archived tasks asynq keeps in a queue.
const asynqArchive = 10_000

// fillArchive puts so many tasks into the archive, and one by asynq itself, which then drops the
// tasks over its bound. The first ones, which are the oldest, have these ids.
func (w *world) fillArchive(r *redisd.Server, n int, ids ...string) {
	w.t.Helper()
	queue, c, old := w.queue.asynq("default"), r.Client(), time.Now().Add(-24*time.Hour).Unix()
	for done := 0; done < n; done += 1000 {
		_, err := c.Pipelined(w.t.Context(), func(p redis.Pipeliner) error {
			for i := done; i < min(done+1000, n); i++ {
				id := newID()
				if i < len(ids) {
					id = ids[i]
				}
				p.HSet(w.t.Context(), asynqKey(queue, "t:"+id), "msg", "", "state", "archived")
				p.ZAdd(w.t.Context(), asynqKey(queue, "archived"),
					redis.Z{Score: float64(old + int64(i)), Member: id})
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.archive(r, w.enqueued(r))
}

// enqueued is a task of another application.
func (w *world) enqueued(r *redisd.Server) (id string) {
	w.t.Helper()
	queue := asynq.Queue(w.queue.asynq("default"))
	info, err := asynq.NewClientFromRedisClient(r.Client()).Enqueue(asynq.NewTask("theirs", nil),
		queue)
	if err != nil {
		w.t.Fatal(err)
	}
	return info.ID
}

// archive archives a task as `asynq task archive` does.
func (w *world) archive(r *redisd.Server, id string) {
	w.t.Helper()
	inspector := asynq.NewInspectorFromRedisClient(r.Client())
	if err := inspector.ArchiveTask(w.queue.asynq("default"), id); err != nil {
		w.t.Fatal(err)
	}
}

func TestAFilledArchiveChangesNothingThatAClientSees(t *testing.T) {
	t.Parallel()
	r := redisd.Start(t)
	w := newWorld(t, r, func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Idempotency-Key"), "bad") {
			answer(422)(rw, r)
			return
		}
		answer(201)(rw, r)
	})
	stop := w.work()
	good, bad := w.accept(w.submission("a sword", "good")), w.accept(w.submission("a sword", "bad"))
	type seen struct {
		record   Record
		response *Response
	}
	look := func(id string, status Status) (s seen) {
		t.Helper()
		s.record = w.await(id, status)
		var err error
		if s.response, err = w.Result(t.Context(), nil, s.record); err != nil {
			t.Fatal(err)
		}
		return s
	}
	succeeded, failed := look(good, Succeeded), look(bad, Failed)
	stop() // a worker would take the task that fillArchive enqueues
	archived := asynqKey(w.queue.asynq("default"), "archived")
	w.fillArchive(r, asynqArchive+100, good, bad)
	if n := r.Do("ZCARD", archived).(int64); n > asynqArchive || n < asynqArchive-10 {
		t.Fatalf("%d tasks are archived", n)
	}
	if r.Do("ZSCORE", archived, good) != nil {
		t.Fatal("asynq has not dropped the oldest")
	}
	for id, before := range map[string]seen{good: succeeded, bad: failed} {
		if now := look(id, before.record.Status); !reflect.DeepEqual(now, before) {
			t.Errorf("%+v, and before %+v", now, before)
		}
	}
	if again := w.Submit(t.Context(), nil, w.submission("a sword", "good")); again.ID != good ||
		again.Status != Succeeded {
		t.Errorf("the key leads to %+v", again)
	}
}

func TestAJobRunsBesideAFilledArchive(t *testing.T) {
	t.Parallel()
	r := redisd.Start(t)
	w := newWorld(t, r, answer(201))
	w.fillArchive(r, asynqArchive)
	id := w.accept(w.submission("a sword", ""))
	archived := w.accept(w.submission("a bow", ""))
	w.archive(r, archived)
	// A task of this id is in the archive before its job is accepted: it blocks the job's own.
	s := w.submission("an axe", "")
	taken := newID()
	task := asynq.NewTask("craft", nil)
	c := asynq.NewClientFromRedisClient(r.Client())
	if _, err := c.Enqueue(task, asynq.TaskID(taken),
		asynq.Queue(w.queue.asynq("default"))); err != nil {
		t.Fatal(err)
	}
	w.archive(r, taken)
	if receipt := w.submit(t.Context(), nil, s, taken, hold{}, true); receipt.Outcome != Accepted {
		t.Fatalf("%+v", receipt)
	}
	w.work()
	w.await(id, Succeeded)
	if err := w.recover(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	w.await(archived, Succeeded)
	w.await(taken, Succeeded)
	if n := r.Do("ZCARD", asynqKey(w.queue.asynq("default"), "archived")).(int64); n < asynqArchive-
		10 {
		t.Errorf("only %d tasks are archived: another application's are gone", n)
	}
}
