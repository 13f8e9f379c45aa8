package proxy

import (
	"context"
	"net/http"
	"time"

	"sidecar/internal/backend"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// A plain is a request that was read below net/http, with its plan.
type plain struct {
	x     *exchange   // of the next answer, or of the last one
	given bool        // x belongs to an answer that may outlast its handler
	query store.Query // of a read
	epoch policy.Epoch
}

// Take plans a request without a body that was read below net/http, for Answer. It reports false
// where that is left to ServeHTTP: of writes, jobs, upgrades and refusals, and of all while the
// sidecar drains. Nothing is counted or logged then. It does no I/O.
//
// A value that it returned for the same r is kept: r is not planned anew while that plan holds.
// Calls with one value follow each other, and each is answered before the next.
func (p *Proxy) Take(r *http.Request, kept any) (taken any, ok bool) {
	if p.Draining != nil && p.Draining() {
		return nil, false
	}
	if t, _ := kept.(*plain); t != nil && t.again(p) {
		return t, true
	}
	x := p.exchange(nil, r)
	epoch := x.table.Epoch()
	if p.plan(x) != "" || backend.IsUpgrade(r) || p.Jobs != nil && p.Jobs.Serves(x.req.Path) {
		return nil, false
	}
	t := &plain{x: x, epoch: epoch}
	switch x.plan.Kind {
	case policy.Read:
		t.query = x.query()
	case policy.Pass:
	default:
		return nil, false
	}
	return t, true
}

// again begins another exchange with the same request. It reports false where that has to be
// planned anew.
func (t *plain) again(p *Proxy) bool {
	x, now := t.x, time.Now()
	if p.Table() != x.table || !x.table.Holds(x.plan, t.epoch, x.out.Start, now) {
		return false
	}
	if t.given {
		x = &exchange{r: x.r, req: x.req, sent: x.sent, plan: x.plan, table: x.table, made: x.made}
		t.x, t.given = x, false
	}
	x.ctx, x.budget = x.r.Context(), p.Redis.Budget(p.RedisTimeout)
	x.out = telemetry.Outcome{Start: now, Method: x.r.Method, Route: x.plan.Route}
	return true
}

// Answer answers a request that Take has taken as ServeHTTP would. live is called at most once: its
// context ends when the client leaves, and when Answer returns.
func (p *Proxy) Answer(w http.ResponseWriter, taken any, live func() context.Context) {
	t := taken.(*plain)
	x := t.x
	x.w = recorder{ResponseWriter: w, last: p.Draining}
	defer x.letGo()
	p.trace(x)
	if x.plan.Kind == policy.Read {
		found := p.Store.Lookup(x.traced(x.ctx), x.budget, t.query)
		if p.hit(x, found) {
			return
		}
		missed := found // else the one of a hit would be allocated too
		x.found = &missed
	}
	t.given, x.ctx = x.plan.Kind != policy.Pass, x.traced(live())
	defer p.finish(x)
	p.carryOut(x)
}

// letGo drops the parts of an answer that its plan need not keep: a connection may be idle for
// long. Nothing that goes on behind the answer uses it.
func (x *exchange) letGo() { x.w, x.found = recorder{}, nil }

// hit answers with a fresh response that is in hand, if there is one: nothing of x is in use any
// more when it returns.
func (p *Proxy) hit(x *exchange, found store.Found) (ok bool) {
	d := x.evaluate(found.Entry)
	// A body in chunks takes its time, and may be lost.
	if found.Bypass != "" || !d.Serve || d.Refresh || len(d.Reply.Parts) > 0 ||
		found.Entry.Chunks != nil {
		return false
	}
	r, lost := p.open(x, found.Entry, d.Reply)
	if lost != "" {
		return false
	}
	defer p.finish(x)
	p.sendHit(x, found, d, r)
	return true
}

// lookup looks for the stored response, unless that has been done.
func (p *Proxy) lookup(x *exchange) store.Found {
	if x.found != nil {
		return *x.found
	}
	return p.Store.Lookup(x.ctx, x.budget, x.query())
}
