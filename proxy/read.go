package proxy

import (
	"net/http"
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// read answers a GET or HEAD of a cached route: from the store if what is there may be used, else from the backend, and
// keeps that answer where the rules allow.
func (p *Proxy) read(x *exchange, req httpfield.Request) {
	read := x.plan.Read
	if why := httpcache.BypassByRequest(read.Rules, req); why != "" {
		p.bypass(x, why)
		return
	}
	if httpcache.WantsRange(req) && req.Method != http.MethodGet {
		p.bypass(x, reason.Range) // only a GET has ranges (RFC 9110 §14.2): what the API makes of this one is its own
		return
	}
	query := store.Query{
		Primary: read.Primary, Rules: x.table.Rules(), Carried: read.Carried, Fields: req.Fields, Memory: read.Cache.Memory,
		TTL: read.Cache.Rules.Expected(), Search: read,
	}
	found := p.Store.Lookup(x.r.Context(), x.budget, query)
	if found.Bypass != "" && !httpcache.OnlyIfCached(read.Rules, req) {
		p.bypass(x, found.Bypass)
		return
	}
	why := found.Why
	if found.Entry != nil {
		use := httpcache.Use(read.Rules, req, stored(found.Entry), time.Now())
		if p.serveFound(x, req, query, found, use) {
			return
		}
		if why = use.Why; use.Serve {
			why = reason.Miss
		}
	}
	if x.lost != "" {
		why = x.lost
	}
	x.out.Result, x.out.Reason = telemetry.ResultMiss, why
	if httpcache.OnlyIfCached(read.Rules, req) {
		p.refuse(x, http.StatusGatewayTimeout, reason.OnlyIfCached, "Nothing is stored for this request, and it asks for nothing else.")
		return
	}
	x.earlier, query = earlierOf(req, found), found.Query
	if x.lost != "" {
		x.earlier.entry = nil // it could not be sent, whatever the backend says of it
	}
	fill := p.begin(x, req, query, found)
	if fill == nil {
		p.fetch(x, req, nil, nil)
		return
	}
	p.collapsed(x, req, query, fill)
}

// serveFound answers with what was found, if it may be served to this request and is all there.
func (p *Proxy) serveFound(x *exchange, req httpfield.Request, query store.Query, found store.Found, use httpcache.Reuse) bool {
	if !use.Serve || !serves(req, found.Entry) {
		return false
	}
	r, lost := p.reply(x, req, found.Entry)
	if x.lost = lost; lost != "" {
		return false
	}
	p.answerStored(x, r, found, use)
	if use.Refresh {
		p.refresh(x, req, query, found.Key)
	}
	return true
}

// begin opens the tokens of a fill. It returns nil where nothing can be kept: for a HEAD where nothing is stored that it could say something of, while a
// write to one of its tags is under way, and while Redis is away.
func (p *Proxy) begin(x *exchange, req httpfield.Request, q store.Query, found store.Found) *store.Fill {
	get := req.Method == http.MethodGet
	if !get && x.earlier.entry == nil {
		return nil
	}
	// The guard of what only fields of answers name: where none has named anything yet, it forbids nothing until one does.
	guards, loose := x.plan.Read.Guards, []cachekeys.Tag{cachekeys.Guard("")}
	if slices.ContainsFunc(found.Names, cachekeys.Tag.IsGiven) {
		guards, loose = slices.Concat(guards, loose), nil
	}
	collapse := get && mayJoin(x.out.Reason) && !httpcache.WantsRange(req)
	fill, err := p.Store.Begin(x.r.Context(), x.budget, q, found.Names, guards, loose, collapse)
	switch {
	case err != nil:
		x.out.Detail = redisconn.Reason(err)
		return nil
	case !fill.Storable():
		p.refused(x, reason.TagClosed)
		return nil
	}
	x.earlier.dead = !fill.Holds(found)
	return fill
}

// stored is what the rules see of an entry.
func stored(e *entry.Entry) httpcache.Stored {
	return httpcache.Stored{
		Status: e.Status, Fields: e,
		ResponseTime: e.ResponseTime, InitialAge: e.InitialAge, Lifetime: e.Lifetime, Until: e.Until,
		Offset: e.Offset, Total: e.Total,
	}
}

// serves reports whether an entry can answer a request, as far as its bytes and its cookies go.
func serves(req httpfield.Request, e *entry.Entry) bool {
	return bringsCookies(req, e.Cookies) && httpcache.Covers(req, stored(e), e.Size())
}

// bringsCookies reports whether the request brings each cookie that was dropped from the entry: one that does not still
// needs the backend to set it.
func bringsCookies(req httpfield.Request, names []string) bool {
	for _, name := range names {
		if !caller.HasCookie(req.Fields, name) {
			return false
		}
	}
	return true
}
