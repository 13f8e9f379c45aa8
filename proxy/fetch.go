package proxy

import (
	"context"
	"io"
	"net/http"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/store"
)

// conditions are the fields that make a GET conditional on what the client has. A fill is sent without them, for an
// answer without content cannot be stored; the proxy then answers the condition itself.
var conditions = []string{"If-None-Match", "If-Modified-Since"}

// fetch answers a GET from the backend and keeps the answer where the rules allow. fill is nil where nothing can be kept, flight where
// nobody waits for the answer.
func (p *Proxy) fetch(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight) {
	out, ok := p.outgoing(x)
	if !ok {
		flight.Land(store.Landing{})
		fill.Abandon()
		return
	}
	if fill != nil {
		for _, name := range conditions {
			delete(out.Header, name)
		}
	}
	ctx := x.r.Context()
	if flight != nil {
		ctx = flight.Context()
	}
	fill.Hold()
	resp, at, err := p.roundTrip(x, ctx, out)
	if err != nil {
		flight.Land(store.Landing{Err: err})
		fill.Abandon()
		p.backendFailed(x, err)
		return
	}
	kept := p.keep(x, req, fill, resp, at)
	if kept == nil {
		if resp.StatusCode < http.StatusInternalServerError {
			fill.Alone()
		}
		fill.Abandon()
		flight.Land(store.Landing{})
		defer resp.Body.Close()
		p.send(x, resp)
		return
	}
	kept.flight = flight
	head := *resp
	head.Trailer = nil // none is announced; net/http writes there when the body ends
	body := kept.follow(resp)
	defer body.Close()
	defer context.AfterFunc(x.r.Context(), func() { _ = body.Close() })()
	if unchanged(req, resp, at) {
		p.answerUnchanged(x, resp)
		return
	}
	p.head(x, &head)
	abort(x.relay(resp, watcher{}))
	trailers(x.w, resp)
}

// unchanged reports whether the client's condition, which the backend has not seen, holds for the backend's answer.
func unchanged(req httpfield.Request, resp *http.Response, at timing) bool {
	fetched := httpcache.Stored{Status: resp.StatusCode, Fields: httpfield.Header(resp.Header), ResponseTime: at.came}
	return resp.StatusCode == http.StatusOK && httpcache.Conditional(req, fetched)
}

// answerUnchanged answers 304 to a client that has what the backend just sent, once that is in hand.
func (p *Proxy) answerUnchanged(x *exchange, resp *http.Response) {
	_, _ = io.Copy(io.Discard, resp.Body) // what ends early is not stored; the client has it whole
	x.out.FwdStatus = resp.StatusCode
	h := x.w.Header()
	p.copyHead(x, h, resp)
	dropRepresentation(h)
	x.w.WriteHeader(http.StatusNotModified)
}

// roundTrip sends out and measures the time that §4.2.3 of RFC 9111 needs.
func (p *Proxy) roundTrip(x *exchange, ctx context.Context, out *http.Request) (*http.Response, timing, error) {
	at := timing{sent: time.Now()}
	resp, err := p.Backend.RoundTrip(ctx, out, x.informational)
	at.came = time.Now()
	if err != nil {
		return nil, at, err
	}
	p.answered()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		return nil, at, errSwitched
	}
	return resp, at, nil
}

func (p *Proxy) answered() {
	if p.Answered != nil {
		p.Answered()
	}
}
