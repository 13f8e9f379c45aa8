package ops

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/jobs"
	"sidecar/policy"
)

// queue is the jobs without the budget of a request.
type queue struct{ *jobs.Jobs }

func (q queue) Job(ctx context.Context, id string) (jobs.Record, error) {
	return q.Jobs.Job(ctx, nil, id)
}

func (q queue) Cancel(ctx context.Context, r jobs.Record) (jobs.Status, error) {
	return q.Jobs.Cancel(ctx, nil, r)
}

// withJobs serves the jobs of a queue that nobody works on.
func withJobs(t *testing.T) (*address, func(body string) (id string)) {
	t.Helper()
	names := cachekeys.NewNames(t.Name())
	q, err := jobs.New(jobs.Options{
		Redis: shared.Connect(t, names, nil), Names: names, Prefix: t.Name(),
		Queues: map[string]int{"default": 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	submit := func(body string) string {
		r := q.Submit(t.Context(), nil, jobs.Submission{
			Route: "craft", Owner: "alice",
			Request: &jobs.Request{
				Method: "POST", Target: "/secret-path", Proto: "HTTP/1.1", Body: []byte(body),
			},
			Job: &policy.JobPlan{
				Queue: "default", Retention: time.Hour, Timeout: time.Second, MaxBody: 1 << 10,
			},
		})
		if r.Outcome != jobs.Accepted {
			t.Fatalf("%+v", r)
		}
		return r.ID
	}
	return serve(t, shared, func(o *Options) { o.Queue = queue{q} }), submit
}

func TestJobsAreListedByPagesWithoutWhatTheyHold(t *testing.T) {
	a, submit := withJobs(t)
	ids := map[string]bool{}
	for range 20 {
		ids[submit("a secret")] = true
	}
	canceled := submit("another")
	if status, _, body := a.ask("DELETE", "/admin/jobs/"+canceled, ""); status != 200 ||
		!strings.Contains(body, `"canceled"`) {
		t.Errorf("%d %s", status, body)
	}
	seen, cursor := map[string]bool{}, ""
	for pages := 0; pages == 0 || cursor != ""; pages++ {
		status, _, body := a.ask("GET", "/admin/jobs?limit=5&status=queued&cursor="+cursor, "")
		for _, secret := range []string{"secret", "alice"} {
			if strings.Contains(body, secret) {
				t.Fatalf("%q is shown: %s", secret, body)
			}
		}
		page := decode[struct {
			jobs.Page
			Queues map[string]jobs.QueueState
		}](t, body)
		if status != 200 || pages > 1000 || page.Queues["default"].Pending != 20 {
			t.Fatalf("%d %s", status, body)
		}
		for _, j := range page.Jobs {
			seen[j.JobID] = true
		}
		cursor = page.Next
	}
	if len(seen) != len(ids) || seen[canceled] {
		t.Errorf("%d jobs of %d are listed", len(seen), len(ids))
	}
	for id := range ids {
		if !seen[id] {
			t.Errorf("%s is not listed", id)
		}
	}
}

func TestAJobIsShownRunAndCanceled(t *testing.T) {
	a, submit := withJobs(t)
	id := submit("a secret")
	key := "asynq:{" + t.Name() + ".default}:"
	for _, c := range []struct {
		what, method, path string
		want               int
		says               string
	}{
		{"it is shown", "GET", id, 200, `"queued"`},
		{"it does not wait", "POST", id + "/retry", http.StatusConflict, "does not wait"},
		{"no such job", "GET", "AAAAAAAAAAAAAAAAAAAAAA", 404, "no such job"},
		{"no id", "DELETE", "nonsense", 404, "no such job"},
	} {
		if status, _, body := a.ask(c.method, "/admin/jobs/"+c.path, ""); status != c.want ||
			!strings.Contains(body, c.says) {
			t.Errorf("%s: %d %s", c.what, status, body)
		}
	}
	a.redis.Do("LREM", key+"pending", 0, id)
	a.redis.Do("ZADD", key+"retry", time.Now().Add(time.Hour).Unix(), id)
	if status, _, body := a.ask("POST", "/admin/jobs/"+id+"/retry", ""); status != 200 ||
		a.redis.Do("LLEN", key+"pending") != int64(1) {
		t.Errorf("a job that waits for its next attempt: %d %s", status, body)
	}
	if status, _, _ := a.ask("DELETE", "/admin/jobs/"+id, ""); status != 200 {
		t.Errorf("canceled: %d", status)
	}
	if status, _, body := a.ask("POST", "/admin/jobs/"+id+"/retry",
		""); status != http.StatusConflict || !strings.Contains(body, "erased") {
		t.Errorf("a job that is over: %d %s", status, body)
	}
}

func TestAListingThatIsAskedForWronglyIsRefused(t *testing.T) {
	a, _ := withJobs(t)
	for _, query := range []string{"limit=0", "limit=501", "limit=x", "status=dead"} {
		if status, _, body := a.ask("GET", "/admin/jobs?"+query,
			""); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	for _, path := range []string{"/admin/jobs", "/admin/jobs/x"} {
		if status, _, _ := a.ask("GET", path, "", "Bearer no"); status != http.StatusUnauthorized {
			t.Errorf("%s without the token: %d", path, status)
		}
	}
}
