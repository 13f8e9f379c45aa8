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

// A fetched is what came of asking the backend.
type fetched struct {
	resp *http.Response // nil if err is not
	at   timing
	err  error
	// confirmed, if not nil, is what is stored and still holds: resp is a 304 that says so.
	confirmed *confirmed
}

// fetch answers a GET or HEAD from the backend and keeps the answer where the rules allow. fill is nil where nothing can be kept, flight where
// nobody waits for the answer.
func (p *Proxy) fetch(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight) {
	fill.Hold()
	got, ok := p.ask(x, req, fill, flight)
	switch {
	case !ok:
		flight.Land(store.Landing{})
		fill.Abandon()
	case got.confirmed != nil:
		p.answerConfirmed(x, req, fill, flight, got)
	case got.err != nil:
		p.unreachable(x, req, fill, flight, got.err)
	default:
		p.answerFetched(x, req, fill, flight, got)
	}
}

// unreachable answers where the backend did not.
func (p *Proxy) unreachable(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight, err error) {
	flight.Land(store.Landing{Err: err, Failed: store.Unreachable})
	fill.Abandon()
	if stale, ok := p.substitute(x, req, store.Unreachable); ok {
		x.out.Err = err
		p.answerStale(x, stale, store.Unreachable, 0)
		return
	}
	p.backendFailed(x, err)
}

// ask sends the request, with the question whether what is stored still holds where there is something to ask about. Where the answer to that is about
// nothing that is stored, it asks for the whole. ok is false if the request cannot be sent, and the client has its answer.
func (p *Proxy) ask(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight) (got fetched, ok bool) {
	ctx := x.r.Context()
	if flight != nil {
		ctx = flight.Context()
	}
	for question := x.earlier; ; question = (earlier{}) {
		out, ok := p.outgoing(x)
		if !ok {
			return fetched{}, false
		}
		asked := fill != nil && question.ask(out.Header, httpcache.WantsRange(req))
		got.resp, got.at, got.err = p.roundTrip(x, ctx, out)
		if got.err != nil || got.resp.StatusCode != http.StatusNotModified || !asked {
			return got, true
		}
		_ = got.resp.Body.Close()
		if got.confirmed = p.confirmed(x, req, got.resp); got.confirmed != nil {
			return got, true
		}
	}
}

// answerFetched sends the backend's answer on, and keeps it as it passes; or answers from what is stale, where the backend failed.
func (p *Proxy) answerFetched(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight, got fetched) {
	resp, failure := got.resp, store.NotFailed
	if httpcache.IsError(resp.StatusCode) {
		failure = store.Error
	}
	if stale, ok := p.substitute(x, req, failure); ok {
		_ = resp.Body.Close()
		flight.Land(store.Landing{Failed: failure})
		fill.Abandon()
		p.answerStale(x, stale, failure, resp.StatusCode)
		return
	}
	if req.Method == http.MethodHead && fill != nil {
		p.heard(x, req, fill, got)
		defer resp.Body.Close()
		p.sendFetched(x, req, fill, got)
		return
	}
	kept := p.keep(x, req, fill, resp, got.at)
	if kept == nil {
		if failure == store.NotFailed && flight != nil {
			fill.Alone()
		}
		fill.Abandon()
		flight.Land(store.Landing{Failed: failure})
		defer resp.Body.Close()
		p.sendFetched(x, req, fill, got)
		return
	}
	kept.flight = flight
	head := *resp
	head.Trailer = nil // none is announced; net/http writes there when the body ends
	body := kept.follow(resp)
	defer body.Close()
	defer context.AfterFunc(x.r.Context(), func() { _ = body.Close() })()
	if unchanged(req, got) {
		_, _ = io.Copy(io.Discard, resp.Body) // what ends early is not stored; the client has it whole
		p.answerUnchanged(x, resp)
		return
	}
	p.head(x, &head)
	abort(x.relay(resp, watcher{}))
	trailers(x.w, resp)
}

// unchanged reports whether the client's condition, which the backend has not seen, holds for the backend's answer; a part of it says as much.
func unchanged(req httpfield.Request, got fetched) bool {
	status := got.resp.StatusCode
	if status == http.StatusPartialContent {
		status = http.StatusOK
	}
	return httpcache.Conditional(req, httpcache.Stored{Status: status, Fields: httpfield.Header(got.resp.Header), ResponseTime: got.at.came})
}

// sendFetched sends an answer on of which nothing is kept. The client's condition was taken out where there is a fill.
func (p *Proxy) sendFetched(x *exchange, req httpfield.Request, fill *store.Fill, got fetched) {
	if fill != nil && unchanged(req, got) {
		p.answerUnchanged(x, got.resp)
		return
	}
	p.send(x, got.resp)
}

// answerUnchanged answers 304 to a client that has what the backend just sent.
func (p *Proxy) answerUnchanged(x *exchange, resp *http.Response) {
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
