package httpcache

import (
	"net/http"

	"sidecar/internal/httpfield"
)

// Conditional reports whether the request's condition lets the stored response be answered as 304
// (§4.3.2; RFC 9110 §13.2.2): If-None-Match by weak comparison, and only without that field
// If-Modified-Since. A condition that cannot be read is as if it were not met: the response is
// sent whole. Only a stored 200, or a part of one, is ever answered so.
//
// If-Modified-Since is compared with Last-Modified alone. §4.3.2 would have Date stand in for it;
// but a Date is no statement of when the content changed, and a client whose clock is ahead would
// be told that nothing did.
func Conditional(req httpfield.Request, s Stored) (notModified bool) {
	// a part says as much of the whole
	whole := s.Status == http.StatusOK || s.Status == http.StatusPartialContent
	if !whole || req.Method != http.MethodGet && req.Method != http.MethodHead {
		return false
	}
	if conditions := req.Fields.Values("If-None-Match"); len(conditions) > 0 {
		return anyMatches(conditions, s.Fields.Values("Etag"))
	}
	since, ok := onlyDate(req.Fields, "If-Modified-Since", s.ResponseTime)
	if !ok {
		return false
	}
	modified, ok := onlyDate(s.Fields, "Last-Modified", s.ResponseTime)
	return ok && !modified.After(since)
}

// anyMatches evaluates If-None-Match (RFC 9110 §13.1.2) for a response with these ETag lines, of
// which there should be one.
func anyMatches(conditions, etag []string) bool {
	list, any, ok := httpfield.ParseETags(conditions)
	if !ok || any {
		return ok
	}
	if len(etag) != 1 {
		return false
	}
	stored, ok := httpfield.ParseETag(etag[0])
	if !ok {
		return false
	}
	for _, tag := range list {
		if tag.WeakMatch(stored) {
			return true
		}
	}
	return false
}
