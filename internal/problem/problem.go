// Package problem writes the sidecar's own errors as problem documents (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// document has no type: the default "about:blank" says that the status tells all (RFC 9457
// §4.2.1).
type document struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Write sends a problem document. detail is one or two sentences for a human reader. Any client
// may read it, so it holds no secret. Fields that are set on w already, such as Cache-Status or
// Retry-After, are sent too; those that describe the content are replaced.
func Write(w http.ResponseWriter, status int, detail string) {
	// Strings and a number always marshal.
	body, _ := json.Marshal(document{Title: http.StatusText(status), Status: status,
		Detail: detail})
	body = append(body, '\n')
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Range", "Etag", "Last-Modified",
		"Trailer"} {
		delete(h, name)
	}
	h["Content-Type"] = []string{ContentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails if the client has left
}
