package proxy

import (
	"net/http"
	"time"

	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// MayRecall reports whether Recall may answer a GET of this target. It only saves work.
func (p *Proxy) MayRecall(target string) bool { return p.Table().MayRemember(target) }

// Recall answers a request without a body as ServeHTTP would, if the answer is a fresh one from
// this process's memory. Else it reports false, and nothing has happened: nothing is answered,
// counted or logged. It does no I/O but to write the answer.
//
// The value to keep is the plan of r. With kept, the value that a call with the same r returned,
// the request is not planned anew while the plan holds.
func (p *Proxy) Recall(w http.ResponseWriter, r *http.Request, kept any) (keep any, ok bool) {
	rec, _ := kept.(*recall)
	if rec == nil || !rec.again(p, w) {
		if rec = p.newRecall(w, r); rec == nil {
			return nil, false
		}
	}
	x := rec.x
	found, ok := p.Store.Recall(rec.query)
	if !ok {
		return nil, false
	}
	decision := x.evaluate(found.Entry)
	if !decision.Serve || decision.Refresh || len(decision.Reply.Parts) > 0 {
		return nil, false
	}
	defer p.finish(x)
	return rec, p.answerHit(x, found, decision) == "" // an entry in memory is never lost
}

// A recall is a read that may be answered from memory, with its plan.
type recall struct {
	x     *exchange
	query store.Query
	epoch policy.Epoch
}

// newRecall plans a request; nil if it is no read of a cached route.
func (p *Proxy) newRecall(w http.ResponseWriter, r *http.Request) *recall {
	x := p.exchange(w, r)
	epoch := x.table.Epoch()
	if p.plan(x) != "" || x.plan.Kind != policy.Read || p.Jobs != nil && p.Jobs.Serves(x.req.Path) {
		return nil
	}
	return &recall{x: x, query: x.query(), epoch: epoch}
}

// again begins another exchange with the same request. It reports false where the request has to be
// planned anew.
func (rec *recall) again(p *Proxy, w http.ResponseWriter) bool {
	x, now := rec.x, time.Now()
	if p.Table() != x.table || !x.table.Holds(x.plan, rec.epoch, x.out.Start, now) {
		return false
	}
	x.w = recorder{ResponseWriter: w, last: p.Draining}
	x.budget = p.Redis.Budget(p.RedisTimeout)
	x.out = telemetry.Outcome{Start: now, Method: x.r.Method, Route: x.plan.Route}
	return true
}
