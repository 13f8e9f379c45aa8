package jobhook

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

const idempotencyKey = "Idempotency-Key"

// maxKey bounds the client's own key, in bytes.
const maxKey = 1024

// Accept makes a job of r by plan. It reports true if it has answered: with 202, with the backend's
// own answer where that came in time, or with an error of the client's. Otherwise the caller sends
// r to the backend as it is then: its body can be read from the beginning, and it carries the job's
// id as Idempotency-Key if a task may have reached the job store. b bounds the Redis work.
//
// A caller that cannot be told from others gets no job, since nobody could ask for it later.
func (h *Hook) Accept(w http.ResponseWriter, r *http.Request, plan *policy.Plan,
	b *redisconn.Budget) (accepted bool, why reason.Reason) {
	if plan.Job == nil {
		return false, reason.NoRoute
	}
	preferred := preferenceOf(r.Header["Prefer"])
	within, job := waitFor(plan.Job, preferred)
	if !job {
		return false, reason.NotPreferred
	}
	if why := plan.NoJob(r.ContentLength); why != "" {
		return h.tooLong(w, r, plan.Job, why), why
	}
	key := strings.Join(r.Header[plan.Job.IdempotencyField], ", ")
	if len(key) > maxKey {
		grant(w.Header(), r, plan.Job.CORS)
		h.refuse(w, http.StatusBadRequest, "",
			fmt.Sprintf("%s has more than %d bytes.", plan.Job.IdempotencyField, maxKey))
		return true, ""
	}
	body, why := h.readBody(r, plan.Job.MaxBody)
	defer body.Release()
	if why != "" {
		return h.tooLong(w, r, plan.Job, why), why
	}
	s := jobs.Submission{
		Request: capture(r, body.Content), Route: plan.Route, Job: plan.Job,
		Within: within, Key: key,
	}
	if !plan.Caller.Anonymous {
		s.Owner = plan.Caller.ID
	}
	ctx, span := s.BeginSpan(r.Context())
	receipt := h.Jobs.Submit(ctx, b, s)
	s.EndSpan(span, receipt)
	if receipt.Outcome == jobs.Accepted {
		body.Release() // the client may yet wait for long
	}
	return h.answer(w, r, s, receipt, preferred)
}

// tooLong refuses a body that is too long for a job where the route says so. Else the backend gets
// it.
func (h *Hook) tooLong(w http.ResponseWriter, r *http.Request, job *policy.JobPlan,
	why reason.Reason) (answered bool) {
	if why != reason.JobBodyTooBig || !job.RefuseOver {
		return false
	}
	grant(w.Header(), r, job.CORS)
	h.refuse(w, http.StatusRequestEntityTooLarge, why,
		fmt.Sprintf("The body has more than %d bytes.", job.MaxBody))
	return true
}

// answer answers as a submission came out, or leaves the request to the backend.
func (h *Hook) answer(
	w http.ResponseWriter, r *http.Request, s jobs.Submission, receipt jobs.Receipt,
	preferred preference,
) (answered bool, why reason.Reason) {
	switch receipt.Outcome {
	case jobs.Accepted:
		return true, h.promise(w, r, s, receipt, preferred)
	case jobs.Mismatch:
		grant(w.Header(), r, s.Job.CORS)
		h.refuse(w, http.StatusUnprocessableEntity, "",
			"This "+s.Job.IdempotencyField+" came with another request before.")
	case jobs.Full:
		grant(w.Header(), r, s.Job.CORS)
		h.unavailable(w, receipt.Why, "Too many jobs of this kind wait or run.")
	case jobs.FullForCaller:
		grant(w.Header(), r, s.Job.CORS)
		w.Header().Set("Retry-After", retryFull)
		h.refuse(w, http.StatusTooManyRequests, receipt.Why, "Too many of your jobs wait or run.")
	case jobs.Uncertain:
		grant(w.Header(), r, s.Job.CORS)
		h.unavailable(w, receipt.Why, "Whether the job will run is not known.")
	case jobs.Withdrawn:
		for _, name := range []string{idempotencyKey, s.Job.IdempotencyField} {
			if len(r.Header[name]) == 0 {
				r.Header[name] = []string{s.KeyFor(receipt.ID)}
			}
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
	w http.ResponseWriter, r *http.Request, s jobs.Submission, receipt jobs.Receipt,
	preferred preference,
) reason.Reason {
	if l := receipt.Local; l != nil {
		timer := time.NewTimer(s.Within)
		defer timer.Stop()
		select {
		case <-l.Done():
		case <-timer.C:
		case <-r.Context().Done(): // it goes on as a job
		}
		if !l.Promise() {
			h.direct(w, r, s.Job, l, preferred)
			return reason.AnsweredInTime
		}
	}
	grant(w.Header(), r, s.Job.CORS)
	h.accepted(w, r, receipt, preferred)
	return receipt.Why
}

// direct answers with the backend's own answer, or as a gateway without jobs would.
func (h *Hook) direct(w http.ResponseWriter, r *http.Request, job *policy.JobPlan, l *jobs.Local,
	preferred preference) {
	answer, fault := l.Answer()
	if answer == nil || len(answer.Fields["Access-Control-Allow-Origin"]) == 0 {
		grant(w.Header(), r, job.CORS)
	}
	if preferred.waits {
		preferred.applied(w.Header(), preferred.waitText())
	}
	if answer == nil {
		h.refuse(w, http.StatusBadGateway, reason.AnsweredInTime,
			"The request was sent, and "+fault+".")
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

func (h *Hook) accepted(w http.ResponseWriter, r *http.Request, receipt jobs.Receipt,
	preferred preference) {
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
