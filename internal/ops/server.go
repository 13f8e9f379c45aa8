// Package ops is the ops address: health, readiness, status, metrics, administration, and a page to
// look at. None of it is reachable through the data plane. Everything outside /admin/ is read-only
// and shows no caller, key, body or secret.
package ops

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"sidecar/internal/problem"
)

// A Reporter writes one part of /status.
type Reporter interface {
	// Report returns the part's name, its value for JSON, and why the sidecar is degraded by it, if
	// it is. It is bounded by ctx.
	Report(ctx context.Context) (name string, value any, degraded []string)
}

// Options of the ops handler.
type Options struct {
	Ready     func(ctx context.Context) error // nil error: ready to take traffic
	Redis     func() error                    // nil error: Redis answers
	Reporters []Reporter
	Page      *Page // nil: there is none
	Purger    Purger
	Queue     Queue
	Explain   Explainer
	Policies  func() any   // those in force, for /admin/policies
	Reload    func() error // read the policies again
	Leave     func()       // send clients elsewhere, and serve on
	// "": /admin/ answers 403; read anew for every request, so that a rotated token counts
	AdminToken func() (string, error)
	Metrics    http.Handler
	AuthFailed func() // called for each admin request without the token; nil: nobody counts
	Log        *slog.Logger
}

// Handler returns the handler of the ops address.
func Handler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /healthz/redis", o.redisHealth)
	mux.HandleFunc("GET /readyz", o.ready)
	mux.HandleFunc("GET /status", o.status)
	mux.Handle("GET /metrics", o.Metrics)
	mux.Handle("POST /admin/purge", o.admin(o.purge))
	mux.Handle("GET /admin/jobs", o.admin(o.listJobs))
	mux.Handle("GET /admin/jobs/{id}", o.admin(o.withJob(o.showJob)))
	mux.Handle("DELETE /admin/jobs/{id}", o.admin(o.withJob(o.cancelJob)))
	mux.Handle("POST /admin/jobs/{id}/retry", o.admin(o.withJob(o.retryJob)))
	mux.Handle("GET /admin/policies", o.admin(o.policies))
	mux.Handle("POST /admin/explain", o.admin(o.explain))
	mux.Handle("POST /admin/reload", o.admin(o.reload))
	mux.Handle("POST /admin/leave", o.admin(o.leave))
	if o.Page != nil {
		mux.HandleFunc("GET /{$}", o.Page.show)
		mux.HandleFunc("GET /ui/events", o.Page.events)
		mux.HandleFunc("GET /ui/history", o.Page.routeHistory)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, http.StatusNotFound,
			"The ops address has /, /healthz, /healthz/redis, /readyz, /status, /metrics and /admin/.")
	})
	return sameOrigin(mux)
}

// sameOrigin refuses a browser's requests on behalf of a page from elsewhere, but for reads. The
// admin token alone would do: no browser adds it by itself.
func sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem.Write(w, http.StatusForbidden, "A page of another origin may not ask for this.")
	}))
	return protection.Handler(next)
}

// admin lets only the bearer of ADMIN_TOKEN through (RFC 6750 §2.1). It compares digests in
// constant time, so that the time depends neither on content nor on length.
func (o Options) admin(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := o.AdminToken()
		switch {
		case err != nil:
			o.Log.Error("the admin token cannot be read", "error", err)
			problem.Write(w, http.StatusForbidden, "ADMIN_TOKEN cannot be read; the log says why.")
			return
		case token == "":
			problem.Write(w, http.StatusForbidden,
				"ADMIN_TOKEN is not set, so nobody may administer this sidecar.")
			return
		}
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(given))
		if !strings.EqualFold(scheme, "Bearer") ||
			subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			if o.AuthFailed != nil {
				o.AuthFailed()
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="sidecar"`)
			problem.Write(w, http.StatusUnauthorized,
				"This wants Authorization: Bearer with the ADMIN_TOKEN.")
			return
		}
		next(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(value) // a client that has gone is nobody's error
}
