package jobhook

import (
	"context"
	"errors"
	"net/http"
	"time"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
)

// cancelWait is how long a client waits for the worker of its job to end the request.
const cancelWait = 2 * time.Second

// cancel ends a job. It answers 200 with the canceled job, 202 if its worker has not ended it yet,
// and 409 if the job was over before.
func (h *Hook) cancel(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	ctx, done := context.WithTimeout(r.Context(), pollTimeout)
	defer done()
	status, err := h.Jobs.Cancel(ctx, nil, record)
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		h.refuse(w, http.StatusNotFound, "", noSuchJob)
		return
	case err != nil:
		h.unavailable(w, reason.JobStoreAway, storeAway)
		return
	}
	if now, err := h.read(r.Context(), record.ID); err == nil {
		record = now
	}
	if status == jobs.Running {
		record = h.awaitEnd(r.Context(), record, cancelWait)
	}
	switch record.Status {
	case jobs.Canceled:
		h.status(w, r, record)
	case jobs.Succeeded, jobs.Failed:
		h.refuse(w, http.StatusConflict, "", "The job is over: it is "+string(record.Status)+".")
	default:
		w.Header().Set("Retry-After", retryAfter)
		h.writeJSON(w, r, http.StatusAccepted, "", h.documentOf(record))
	}
}
