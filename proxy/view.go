package proxy

import (
	"cmp"
	"net/http"

	"sidecar/internal/backend"
	"sidecar/internal/httpfield"
	"sidecar/internal/peek"
	"sidecar/internal/telemetry"
)

// view is r as matching, planning and the caching rules see it. sent are its fields as they are
// sent on. ok is false if the request target cannot be read for certain, as that of CONNECT;
// nothing may be cached or taken for a job then.
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
	}, ok && r.Method != http.MethodConnect
}

// client describes the client in the access log.
func (x *exchange) client() telemetry.Client {
	fields := httpfield.Header(x.r.Header)
	return telemetry.Client{
		Address: x.sent.Client(), Host: x.r.Host, Path: x.r.URL.Path,
		RequestID: httpfield.First(fields, "X-Request-Id"),
		Trace:     cmp.Or(x.span.Traceparent(), httpfield.First(fields, "Traceparent")),
	}
}

// View is r as a Proxy before b plans it, for those who explain plans.
func View(r *http.Request, b *backend.Backend) (v httpfield.Request, ok bool) {
	sent := b.Fields(r)
	return view(r, &sent)
}

// withoutEmptyBody is r, or where a GET or HEAD announces content and ends without any, a copy of
// r without a body: over HTTP/2 it may end with an empty DATA frame, over HTTP/1.1 with the last
// chunk alone. It waits for the first byte or the end. A client that waits for 100 (Continue) has
// content.
func withoutEmptyBody(r *http.Request) *http.Request {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || r.ContentLength >= 0 ||
		r.Header.Get("Expect") != "" {
		return r
	}
	_, empty, again, _ := peek.Body(r.Body, 0)
	read := *r
	if read.Body = again; empty {
		read.Body, read.ContentLength, read.TransferEncoding = http.NoBody, 0, nil
	}
	return &read
}
