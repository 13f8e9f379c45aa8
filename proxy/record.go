package proxy

import (
	"io"
	"net/http"

	"sidecar/internal/telemetry"
)

// A recorder is a ResponseWriter that remembers the status and counts content.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// counting is r with a body that counts what is read of it. A request without a body keeps its
// http.NoBody, which says so.
func counting(r *http.Request, out *telemetry.Outcome) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	counted := *r // the handler may change the request; its server's one stays as it is
	counted.Body = &countedBody{r.Body, out}
	return &counted
}

// countedBody is read by one goroutine at a time, and no longer when the exchange is over:
// net/http's transport has then given it up.
type countedBody struct {
	io.ReadCloser
	out *telemetry.Outcome
}

// Read implements io.Reader.
func (c *countedBody) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.out.BytesIn += int64(n)
	return n, err
}
