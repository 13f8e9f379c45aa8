package proxy

import (
	"net/http"
	"slices"

	"sidecar/internal/httpfield"
)

// head sends the head of the backend's answer.
func (p *Proxy) head(x *exchange, resp *http.Response) {
	h := x.w.Header()
	copyHead(h, resp)
	p.writeHead(x, resp, h)
}

// handHead is head for an answer whose fields nobody needs any more: they are not copied.
func (p *Proxy) handHead(x *exchange, resp *http.Response) {
	h := resp.Header
	httpfield.HopOf(httpfield.Header(h)).Strip(h)
	p.writeHead(x, resp, x.w.take(h))
}

// writeHead sends the head of resp with the end-to-end fields h.
func (p *Proxy) writeHead(x *exchange, resp *http.Response, h http.Header) {
	p.finishHead(x, h)
	httpfield.KeepTrailers(resp.Trailer) // over HTTP/2 net/http lets others pass
	if len(resp.Trailer) > 0 {
		names := make([]string, 0, len(resp.Trailer))
		for name := range resp.Trailer {
			names = append(names, name)
		}
		slices.Sort(names)
		h["Trailer"] = names
		// an answer of HTTP/2 may have both; in HTTP/1.1 only a chunked one has trailers
		// (RFC 9112 §7.1.2)
		delete(h, "Content-Length")
	}
	p.boundStream(x, resp)
	x.w.WriteHeader(resp.StatusCode)
}

// copyHead copies the end-to-end fields of the backend's answer.
func copyHead(h http.Header, resp *http.Response) {
	for name, values := range resp.Header {
		h[name] = values
	}
	httpfield.HopOf(httpfield.Header(resp.Header)).Strip(h)
}

// finishHead adds the sidecar's own fields and keeps net/http from inventing fields that the
// backend did not send.
func (p *Proxy) finishHead(x *exchange, h http.Header) {
	if s := x.out.CacheStatus(p.CacheStatus); s != "" {
		h["Cache-Status"] = append(slices.Clip(h["Cache-Status"]), s)
	}
	if x.plan.Read != nil {
		for _, name := range x.plan.Read.Cache.StrippedTargets {
			delete(h, name)
		}
	}
	for _, name := range []string{"Date", "Content-Type"} {
		if _, ok := h[name]; !ok {
			h[name] = nil
		}
	}
}

// informational sends a 1xx answer on. A client of HTTP/1.0 does not know it (RFC 9110 §15.2).
func (x *exchange) informational(status int, fields http.Header) {
	if !x.r.ProtoAtLeast(1, 1) {
		return
	}
	h := x.w.Header()
	httpfield.HopOf(httpfield.Header(fields)).Strip(fields)
	for name, values := range fields {
		h[name] = values
	}
	x.w.WriteHeader(status)
	clear(h)
}
