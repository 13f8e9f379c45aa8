package proxy

import (
	"context"
	"net/http"
	"time"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// mayJoin reports whether a request that found nothing for this reason may have the answer that another one fetches: not if it wants an answer of its own.
func mayJoin(why reason.Reason) bool {
	switch why {
	case reason.Miss, reason.VaryMiss, reason.Stale, reason.Invalidated, reason.Undecodable, reason.BodyLost:
		return true
	}
	return false
}

// collapsed answers a miss with one backend request for all who miss the same: this one fetches, or waits for the one that does.
func (p *Proxy) collapsed(x *exchange, req httpfield.Request, query store.Query, fill *store.Fill) {
	flight, lead, leave := fill.Join(x.r.Context())
	if flight == nil {
		p.fetch(x, req, fill, nil)
		return
	}
	defer context.AfterFunc(x.r.Context(), leave)()
	defer leave()
	if lead {
		p.lead(x, req, fill, flight)
		return
	}
	p.follow(x, req, query, fill, flight)
}

// lead fetches, unless another process does: then all look there.
func (p *Proxy) lead(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight) {
	if fill.Waits() {
		if found := fill.Await(flight); found.Entry != nil && found.Entry.Fresh(time.Now()) > 0 { // what is stale was there before
			flight.Land(store.Landing{Again: true})
			if p.serveCollapsed(x, req, found.Entry) {
				return
			}
		}
	}
	p.fetch(x, req, fill, flight)
}

// follow waits for the answer of another request of this process.
func (p *Proxy) follow(x *exchange, req httpfield.Request, query store.Query, fill *store.Fill, flight *store.Flight) {
	landing, ok := flight.Wait(x.r.Context())
	stale, substituted := p.substitute(x, req, landing.Failed)
	switch {
	case !ok:
		fill.Abandon()
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	case substituted:
		fill.Abandon()
		p.answerStale(x, stale, landing.Failed, 0)
		return
	case landing.Err != nil:
		fill.Abandon()
		p.backendFailed(x, landing.Err)
		return
	case landing.Entry != nil && fill.Shares(flight, landing.Entry) && p.serveCollapsed(x, req, landing.Entry):
		fill.Abandon()
		return
	case landing.Again:
		found := p.Store.Lookup(x.r.Context(), x.budget, query)
		if found.Entry != nil && p.serveCollapsed(x, req, found.Entry) {
			fill.Abandon()
			return
		}
	}
	p.fetch(x, req, fill, nil)
}

// serveCollapsed answers with what another request fetched. It reports whether the rules allow that, and it is all there.
func (p *Proxy) serveCollapsed(x *exchange, req httpfield.Request, e *entry.Entry) bool {
	use := httpcache.Use(x.plan.Read.Rules, req, stored(e), time.Now())
	if !use.Serve || !serves(req, e) {
		return false
	}
	r, lost := p.reply(x, req, e)
	if lost != "" {
		return false
	}
	x.out.Result, x.out.Collapsed = telemetry.ResultMiss, true
	p.answerEntry(x, r, age(use))
	return true
}
