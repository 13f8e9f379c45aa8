package jobhook

import (
	"net/http"
	"strings"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

const idempotencyKey = "Idempotency-Key"

// Accept makes a job of r by plan. It reports true if it has answered: with 202, or with an error
// of the client's. Otherwise the caller sends r to the backend as it is then: its body can be read
// from the beginning, and it carries the job's id as Idempotency-Key if a task may have reached the
// job store. b bounds the Redis work.
//
// A caller that cannot be told from others gets no job, since nobody could ask for it later.
func (h *Hook) Accept(w http.ResponseWriter, r *http.Request, plan *policy.Plan, b *redisconn.Budget) (accepted bool, why reason.Reason) {
	if why := plan.NoJob(r.ContentLength); why != "" {
		return false, why
	}
	body, why := h.readBody(r, plan.Job.MaxBody)
	defer body.Release()
	if why != "" {
		return false, why
	}
	s := jobs.Submission{Request: capture(r, body.Content), Route: plan.Route, Job: plan.Job, Key: strings.Join(r.Header[idempotencyKey], ", ")}
	if !plan.Caller.Anonymous {
		s.Owner = plan.Caller.ID
	}
	receipt := h.Jobs.Submit(r.Context(), b, s)
	switch receipt.Outcome {
	case jobs.Accepted:
		h.accepted(w, r, receipt)
	case jobs.Mismatch:
		h.refuse(w, http.StatusUnprocessableEntity, "", "This Idempotency-Key came with another request before.")
	case jobs.Uncertain:
		h.unavailable(w, receipt.Why, "Whether the job will run is not known.")
	case jobs.Withdrawn:
		if s.Key == "" {
			r.Header[idempotencyKey] = []string{receipt.ID}
		}
		return false, receipt.Why
	default:
		return false, receipt.Why
	}
	return true, receipt.Why
}

// acceptedDocument is the body of the 202.
type acceptedDocument struct {
	JobID     string      `json:"job_id"`
	Status    jobs.Status `json:"status"`
	Message   string      `json:"message"`
	StatusURL string      `json:"status_url"`
}

func (h *Hook) accepted(w http.ResponseWriter, r *http.Request, receipt jobs.Receipt) {
	url := h.url(receipt.ID)
	w.Header().Set("Location", url)
	w.Header().Set("Retry-After", retryAfter)
	h.writeJSON(w, r, http.StatusAccepted, receipt.Why, acceptedDocument{
		JobID: receipt.ID, Status: receipt.Status, StatusURL: url,
		Message: "The request is accepted as a job. Ask status_url how far it is.",
	})
}
