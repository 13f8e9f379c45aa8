package proxy

import (
	"context"
	"net/http"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/coherence"
	"sidecar/internal/httpfield"
	"sidecar/internal/peek"
	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// write forwards a request that may change something. What it changes is closed before it is
// sent, and invalidated after the backend has answered and before the client hears of it: a GET
// that comes after the client's answer then finds nothing older than the write. One that no route
// is about is not announced; it invalidates its own URI.
func (p *Proxy) write(x *exchange) {
	if x.out.Result == "" {
		x.out.Result = telemetry.ResultWrite
	}
	plan := x.plan.Write
	out, ok := p.outgoing(x)
	if !ok {
		return
	}
	w := &writing{proxy: p, x: x, plan: plan, ctx: x.r.Context()}
	if plan.Matched {
		// What a policy matched as a write is carried through when its client leaves: the backend
		// may have begun.
		w.ctx, w.cancel = context.WithCancelCause(context.WithoutCancel(w.ctx))
		defer w.cancel(nil)
		if !w.prepare(out) {
			return
		}
	}
	resp, _, err := p.roundTrip(x, w.ctx, out)
	if !w.late.end(err) {
		return
	}
	if err != nil {
		if cause := context.Cause(w.ctx); cause != nil {
			err = cause
		}
		if w.end(outcomeOf(err), plan.Unknown(w.sent)) {
			p.backendFailed(x, err)
		}
		return
	}
	defer resp.Body.Close()

	var body *policy.Body
	if plan.NeedsResponseBody {
		body = p.inspect(resp)
	}
	tags := plan.Tags(w.sent, resp.StatusCode, httpfield.Header(resp.Header), body)
	if !w.end(outcomeOfStatus(resp.StatusCode, tags), tags) {
		return
	}
	p.head(x, resp)
	err = x.relay(resp, watcher{complete: func() {
		if resp.ContentLength < 0 && body == nil {
			// The backend went on working while it answered: what it changed since is invalidated
			// before the end is seen.
			w.invalidate(tags)
		}
	}})
	if err != nil {
		w.invalidate(tags)
	}
	abort(err)
	trailers(x.w, resp)
}

// A writing is a write under way.
type writing struct {
	proxy   *Proxy
	x       *exchange
	plan    *policy.WritePlan
	ctx     context.Context         // of the backend request
	cancel  context.CancelCauseFunc // ends ctx
	sent    *policy.Body            // what the client sends, if it is in hand
	late    *lateBody               // nil: the client did not ask whether to send its body
	intents *coherence.Write
}

// prepare takes the body in hand and closes what the write is going to change. Where the client
// asks first whether to send its body, both wait for the backend's word. ok is false, and the
// client has its answer, if the write may not be sent.
func (w *writing) prepare(out *http.Request) (ok bool) {
	mayWait := w.plan.DeniedBy(nil) == "" // else nothing is sent before the body is in hand
	if mayWait && out.Body != nil && out.Body != http.NoBody && backend.ExpectsContinue(w.x.r) {
		w.late = &lateBody{writing: w, ReadCloser: out.Body, length: out.ContentLength}
		out.Body = w.late
		return true
	}
	slow, ok := w.takeBody(out)
	if !ok {
		return false
	}
	if route := w.plan.DeniedBy(w.sent); route != "" {
		w.x.out.Route = route
		w.proxy.deny(w.x)
		return false
	}
	if !w.begin() {
		return false
	}
	w.watch(slow)
	return true
}

// begin closes what the write is going to change. It reports false, and the client has its
// answer, if the write may not be sent.
func (w *writing) begin() bool {
	if w.announce() {
		return true
	}
	w.refuseUnannounced()
	return false
}

// announce reports whether the write may be sent.
func (w *writing) announce() bool {
	p, x := w.proxy, w.x
	tags, guards := w.plan.Announced(w.sent)
	var err error
	w.intents, err = p.Keyspace.Begin(w.ctx, x.budget, x.table.Rules(), tags, guards)
	if err != nil && w.plan.Strict {
		_, _ = w.intents.End(w.ctx, x.budget, coherence.Refused, nil, nil, 0)
		return false
	}
	return true
}

func (w *writing) refuseUnannounced() {
	w.proxy.refuse(w.x, http.StatusServiceUnavailable, reason.WriteNotAnnounced,
		"The write cannot be announced to the cache. It was not sent; try again.")
}

// end invalidates what the write changed. It reports false, and the client has its answer, if the
// write was done and must not be acknowledged.
func (w *writing) end(outcome coherence.Outcome, tags []cachekeys.Tag) bool {
	if w.intents == nil {
		if outcome != coherence.Refused {
			w.invalidate(tags)
		}
		return true
	}
	p, x := w.proxy, w.x
	covered, err := w.intents.End(context.WithoutCancel(w.ctx), x.budget, outcome, tags, x.table.Guards(tags), w.plan.Settle)
	if outcome != coherence.Refused {
		p.Metrics.Invalidated(x.plan.Route, len(tags), err)
	}
	if !covered && w.plan.Strict {
		p.refuse(x, http.StatusServiceUnavailable, reason.WriteNotConfirmed,
			"The write was sent, and may have been done, but the cache could not be told. Until it is, old answers may be read.")
		return false
	}
	return true
}

// invalidate makes everything that carries one of the tags dead, of a write that was not
// announced, or after its end. Where Redis does not take it, the protocol keeps the tags and
// nothing is read from Redis until they are gone; the write is answered all the same.
func (w *writing) invalidate(tags []cachekeys.Tag) {
	if len(tags) == 0 {
		return
	}
	p, x := w.proxy, w.x
	rules := cachekeys.Tag{}
	if w.plan.Matched {
		rules = x.table.Rules()
	}
	err := p.Keyspace.Invalidate(context.WithoutCancel(w.ctx), x.budget, rules, tags, x.table.Guards(tags), w.plan.Settle)
	p.Metrics.Invalidated(x.plan.Route, len(tags), err)
}

// outcomeOf is what a backend request that failed may have done: nothing if the connection was
// refused.
func outcomeOf(err error) coherence.Outcome {
	if backend.IsRefused(err) {
		return coherence.Refused
	}
	return coherence.Unknown
}

// outcomeOfStatus is what an answer says was done. tags are what it says was changed: nothing for
// a refusal.
func outcomeOfStatus(status int, tags []cachekeys.Tag) coherence.Outcome {
	switch {
	case len(tags) == 0:
		return coherence.Refused
	case policy.OutcomeUnknown(status):
		return coherence.Unknown
	}
	return coherence.Done
}

// inspect reads the answer's body as far as templates may look, and puts it back. A stream of
// events is not waited for.
func (p *Proxy) inspect(resp *http.Response) *policy.Body {
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") || resp.ContentLength > p.MaxInspectBody {
		return nil
	}
	content, whole, again, _ := peek.Body(resp.Body, p.MaxInspectBody)
	if resp.Body = again; !whole {
		return nil
	}
	return policy.NewBody(content, httpfield.Header(resp.Header))
}
