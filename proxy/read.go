package proxy

import (
	"net/http"
	"time"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// read answers a GET or HEAD of a cached route: from the store if the stored response may be used,
// else as a miss.
func (p *Proxy) read(x *exchange) {
	demand := &x.plan.Read.Demand
	found := p.lookup(x)
	if found.Bypass != "" && !demand.OnlyIfCached {
		p.bypass(x, found.Bypass)
		return
	}
	decision := x.evaluate(found.Any())
	why := found.Why
	if found.Entry != nil {
		why = decision.Why
		if decision.Serve {
			if why = p.answerHit(x, found, decision); why == "" {
				return
			}
			decision.Fits = false // it cannot be sent, though the backend confirms it
		}
	}
	x.out.Result, x.out.Reason = telemetry.ResultMiss, why
	if demand.OnlyIfCached {
		p.refuse(x, http.StatusGatewayTimeout, reason.OnlyIfCached,
			"Nothing is stored for this request, and it asks for nothing else.")
		return
	}
	p.begin(x, found, candidateOf(found, decision.Fits)).run()
}

// query is the look-up for the request.
func (x *exchange) query() store.Query {
	read := x.plan.Read
	return store.Query{
		Route: x.plan.Route, Primary: read.Primary, Rules: x.table.Rules(), Carried: read.Carried,
		Fields: x.req.Outgoing(), Memory: read.Cache.Memory, TTL: read.Cache.Rules.Expected(),
		Search: read, MaxBody: read.Cache.MaxBody,
	}
}

// evaluate decides how an entry serves this request now; nil: not at all.
func (x *exchange) evaluate(e *entry.Entry) httpcache.Decision {
	if e == nil {
		return httpcache.Decision{}
	}
	read := x.plan.Read
	return httpcache.Evaluate(read.Rules, &read.Demand, stored(e), time.Now())
}

// stored is the rules' view of an entry.
func stored(e *entry.Entry) httpcache.Stored {
	return httpcache.Stored{
		Status: e.Status, Fields: e, Size: e.Size(), Cookies: e.Cookies,
		ResponseTime: e.ResponseTime.Time(), InitialAge: e.InitialAge,
		Lifetime: e.Lifetime, Until: e.Until.Time(),
		Offset: e.Offset, Total: e.Total,
	}
}
