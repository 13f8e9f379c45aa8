package proxy

import (
	"context"
	"net/http"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// MayRecall reports whether Recall may answer a GET of this target. It only saves work.
func (p *Proxy) MayRecall(target string) bool { return p.Table().MayHit(target) }

// Recall answers a request without a body as ServeHTTP would, if the answer is a fresh one from the
// store that needs nothing more of it. Else it reports false, and nothing is answered, counted or
// logged. It takes no longer than RedisTimeout but to write the answer. While the sidecar drains,
// it does nothing.
//
// The value to keep is the plan of r. With kept, the value that a call with the same r returned,
// the request is not planned anew while the plan holds. Where it answers nothing, the value is its
// look-up, for Resume; nil: none.
func (p *Proxy) Recall(w http.ResponseWriter, r *http.Request, kept any) (keep any, ok bool) {
	if p.Draining != nil && p.Draining() {
		return nil, false
	}
	rec, _ := kept.(*recall)
	if rec == nil || !rec.again(p, w) {
		if rec = p.newRecall(w, r); rec == nil {
			return nil, false
		}
	}
	x := rec.x
	found := p.Store.Lookup(r.Context(), x.budget, rec.query)
	decision := x.evaluate(found.Entry)
	// A body in chunks takes its time, and may be lost.
	if found.Bypass != "" || !decision.Serve || decision.Refresh || len(decision.Reply.Parts) > 0 ||
		found.Entry.Chunks != nil {
		return &recalled{found, rec.query.Primary, x.budget, x.out.Start}, false
	}
	defer p.finish(x)
	return rec, p.answerHit(x, found, decision) == "" // an entry in hand is never lost
}

// A recalled is the look-up of Recall before it left a request to ServeHTTP.
type recalled struct {
	store.Found
	primary cachekeys.Digest // that was asked for
	budget  *redisconn.Budget
	begun   time.Time
}

type recalledKey struct{}

// Resume returns a context for ServeHTTP of the same request, with Recall's look-up.
func Resume(ctx context.Context, found any) context.Context {
	return context.WithValue(ctx, recalledKey{}, found)
}

// lookup looks for the stored response, unless Recall has just done so for this request.
func (p *Proxy) lookup(x *exchange) store.Found {
	q := x.query()
	if got, ok := x.r.Context().Value(recalledKey{}).(*recalled); ok && got.primary == q.Primary {
		x.budget, x.out.Start = got.budget, got.begun
		return got.Found
	}
	return p.Store.Lookup(x.r.Context(), x.budget, q)
}

// A recall is a read that may be answered from the store, with its plan.
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
