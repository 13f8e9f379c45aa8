package jobs

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"sidecar/internal/httpfield"
)

// A Request is a captured request, without the fields that concern the client's connection alone.
type Request struct {
	Method     string
	Target     string // origin form, as sent: path and query
	Host       string // as sent
	Proto      string // "HTTP/1.1"
	RemoteAddr string // the peer, whose forwarding fields are believed or not
	Fields     http.Header
	Trailer    http.Header
	Body       []byte
}

// A Response is the backend's answer.
type Response struct {
	Status int
	Fields http.Header // end-to-end fields alone
	Body   []byte
}

// view is the request as matching sees it.
func (r *Request) view() httpfield.Request {
	path, query, hasQuery, _ := httpfield.SplitTarget(r.Target)
	return httpfield.Request{
		Method:    r.Method,
		Authority: r.Host,
		Path:      path,
		Query:     query,
		HasQuery:  hasQuery,
		Fields:    httpfield.Header(r.Fields),
		HasBody:   len(r.Body) > 0,
	}
}

// incoming is the request as a server would have received it: RequestURI is the target, and URL is
// not set.
func (r *Request) incoming(ctx context.Context) *http.Request {
	in := (&http.Request{
		Method:        r.Method,
		Host:          r.Host,
		RequestURI:    r.Target,
		RemoteAddr:    r.RemoteAddr,
		Proto:         r.Proto,
		Header:        r.Fields.Clone(),
		Body:          http.NoBody,
		ContentLength: int64(len(r.Body)),
	}).WithContext(ctx)
	in.ProtoMajor, in.ProtoMinor, _ = http.ParseHTTPVersion(r.Proto)
	if len(r.Body) > 0 {
		in.Body = io.NopCloser(bytes.NewReader(r.Body))
	}
	if len(r.Trailer) > 0 {
		in.Trailer, in.ContentLength, in.TransferEncoding = r.Trailer.Clone(), -1,
			[]string{"chunked"}
	}
	return in
}
