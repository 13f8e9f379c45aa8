package jobs

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/test/proc"
)

// submission is a POST of alice's to /craft/1, with an Idempotency-Key of hers if key is not empty.
func (w *world) submission(body, key string) Submission {
	r := &Request{
		Method: "POST", Target: "/craft/1", Host: "api.example", Proto: "HTTP/1.1",
		RemoteAddr: "192.0.2.1:4711",
		Fields:     http.Header{"Authorization": {"Bearer alice-s-secret"}}, Body: []byte(body),
	}
	if key != "" {
		r.Fields["Idempotency-Key"] = []string{key}
	}
	plan := w.Plan(r.view(), time.Now())
	return Submission{Request: r, Route: plan.Route, Job: plan.Job, Owner: plan.Caller.ID, Key: key}
}

// to is a POST of somebody's to another route.
func (w *world) to(path, who string) Submission {
	s := w.submission("a sword", "")
	s.Request.Target = path
	s.Request.Fields["Authorization"] = []string{who}
	plan := w.Plan(s.Request.view(), time.Now())
	s.Route, s.Job, s.Owner = plan.Route, plan.Job, plan.Caller.ID
	return s
}

// accept submits and wants a job.
func (w *world) accept(s Submission) (id string) {
	w.t.Helper()
	r := w.Submit(w.t.Context(), nil, s)
	if r.Outcome != Accepted {
		w.t.Fatalf("not accepted: %+v", r)
	}
	return r.ID
}

// await waits until the job has this status.
func (w *world) await(id string, status Status) (r Record) {
	w.t.Helper()
	proc.Await(w.t, 20*time.Second, func() (err error) {
		if r, err = w.Job(w.t.Context(), nil, id); err == nil && r.Status != status {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})
	return r
}

// requests are the Idempotency-Keys that the API has seen.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

// answer makes a handler that answers each request with the next of statuses, the last one for
// ever.
func answer(statuses ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		status := statuses[0]
		statuses = statuses[min(1, len(statuses)-1):]
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"by": "alice", "status": %d}`, status)
	}
}

// dropped are the tags that attempts invalidated.
func (w *world) dropped() []cachekeys.Tag {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changed)
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
