package jobhook

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"

	"sidecar/internal/caller"
	"sidecar/internal/jobs"
	"sidecar/internal/reason"
)

// noSuchJob is the one answer for a job that is not there and for one that is another caller's.
const noSuchJob = "There is no such job, or it has been forgotten, or it is not yours."

const storeAway = "The job store does not answer. The job is not lost; ask again."

// find reads the job for who asks, or answers that it cannot be had.
func (h *Hook) find(w http.ResponseWriter, r *http.Request, id string,
	who caller.Caller) (jobs.Record, bool) {
	ctx, cancel := context.WithTimeout(r.Context(), pollTimeout)
	defer cancel()
	record, err := h.Jobs.Job(ctx, nil, id)
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		h.notFound(w, r)
	case err != nil:
		h.unavailable(w, reason.JobStoreAway, storeAway)
	case mayNotBeKnown(record, who):
		h.unavailable(w, reason.KeySecretUnknown, "It cannot be told yet who is asking. Ask again.")
	case !owns(record, who):
		h.notFound(w, r)
	default:
		return record, true
	}
	return jobs.Record{}, false
}

// notFound answers a stranger, to whom a job that is another caller's looks like one that is not
// there: a page may read it too, for jobs of any route.
func (h *Hook) notFound(w http.ResponseWriter, r *http.Request) {
	h.AuthFailed()
	grant(w.Header(), r, h.CORS("", r.Header.Get("Origin")))
	h.refuse(w, http.StatusNotFound, "", noSuchJob)
}

// owns reports whether who may see the job: the caller who submitted it, or, if nobody said who was
// asking then, everybody who holds its id.
func owns(record jobs.Record, who caller.Caller) bool {
	if record.Owner == "" {
		return true
	}
	if who.Bypass != "" || who.Anonymous {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(record.Owner), []byte(who.ID)) == 1
}

// mayNotBeKnown reports whether who is asking will be known once the key secret is.
func mayNotBeKnown(record jobs.Record, who caller.Caller) bool {
	return record.Owner != "" && who.Bypass == reason.KeySecretUnknown
}

func (h *Hook) unavailable(w http.ResponseWriter, why reason.Reason, detail string) {
	w.Header().Set("Retry-After", retryAfter)
	h.refuse(w, http.StatusServiceUnavailable, why, detail)
}
