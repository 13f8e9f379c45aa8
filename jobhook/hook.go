// Package jobhook is the HTTP side of jobs: it turns requests into jobs, and answers for them under
// JOBS_PATH.
//
// accept, prefer and capture make the job of a POST; status, follow, result and cancel answer later
// requests; owner decides who may see a job, and cors which pages may.
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
	"sidecar/policy"
)

// pollTimeout bounds all Redis work of a request for a status or a result.
const pollTimeout = 2 * time.Second

// retryAfter is the value of Retry-After, in seconds, where it is worth asking again.
const retryAfter = "1"

// retryFull is that of a client whose jobs are too many.
const retryFull = "5"

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
	// CORS is that of a route, or for "" that of any job route that allows the origin; nil: none.
	CORS   func(route, origin string) *policy.CORS
	Bodies *peek.Room   // bounds the request bodies that are held
	Log    *slog.Logger // nil: slog.Default
}

// A Hook implements proxy.JobHook. It is safe for concurrent use.
type Hook struct {
	Options
	ending chan struct{} // closed when nobody is to wait any more
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
	if o.CORS == nil {
		o.CORS = func(string, string) *policy.CORS { return nil }
	}
	return &Hook{Options: o, ending: make(chan struct{})}
}

// Serves reports whether the path, as it was sent, is the hook's own.
func (h *Hook) Serves(path string) bool {
	rest, ok := strings.CutPrefix(path, h.Path)
	return ok && (rest == "" || rest[0] == '/')
}

// ServeJob answers GET, HEAD and DELETE for Path/{id}, and GET and HEAD for Path/{id}/result. who
// is the caller of r.
func (h *Hook) ServeJob(w http.ResponseWriter, r *http.Request, who caller.Caller) {
	anyRoute := h.CORS("", r.Header.Get("Origin"))
	if _, ok := isPreflight(r); ok && anyRoute != nil {
		h.preflight(w, r, anyRoute, http.MethodGet, http.MethodHead, http.MethodDelete)
		return
	}
	path, _, _, _ := httpfield.SplitTarget(r.RequestURI)
	id, what, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, h.Path), "/"), "/")
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
	case r.Method == http.MethodDelete && what == "":
	default:
		grant(w.Header(), r, anyRoute)
		h.notAllowed(w, what)
		return
	}
	record, ok := h.find(w, r, id, who)
	if !ok {
		return
	}
	cors := h.CORS(record.Type, "")
	grant(w.Header(), r, cors)
	switch {
	case r.Method == http.MethodDelete && isForeign(r, cors):
		h.refuse(w, http.StatusForbidden, "",
			"Pages of this origin may not cancel jobs of this route.")
	case r.Method == http.MethodDelete:
		h.cancel(w, r, record)
	case what == "" && wantsEvents(r):
		h.events(w, r, record)
	case what == "":
		h.status(w, r, h.awaitAsPreferred(w, r, record))
	case what == "result":
		h.result(w, r, h.awaitAsPreferred(w, r, record))
	default:
		h.refuse(w, http.StatusNotFound, "", noSuchJob)
	}
}

func (h *Hook) notAllowed(w http.ResponseWriter, what string) {
	allow := "GET, HEAD"
	if what == "" {
		allow += ", DELETE"
	}
	w.Header().Set("Allow", allow)
	h.refuse(w, http.StatusMethodNotAllowed, "",
		"A job can be looked at, with GET or HEAD, and canceled, with DELETE.")
}

// awaitAsPreferred waits for the end of the job as long as the client prefers.
func (h *Hook) awaitAsPreferred(w http.ResponseWriter, r *http.Request,
	record jobs.Record) jobs.Record {
	p := preferenceOf(r.Header["Prefer"])
	if !p.waits {
		return record
	}
	p.applied(w.Header(), p.waitText())
	if record.Status.Final() || p.wait == 0 {
		return record
	}
	return h.awaitEnd(r.Context(), record, p.wait)
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
