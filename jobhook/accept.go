package jobhook

import (
	"net/http"
	"strings"
	"time"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

const idempotencyKey = "Idempotency-Key"

// Accept makes a job of r by plan. It reports true if it has answered: with 202, with the backend's
// own answer where that came in time, or with an error of the client's. Otherwise the caller sends
// r to the backend as it is then: its body can be read from the beginning, and it carries the job's
// id as Idempotency-Key if a task may have reached the job store. b bounds the Redis work.
//
// A caller that cannot be told from others gets no job, since nobody could ask for it later.
func (h *Hook) Accept(w http.ResponseWriter, r *http.Request, plan *policy.Plan, b *redisconn.Budget) (accepted bool, why reason.Reason) {
	if why := plan.NoJob(r.ContentLength); why != "" {
		return false, why
	}
	preferred := preferenceOf(r.Header["Prefer"])
	within, job := waitFor(plan.Job, preferred)
	if !job {
		return false, reason.NotPreferred
	}
	body, why := h.readBody(r, plan.Job.MaxBody)
	defer body.Release()
	if why != "" {
		return false, why
	}
	s := jobs.Submission{
		Request: capture(r, body.Content), Route: plan.Route, Job: plan.Job, Within: within,
		Key: strings.Join(r.Header[idempotencyKey], ", "),
	}
	if !plan.Caller.Anonymous {
		s.Owner = plan.Caller.ID
	}
	receipt := h.Jobs.Submit(r.Context(), b, s)
	if receipt.Outcome == jobs.Accepted {
		body.Release() // the client may yet wait for long
	}
	switch receipt.Outcome {
	case jobs.Accepted:
		return true, h.promise(w, r, receipt, within, preferred)
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

// promise answers for an accepted job: with the backend's own answer if the attempt that the
// submission has begun is over within the given time, and else with 202.
func (h *Hook) promise(
	w http.ResponseWriter, r *http.Request, receipt jobs.Receipt, within time.Duration, preferred preference,
) reason.Reason {
	if l := receipt.Local; l != nil {
		timer := time.NewTimer(within)
		defer timer.Stop()
		select {
		case <-l.Done():
		case <-timer.C:
		case <-r.Context().Done(): // it goes on as a job
		}
		if !l.Promise() {
			h.direct(w, r, l, preferred)
			return reason.AnsweredInTime
		}
	}
	h.accepted(w, r, receipt, preferred)
	return receipt.Why
}

// direct answers with the backend's own answer, or as a gateway without jobs would.
func (h *Hook) direct(w http.ResponseWriter, r *http.Request, l *jobs.Local, preferred preference) {
	answer, fault := l.Answer()
	if preferred.waits {
		preferred.applied(w.Header(), preferred.waitText())
	}
	if answer == nil {
		h.refuse(w, http.StatusBadGateway, reason.AnsweredInTime, "The request was sent, and "+fault+".")
		return
	}
	h.replay(w, r, answer, reason.AnsweredInTime)
}

// acceptedDocument is the body of the 202.
type acceptedDocument struct {
	JobID     string      `json:"job_id"`
	Status    jobs.Status `json:"status"`
	Message   string      `json:"message"`
	StatusURL string      `json:"status_url"`
}

func (h *Hook) accepted(w http.ResponseWriter, r *http.Request, receipt jobs.Receipt, preferred preference) {
	url := h.url(receipt.ID)
	if preferred.async {
		preferred.applied(w.Header(), "respond-async")
	}
	w.Header().Set("Location", url)
	w.Header().Set("Retry-After", retryAfter)
	h.writeJSON(w, r, http.StatusAccepted, receipt.Why, acceptedDocument{
		JobID: receipt.ID, Status: receipt.Status, StatusURL: url,
		Message: "The request is accepted as a job. Ask status_url how far it is.",
	})
}
