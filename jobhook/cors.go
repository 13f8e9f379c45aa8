package jobhook

import (
	"net/http"
	"slices"
	"strings"

	"sidecar/internal/httpfield"
	"sidecar/policy"
)

// CORS is the protocol of the Fetch standard, §3.2. The sidecar speaks it for its own answers
// alone: those of the API have the API's own fields.

// exposed are the fields of our answers that a page may read.
const exposed = "Location, Retry-After, Preference-Applied"

// preflightAge is how long a browser may keep the answer to a preflight, in seconds.
const preflightAge = "600"

// grant lets the page that asks read the answer, if its origin is among those of the route.
func grant(header http.Header, r *http.Request, c *policy.CORS) {
	if c == nil {
		return
	}
	header["Vary"] = append(header["Vary"], "Origin")
	origin := r.Header["Origin"]
	if len(origin) != 1 || !c.Allows(origin[0]) {
		return
	}
	header["Access-Control-Allow-Origin"] = []string{origin[0]}
	header["Access-Control-Expose-Headers"] = []string{exposed}
	if c.Credentials {
		header["Access-Control-Allow-Credentials"] = []string{"true"}
	}
}

// isForeign reports whether a page of another origin asks that the route does not allow.
func isForeign(r *http.Request, c *policy.CORS) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || c != nil && c.Allows(origin) {
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	return !strings.EqualFold(host, r.Host)
}

// isPreflight reports whether r is a CORS preflight, and for which method.
func isPreflight(r *http.Request) (method string, ok bool) {
	methods := r.Header["Access-Control-Request-Method"]
	if r.Method != http.MethodOptions || len(r.Header["Origin"]) != 1 || len(methods) != 1 {
		return "", false
	}
	return methods[0], true
}

// Preflight answers the CORS preflight for a request that may become a job by plan. It reports
// false, and has not answered, if r is no such preflight, or the route has no cors: the API answers
// it then.
func (h *Hook) Preflight(w http.ResponseWriter, r *http.Request, plan *policy.Plan) bool {
	method, ok := isPreflight(r)
	if !ok || plan.Job == nil || plan.Job.CORS == nil || method != http.MethodPost {
		return false
	}
	h.preflight(w, r, plan.Job.CORS, http.MethodPost)
	return true
}

func (h *Hook) preflight(w http.ResponseWriter, r *http.Request, c *policy.CORS,
	methods ...string) {
	header := w.Header()
	grant(header, r, c)
	if header.Get("Access-Control-Allow-Origin") != "" {
		delete(header, "Access-Control-Expose-Headers")
		header["Access-Control-Allow-Methods"] = []string{strings.Join(methods, ", ")}
		header["Access-Control-Max-Age"] = []string{preflightAge}
		wanted, ok := httpfield.FieldNames(r.Header["Access-Control-Request-Headers"])
		if ok && len(wanted) > 0 {
			header["Access-Control-Allow-Headers"] = []string{
				strings.Join(slices.Compact(wanted), ", "),
			}
		}
	}
	header["Vary"] = append(header["Vary"], "Access-Control-Request-Method",
		"Access-Control-Request-Headers")
	h.sign(header, "")
	w.WriteHeader(http.StatusNoContent)
}
