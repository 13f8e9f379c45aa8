// Package problem writes the errors that the sidecar itself makes as problem documents (RFC 9457).
package problem

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// document has no type: "about:blank" is the default, and says that the status tells all (RFC 9457 §4.2.1).
type document struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// Write answers with a problem document. detail is one or two sentences for the person who reads it, and is shown to any
// client: it holds no secret. Fields that w has already, such as Cache-Status or Retry-After, are sent with it; those that
// describe the content are replaced. To a HEAD net/http sends the same fields and no content.
func Write(w http.ResponseWriter, status int, detail string) {
	// Strings and a number always marshal.
	body, _ := json.Marshal(document{Title: http.StatusText(status), Status: status, Detail: detail})
	body = append(body, '\n')
	h := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Trailer"} {
		delete(h, name)
	}
	h["Content-Type"] = []string{ContentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone is nobody's error
}
