package proxy

import (
	"io"
	"maps"
	"net/http"
	"sync/atomic"

	"sidecar/internal/backend"
)

// A recorder is a ResponseWriter that remembers the status and counts content.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	last   func() bool // the connection is to end with this answer; nil: it never is
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
		if r.last != nil && r.last() {
			r.Header()["Connection"] = []string{"close"} // by HTTP/2 net/http makes a GOAWAY of it
		}
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.WriteHeader(http.StatusOK)
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// take makes fields those of the answer, in the place of none, and returns its map. The caller
// gives fields away.
func (r *recorder) take(fields http.Header) http.Header {
	own := r.Header()
	if w, ok := r.ResponseWriter.(interface{ SetHeader(http.Header) }); ok && len(own) == 0 {
		w.SetHeader(fields)
		backend.Reuse(own)
		return fields
	}
	maps.Copy(own, fields)
	return own
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// counting is r with a body that counts the bytes read. A request without a body keeps its
// http.NoBody, which says so.
func counting(r *http.Request, bytes *atomic.Int64) *http.Request {
	if r.Body == nil || r.Body == http.NoBody {
		return r
	}
	counted := *r // the handler may change the request; its server's one stays as it is
	counted.Body = &countedBody{r.Body, bytes}
	return &counted
}

// countedBody may still be read when the exchange is over: by the goroutine that sends it to the
// backend, if the answer came first.
type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

// Read implements io.Reader.
func (c *countedBody) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}
