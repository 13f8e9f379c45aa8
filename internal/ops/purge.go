package ops

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"sidecar/cachekeys"
	"sidecar/internal/invalidation"
	"sidecar/internal/problem"
)

// A Purger drops entries by name. An error means that they were not dropped at once.
type Purger interface {
	// Parse returns the tags of a request, or a fault as a sentence.
	Parse(r invalidation.Request) (tags []cachekeys.Tag, fault string)
	// Purge drops the entries that carry one of the tags, and returns how many of the tags an entry
	// may have carried; -1 if that is not known.
	Purge(ctx context.Context, tags []cachekeys.Tag) (carried int, err error)
}

// maxPurge bounds a purge request's body in bytes.
const maxPurge = 1 << 20

// purge drops the entries that the body names.
func (o Options) purge(w http.ResponseWriter, r *http.Request) {
	request, err := readPurge(http.MaxBytesReader(w, r.Body, maxPurge))
	if err != nil {
		problem.Write(w, http.StatusBadRequest,
			`The body is to be {"tags": […]}, {"urls": […]} or {"all": true}: `+err.Error()+".")
		return
	}
	tags, fault := o.Purger.Parse(request)
	if fault != "" {
		problem.Write(w, http.StatusBadRequest, fault)
		return
	}
	carried, err := o.Purger.Purge(r.Context(), tags)
	if err != nil {
		problem.Write(w, http.StatusServiceUnavailable,
			"Redis did not take the purge. This sidecar reads"+
				" nothing from Redis until it does; others may serve the purged entries until then.")
		return
	}
	answer := map[string]int{"purged": len(tags)}
	if carried >= 0 {
		answer["carried"] = carried
	}
	writeJSON(w, http.StatusOK, answer)
}

// readPurge reads one JSON object. Anything it does not know, or that follows it, is an error.
func readPurge(body io.Reader) (r invalidation.Request, err error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return r, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return r, errors.New("something follows the object")
	}
	return r, nil
}
