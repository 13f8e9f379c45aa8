package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/caller"
	"sidecar/internal/coherence"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// write forwards a request that may change something. Its tags are closed before the backend can
// have the whole request, and invalidated after the backend has answered and before the client
// gets the response: a later GET finds nothing older than the write. A request without a route is
// not announced; it invalidates its own URI.
func (p *Proxy) write(x *exchange) {
	if x.out.Result == "" {
		x.out.Result = telemetry.ResultWrite
	}
	if x.plan.Bypass != "" {
		x.out.Reason = x.plan.Bypass
	}
	plan := x.plan.Write
	out, err := p.outgoing(x)
	if err != nil {
		p.backendFailed(x, err)
		return
	}
	w := &writing{proxy: p, x: x, plan: plan, ctx: x.ctx}
	if plan.Matched {
		// A write of a route is carried through when its client leaves: the backend may have begun.
		w.ctx = context.WithoutCancel(w.ctx)
		w.steps = p.Keyspace.Write(x.table.Rules())
		if !w.prepare(out.Request) {
			return
		}
	}
	resp, _, err := p.roundTrip(x, w.ctx, out)
	unread := w.late.end()
	defer w.done()
	if err != nil {
		w.failed(err, unread)
		return
	}
	defer resp.Body.Close()
	defer w.boundUnattended(resp.Body)()

	var body *policy.Body
	if plan.NeedsResponseBody {
		var release func()
		body, release = p.inspect(resp)
		defer release()
	}
	early := w.steps != nil && !w.announced.Load()
	tags := plan.Tags(w.sent, resp.StatusCode, httpfield.Header(resp.Header), body)
	if !w.end(outcomeOfStatus(resp.StatusCode, tags), tags) {
		return
	}
	p.head(x, resp)
	err = x.relay(resp, func() {
		if resp.ContentLength < 0 && body == nil || early {
			// The backend went on working while it answered: its later changes are invalidated
			// before the end is seen.
			w.invalidate(tags)
		}
	})
	if err != nil {
		w.invalidate(tags)
	}
	abort(err)
}

// boundUnattended gives an answer whose client leaves as long to end as the backend has to begin
// one: nothing else ends one that is silent. Call stop when the answer has ended.
func (w *writing) boundUnattended(answer io.Closer) (stop func()) {
	ended := make(chan struct{})
	forget := context.AfterFunc(w.x.ctx, func() {
		late := time.NewTimer(w.proxy.Backend.Timeout())
		defer late.Stop()
		select {
		case <-ended:
		case <-late.C:
			_ = answer.Close()
		}
	})
	return func() { forget(); close(ended) }
}

// A writing is a write under way.
type writing struct {
	proxy   *Proxy
	x       *exchange
	plan    *policy.WritePlan
	ctx     context.Context  // of the backend request
	sent    *policy.Body     // the request's content, if it was read before it is sent
	upload  *upload          // the request's content, if it is sent on as it comes
	release func()           // gives the room of sent back; nil: nothing is held
	late    *lateBody        // nil: the client did not ask whether to send its body
	steps   *coherence.Write // nil: no route

	announced atomic.Bool // so the backend may have the whole request; or it need not be
	withheld  atomic.Bool // it cannot be announced, and the backend does not get the whole request
}

// done gives the room of the body back.
func (w *writing) done() {
	if w.release != nil {
		w.release()
	}
}

// prepare reads the body and announces the write. Where the client asks first whether to send its
// body, both wait for the backend's word; an upload is announced at its end. It reports false, and
// the client has its answer, if the write may not be sent.
func (w *writing) prepare(out *http.Request) (ok bool) {
	mayWait := w.plan.DeniedBy(nil) == "" // else nothing is sent before the body is in hand
	if mayWait && out.Body != nil && out.Body != http.NoBody && backend.ExpectsContinue(w.x.r) {
		w.late = &lateBody{writing: w, ReadCloser: out.Body, length: out.ContentLength}
		out.Body = w.late
		return true
	}
	if !w.takeBody(out) {
		return false
	}
	if route := w.plan.DeniedBy(w.sent); route != "" {
		w.x.out.Route = route
		w.done()
		w.proxy.deny(w.x)
		return false
	}
	if w.upload != nil || w.announce() == nil {
		return true
	}
	w.done()
	w.refuseWithheld()
	return false
}

// unproven reports whether the API will probably refuse the write: it has no credentials, or a
// token that failed verification. Such a write closes no tags, so that no stranger can keep a list
// out of the cache. If it succeeds after all, it is invalidated before its answer as any other. A
// strict route announces it too.
func (w *writing) unproven() bool {
	who := w.x.plan.Caller
	return !w.plan.Strict &&
		(who.Bypass == reason.TokenInvalid || who.Anonymous && !caller.Presents(w.x.req.Fields))
}

var errWithheld = errors.New("the write is not sent to its end")

// announce closes the tags that the write is going to change. It returns an error if the backend
// may not have the whole request.
func (w *writing) announce() error {
	if !w.unproven() {
		tags, guards := w.plan.Announced(w.sent)
		if err := w.steps.Begin(w.ctx, w.x.budget, tags, guards); err != nil && w.plan.Strict {
			w.withheld.Store(true)
			return errWithheld
		}
	}
	w.announced.Store(true)
	return nil
}

// refuseWithheld answers a write that the backend has not had, or only without its content.
func (w *writing) refuseWithheld() {
	_, _ = w.steps.End(w.ctx, w.x.budget, coherence.Refused, nil, nil, 0)
	w.proxy.refuse(w.x, http.StatusServiceUnavailable, reason.WriteNotAnnounced,
		"The write cannot be announced to the cache. It was not sent; try again.")
}

// failed ends a write that got no answer. unread is why its body could not be read; nil: it could,
// or that was not tried before the request was sent.
func (w *writing) failed(err, unread error) {
	switch {
	case unread != nil:
		w.refuseBody(unread)
		return
	case w.withheld.Load() && w.upload == nil:
		w.refuseWithheld()
		return
	}
	outcome := outcomeOf(err)
	if w.upload != nil && !w.announced.Load() && w.unproven() {
		outcome = coherence.Refused // a stranger's, that no backend had as a whole
	}
	switch ended := w.end(outcome, w.plan.Unknown(w.sent)); {
	case !ended:
	case w.withheld.Load():
		w.proxy.refuse(w.x, http.StatusServiceUnavailable, reason.WriteNotAnnounced,
			"The write cannot be announced to the cache. It was not sent to its end; try again.")
	default:
		w.proxy.backendFailed(w.x, err)
	}
}

// end invalidates what the write changed. It reports false, and the client has its answer, if the
// write was done and must not be acknowledged.
func (w *writing) end(outcome coherence.Outcome, tags []cachekeys.Tag) bool {
	if w.steps == nil {
		if outcome != coherence.Refused {
			w.invalidate(tags)
		}
		return true
	}
	p, x := w.proxy, w.x
	covered, err := w.steps.End(context.WithoutCancel(w.ctx), x.budget, outcome, tags,
		x.table.Guards(tags), w.plan.Settle)
	if outcome != coherence.Refused {
		p.Metrics.Invalidated(x.plan.Route, len(tags), err)
	}
	if !covered && w.plan.Strict {
		p.refuse(x, http.StatusServiceUnavailable, reason.WriteNotConfirmed,
			"The write was sent, and may have been done, but the cache could not be told. "+
				"Until it is, old answers may be read.")
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
	err := p.Keyspace.Invalidate(context.WithoutCancel(w.ctx), x.budget, rules, tags,
		x.table.Guards(tags), w.plan.Settle)
	p.Metrics.Invalidated(x.plan.Route, len(tags), err)
}

// outcomeOf is the possible outcome of a failed backend request: a refused connection did nothing.
func outcomeOf(err error) coherence.Outcome {
	if backend.IsUnsent(err) {
		return coherence.Refused
	}
	return coherence.Unknown
}

// outcomeOfStatus reads the outcome from a status. tags are those of the answer: none for a
// refusal.
func outcomeOfStatus(status int, tags []cachekeys.Tag) coherence.Outcome {
	switch {
	case len(tags) == 0:
		return coherence.Refused
	case policy.OutcomeUnknown(status):
		return coherence.Unknown
	}
	return coherence.Done
}

// inspect reads the answer's body as far as templates may look, and puts it back. A stream is not
// waited for, and a slow body no longer than the rest of a request. release gives the room of the
// content back.
func (p *Proxy) inspect(resp *http.Response) (body *policy.Body, release func()) {
	fields := httpfield.Header(resp.Header)
	if httpcache.IsStreamed(fields) || resp.ContentLength > p.MaxInspectBody {
		return nil, func() {}
	}
	held := p.Bodies.Body(resp.Body, p.MaxInspectBody)
	if resp.Body = held.Again; !held.Whole {
		return nil, held.Release
	}
	return policy.NewBody(held.Content, fields), held.Release
}
