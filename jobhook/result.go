package jobhook

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
)

// result answers with the backend's own response. Before there is one it answers 409. Where there
// will never be one it answers 502, as a gateway without a queue would have done.
func (h *Hook) result(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	ctx, cancel := context.WithTimeout(r.Context(), pollTimeout)
	defer cancel()
	response, err := h.Jobs.Result(ctx, nil, record)
	switch {
	case err == nil:
		if coding, ok := recode(response, r.Header["Accept-Encoding"]); !ok {
			h.refuse(w, http.StatusNotAcceptable, "", "The result has the content coding "+coding+
				", which Accept-Encoding does not accept, and cannot be sent without it.")
			return
		}
		// The answer to a POST is now that to a GET, which caches might store: the backend's own
		// Cache-Control was not about that.
		response.Fields["Cache-Control"] = []string{"no-store"}
		h.replay(w, r, response, "")
	case errors.Is(err, jobs.ErrNotFound):
		h.refuse(w, http.StatusNotFound, "", noSuchJob)
	case errors.Is(err, jobs.ErrNoResult) && !record.Status.Final():
		w.Header().Set("Retry-After", retryAfter)
		h.refuse(w, http.StatusConflict, "",
			"The job is not over: it is "+string(record.Status)+".")
	case errors.Is(err, jobs.ErrNoResult) && record.Status == jobs.Canceled:
		h.refuse(w, http.StatusGone, "", "The job was canceled.")
	case errors.Is(err, jobs.ErrNoResult):
		h.refuse(w, http.StatusBadGateway, "",
			"The job ended without an answer from the backend: "+record.LastError+".")
	case errors.Is(err, jobs.ErrSealed):
		h.Log.Error("a job's result cannot be opened: is a key missing in JOBS_ENCRYPTION_KEY?",
			"job_type", record.Type, "error", err)
		h.refuse(w, http.StatusInternalServerError, "", "The result is kept, and cannot be opened.")
	default:
		h.unavailable(w, reason.JobStoreAway, storeAway)
	}
}

// replay sends the backend's response and adds nothing to it.
func (h *Hook) replay(w http.ResponseWriter, r *http.Request, response *jobs.Response,
	why reason.Reason) {
	header := w.Header()
	for name, values := range response.Fields {
		switch {
		case name == "Vary": // beside our own
			header[name] = append(header[name], values...)
		// the route's own cors
		case strings.HasPrefix(name, "Access-Control-") && len(header[name]) > 0:
		default:
			header[name] = values
		}
	}
	for _, name := range []string{"Date", "Content-Type"} {
		if _, ok := header[name]; !ok {
			header[name] = nil // net/http invents none
		}
	}
	hasContent := response.Status != http.StatusNoContent &&
		response.Status != http.StatusNotModified
	delete(header, "Content-Length")
	if hasContent {
		header["Content-Length"] = []string{strconv.Itoa(len(response.Body))}
	}
	h.sign(header, why)
	w.WriteHeader(response.Status)
	if hasContent && r.Method != http.MethodHead {
		_, _ = w.Write(response.Body) // a client that has gone is nobody's error
	}
}
