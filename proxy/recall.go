package proxy

import (
	"net/http"

	"sidecar/policy"
)

// MayRecall reports whether Recall may answer a GET of this target. It only saves work.
func (p *Proxy) MayRecall(target string) bool { return p.Table().MayRemember(target) }

// Recall answers a request without a body as ServeHTTP would, if the answer is a fresh one from
// this process's memory. Else it reports false, and nothing has happened: nothing is answered,
// counted or logged. It does no I/O but to write the answer.
func (p *Proxy) Recall(w http.ResponseWriter, r *http.Request) bool {
	x := p.exchange(w, r)
	if p.plan(x) != "" || x.plan.Kind != policy.Read || p.Jobs != nil && p.Jobs.Serves(x.req.Path) {
		return false
	}
	found, ok := p.Store.Recall(x.query())
	if !ok {
		return false
	}
	decision := x.evaluate(found.Entry)
	if !decision.Serve || decision.Refresh || len(decision.Reply.Parts) > 0 {
		return false
	}
	defer p.finish(x)
	return p.answerHit(x, found, decision) == "" // an entry in memory is never lost
}
