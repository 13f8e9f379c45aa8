package ops

import (
	"net/http"

	"sidecar/internal/problem"
)

// ready answers whether the sidecar takes traffic. It does so without Redis too: the backend
// answers then.
func (o Options) ready(w http.ResponseWriter, r *http.Request) {
	if err := o.Ready(r.Context()); err != nil {
		problem.Write(w, http.StatusServiceUnavailable, "Not ready: "+err.Error()+".")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// redisHealth answers whether Redis takes commands, for those who want to be told.
func (o Options) redisHealth(w http.ResponseWriter, _ *http.Request) {
	if err := o.Redis(); err != nil {
		problem.Write(w, http.StatusServiceUnavailable,
			"Redis is away: "+err.Error()+". Requests are answered by the backend.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "healthy"})
}

// leave sends clients elsewhere before the sidecar is told to end. Everything is served meanwhile.
func (o Options) leave(w http.ResponseWriter, _ *http.Request) {
	o.Leave()
	writeJSON(w, http.StatusOK, map[string]string{"status": "leaving"})
}
