package backend

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"sidecar/internal/httpfield"
)

// A Request is a request to the backend. It may be sent again when its answer has come, and must
// not change once it was sent.
type Request struct {
	*http.Request // its Header is that of the method, or nil before
	fields        Fields
	sent          bool   // over HTTP/1.1
	head          []byte // as it is sent so, once it has been sent twice
}

// Header are the fields that are sent, to be changed before that.
func (out *Request) Header() http.Header {
	if out.Request.Header == nil {
		h := make(http.Header, len(out.fields.request.Header)+len(setFields))
		h["User-Agent"] = nil // net/http would introduce itself
		out.each(func(name string, values []string) { h[name] = values })
		out.Request.Header = h
	}
	return out.Request.Header
}

// each calls f for the fields that are sent.
func (out *Request) each(f func(name string, values []string)) {
	if out.Request.Header == nil {
		out.fields.sent(f)
		return
	}
	for name, values := range out.Request.Header {
		f(name, values)
	}
}

// Outgoing returns the request to send on for r, a request as a server received it: the same
// method, target, content and trailers, and the fields as Fields has them. Nothing that net/http
// would invent is added. query is sent instead of r's own; of "/a?" the '?' stays. r is not
// changed, but its body is handed over. Its fields must not change until the result is sent.
//
// ok is false for a target or a host that cannot be sent as it came.
func (b *Backend) Outgoing(r *http.Request, query string) (out *Request, ok bool) {
	target, ok := b.target(r.RequestURI, query)
	if !ok || !isPlainHost(r.Host) {
		return nil, false
	}
	out = &Request{Request: &http.Request{
		Method: r.Method, URL: target, Host: r.Host,
		Body: r.Body, ContentLength: r.ContentLength,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, fields: b.Fields(r)}
	passTrailers(r, out.Request)
	if r.ContentLength == 0 && r.Header["Content-Length"] == nil {
		// over HTTP/2 it is another empty body, and net/http would have to probe it
		out.Body = http.NoBody
	}
	return out, true
}

// passTrailers makes the trailers of r, as far as they may pass, those of out. Their values are
// there when the body has been read.
func passTrailers(r, out *http.Request) {
	if len(r.Trailer) == 0 {
		return
	}
	out.Trailer = make(http.Header, len(r.Trailer))
	for name := range r.Trailer {
		if httpfield.MayBeTrailer(name) {
			out.Trailer[name] = nil
		}
	}
	out.Body = &trailing{ReadCloser: r.Body, from: r.Trailer, to: out.Trailer}
}

// A trailing is a body behind which the trailers are handed over.
type trailing struct {
	io.ReadCloser
	from, to http.Header
}

// Read implements io.Reader.
func (t *trailing) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if err == io.EOF {
		for name := range t.to {
			t.to[name] = t.from[name]
		}
	}
	return n, err
}

// target makes a URL that net/http writes as the request target came, byte by byte, with query in
// the place of its query.
func (b *Backend) target(raw, query string) (*url.URL, bool) {
	if endsATarget(raw) || endsATarget(query) {
		return nil, false // it would end the request line, or more
	}
	origin, ok := httpfield.OriginForm(raw)
	if !ok || origin[0] == '#' {
		return nil, false
	}
	path, was, hasQuery := strings.Cut(origin, "?")
	u := &url.URL{
		Scheme: b.scheme, Host: b.host, RawQuery: query, ForceQuery: hasQuery && was == "",
	}
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return u, true
	}
	// An opaque part that begins with "//" would get the scheme put before it.
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, false
	}
	u.Path, u.RawPath = decoded, path
	return u, u.EscapedPath() == path
}

// endsATarget reports whether s has a blank or a control byte.
func endsATarget(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}
