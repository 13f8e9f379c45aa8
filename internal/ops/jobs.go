package ops

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"sidecar/internal/jobs"
	"sidecar/internal/problem"
)

// A Queue is the jobs of this sidecar's prefix.
type Queue interface {
	// List returns about limit jobs with one of the statuses, from a page's cursor on.
	List(ctx context.Context, cursor string, limit int, statuses ...jobs.Status) (jobs.Page, error)
	// States are the queues, by name.
	States(ctx context.Context) (map[string]jobs.QueueState, error)
	// Job gives jobs.ErrNotFound where there is none.
	Job(ctx context.Context, id string) (jobs.Record, error)
	// Cancel ends a job, and returns its status then.
	Cancel(ctx context.Context, r jobs.Record) (jobs.Status, error)
	// RunNow runs a job at once that waits for its next attempt. It reports whether it waited.
	RunNow(ctx context.Context, r jobs.Record) (waited bool, err error)
}

// Bounds of a page of jobs.
const (
	defaultPage = 50
	maxPage     = 500
)

const storeAway = "The job store does not answer."

// listJobs answers with a page of jobs, those with one status where that is asked for, and the
// queues.
func (o Options) listJobs(w http.ResponseWriter, r *http.Request) {
	q, limit := r.URL.Query(), defaultPage
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			problem.Write(w, http.StatusBadRequest,
				"limit is a number from 1 to "+strconv.Itoa(maxPage)+".")
			return
		}
		limit = n
	}
	var statuses []jobs.Status
	for _, s := range q["status"] {
		switch status := jobs.Status(s); status {
		case jobs.Queued, jobs.Running, jobs.Retrying, jobs.Succeeded, jobs.Failed, jobs.Canceled:
			statuses = append(statuses, status)
		default:
			problem.Write(w, http.StatusBadRequest,
				"status is queued, running, retrying, succeeded, failed or canceled.")
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	page, err := o.Queue.List(ctx, q.Get("cursor"), limit, statuses...)
	if err != nil {
		problem.Write(w, http.StatusServiceUnavailable, storeAway)
		return
	}
	queues, err := o.Queue.States(ctx)
	if err != nil {
		problem.Write(w, http.StatusServiceUnavailable, storeAway)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		jobs.Page
		Queues map[string]jobs.QueueState `json:"queues"`
	}{page, queues})
}

// withJob calls do with the job that the path names, or answers that it is not there.
func (o Options) withJob(do func(http.ResponseWriter, context.Context,
	jobs.Record)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
		defer cancel()
		record, err := o.Queue.Job(ctx, r.PathValue("id"))
		switch {
		case errors.Is(err, jobs.ErrNotFound):
			problem.Write(w, http.StatusNotFound, "There is no such job, or it has been forgotten.")
		case err != nil:
			problem.Write(w, http.StatusServiceUnavailable, storeAway)
		default:
			do(w, ctx, record)
		}
	}
}

func (o Options) showJob(w http.ResponseWriter, _ context.Context, r jobs.Record) {
	writeJSON(w, http.StatusOK, r.Info())
}

// cancelJob answers 200 with the canceled job, 202 while its worker ends it, and 409 for one that
// was over.
func (o Options) cancelJob(w http.ResponseWriter, ctx context.Context, r jobs.Record) {
	status, err := o.Queue.Cancel(ctx, r)
	switch {
	case err != nil:
		problem.Write(w, http.StatusServiceUnavailable, storeAway)
	case status == jobs.Running:
		r.Canceling = true
		writeJSON(w, http.StatusAccepted, r.Info())
	case status == jobs.Canceled:
		r.Status = status
		writeJSON(w, http.StatusOK, r.Info())
	default:
		problem.Write(w, http.StatusConflict, "The job is over: it is "+string(status)+".")
	}
}

func (o Options) retryJob(w http.ResponseWriter, ctx context.Context, r jobs.Record) {
	waited, err := o.Queue.RunNow(ctx, r)
	switch {
	case err != nil:
		problem.Write(w, http.StatusServiceUnavailable, storeAway)
	case waited:
		writeJSON(w, http.StatusOK, r.Info())
	case r.Status.Final():
		problem.Write(w, http.StatusConflict,
			"The job is "+string(r.Status)+
				", and its request is erased: the client has to send it again.")
	default:
		problem.Write(w, http.StatusConflict,
			"The job does not wait for another attempt: it is "+string(r.Status)+".")
	}
}
