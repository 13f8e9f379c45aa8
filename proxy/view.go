package proxy

import (
	"net/http"

	"sidecar/internal/httpfield"
)

// view is r as matching, planning and the caching rules see it. sent are its fields as they are
// sent on. ok is false if the request target cannot be read for certain; nothing may be cached or
// taken for a job then.
func view(r *http.Request, sent httpfield.Fields) (v httpfield.Request, ok bool) {
	path, query, hasQuery, ok := httpfield.SplitTarget(r.RequestURI)
	return httpfield.Request{
		Method: r.Method,
		// net/http has put an absolute target's authority here (RFC 9112 §3.2.2)
		Authority: r.Host,
		Path:      path,
		Query:     query,
		HasQuery:  hasQuery,
		Fields:    httpfield.Header(r.Header),
		Sent:      sent,
		HasBody:   r.ContentLength != 0 || len(r.TransferEncoding) > 0,
	}, ok
}
