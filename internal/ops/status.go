package ops

import (
	"context"
	"net/http"
	"time"
)

// statusTimeout bounds the time of all reporters together: /status also answers while Redis is
// frozen.
const statusTimeout = 2 * time.Second

// status joins the reports of the parts of the sidecar.
func (o Options) status(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusOK, report(r.Context(), o.Reporters))
}

// report joins the reports of parts.
func report(ctx context.Context, reporters []Reporter) map[string]any {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	body := map[string]any{}
	reasons := []string{}
	for _, reporter := range reporters {
		name, value, degraded := reporter.Report(ctx)
		body[name] = value
		reasons = append(reasons, degraded...)
	}
	body["status"] = "healthy"
	if len(reasons) > 0 {
		body["status"], body["reasons"] = "degraded", reasons
	}
	return body
}
