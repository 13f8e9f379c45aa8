// Package jobhook is the HTTP side of jobs: it turns requests into jobs, and answers for them under
// JOBS_PATH.
//
// accept and capture make the job of a POST; status and result answer later requests; owner decides
// who may see a job.
package jobhook

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/internal/jobs"
	"sidecar/internal/peek"
	"sidecar/internal/problem"
	"sidecar/internal/reason"
)

// pollTimeout bounds all Redis work of a request for a status or a result.
const pollTimeout = 2 * time.Second

// retryAfter is the value of Retry-After, in seconds, where it is worth asking again.
const retryAfter = "1"

// Options of a Hook.
type Options struct {
	Jobs *jobs.Jobs
	Path string // JOBS_PATH; "" for "/_jobs". A trailing slash is dropped
	// CacheStatus is the Cache-Status of an answer that the hook makes, for why; nil, or an empty
	// string: none.
	CacheStatus func(why reason.Reason) string
	// AuthFailed is called when somebody asks for a job that is not there, or not theirs; nil:
	// nobody counts.
	AuthFailed func()
	Bodies     *peek.Room   // bounds the request bodies that are held
	Log        *slog.Logger // nil: slog.Default
}

// A Hook implements proxy.JobHook. It is safe for concurrent use.
type Hook struct {
	Options
}

// New returns a hook on o.Jobs.
func New(o Options) *Hook {
	if o.Path == "" {
		o.Path = "/_jobs"
	}
	o.Path = strings.TrimRight(o.Path, "/")
	if o.CacheStatus == nil {
		o.CacheStatus = func(reason.Reason) string { return "" }
	}
	if o.AuthFailed == nil {
		o.AuthFailed = func() {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Hook{o}
}

// Serves reports whether the path, as it was sent, is the hook's own.
func (h *Hook) Serves(path string) bool {
	rest, ok := strings.CutPrefix(path, h.Path)
	return ok && (rest == "" || rest[0] == '/')
}

// ServeJob answers GET and HEAD for Path/{id} and Path/{id}/result. who is the caller of r.
func (h *Hook) ServeJob(w http.ResponseWriter, r *http.Request, who caller.Caller) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		h.refuse(w, http.StatusMethodNotAllowed, "", "A job can be looked at, with GET or HEAD.")
		return
	}
	path, _, _, _ := httpfield.SplitTarget(r.RequestURI)
	id, what, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, h.Path), "/"), "/")
	record, ok := h.find(w, r, id, who)
	if !ok {
		return
	}
	switch what {
	case "":
		h.status(w, r, record)
	case "result":
		h.result(w, r, record)
	default:
		h.refuse(w, http.StatusNotFound, "", noSuchJob)
	}
}

// refuse answers with a problem document.
func (h *Hook) refuse(w http.ResponseWriter, status int, why reason.Reason, detail string) {
	h.sign(w.Header(), why)
	problem.Write(w, status, detail)
}

// sign adds the Cache-Status of an answer that the sidecar makes itself.
func (h *Hook) sign(header http.Header, why reason.Reason) {
	if s := h.CacheStatus(why); s != "" {
		header["Cache-Status"] = append(header["Cache-Status"], s)
	}
}
