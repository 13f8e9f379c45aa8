package proxy

import (
	"net/http"

	"sidecar/internal/backend"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// An outcome is how a miss got its answer.
type outcome struct {
	resp      *http.Response // of the backend
	at        backend.Timing // of resp
	validated *validated     // the stored response that resp, a 304, says still holds
	shared    *usable        // that another request fetched
	stale     *usable        // that may be served in the place of a backend that failed
	err       error          // there is no answer
	failure   store.Failure  // how the backend failed, or not
}

// ask sends the request to the backend, conditional where there is something to validate. If the
// 304 to that is about nothing that is stored, it asks once more, for the whole.
func (m *miss) ask() outcome {
	m.asked = true
	for c := m.candidate; ; c = (candidate{}) {
		out, err := m.proxy.outgoing(m.x)
		if err != nil {
			return outcome{err: err}
		}
		conditional := m.fill != nil && c.setConditions(out.Header(), m.x.plan.Read.Demand.Range)
		resp, at, err := m.proxy.roundTrip(m.x, m.context(), out)
		switch {
		case err != nil:
			return m.failed(outcome{err: err, failure: store.Unreachable})
		case conditional && resp.StatusCode == http.StatusNotModified:
			_ = resp.Body.Close()
			if v := m.validate(resp); v != nil {
				return outcome{resp: resp, at: at, validated: v}
			}
		case httpcache.IsError(resp.StatusCode):
			return m.failed(outcome{resp: resp, at: at, failure: store.Error})
		default:
			return outcome{resp: resp, at: at}
		}
	}
}

// answer turns an outcome into the client's answer: stored behind it, from the store, stale, or
// passed on. All that decides whether others may have it happens before anything is sent.
func (m *miss) answer(o outcome) {
	p, x := m.proxy, m.x
	var c *capture
	if o.resp != nil {
		body := o.resp.Body
		defer func() { // also where something panics before the body is taken in hand
			if c == nil || !c.inHand {
				_ = body.Close()
			}
		}()
	}
	if c = m.store(o); c == nil {
		m.settle(o)
	}
	switch {
	case o.stale != nil:
		m.answerStale(o)
	case o.shared != nil:
		x.out.Result, x.out.Collapsed = telemetry.ResultMiss, true
		p.answerEntry(x, o.shared.reply, age(o.shared.use))
	case o.validated != nil:
		x.out.FwdStatus = http.StatusNotModified
		p.answerEntry(x, o.validated.reply, o.resp.Header["Age"])
	case o.err != nil:
		p.backendFailed(x, o.err)
	case c != nil:
		c.relay(o)
	case m.fill != nil && m.notModified(o):
		p.answerUnchanged(x, o.resp)
	default:
		p.send(x, o.resp)
	}
}

// notModified reports whether the client's own condition, which the backend has not seen, holds for
// the backend's answer. A part says as much as the whole.
func (m *miss) notModified(o outcome) bool {
	return m.x.plan.Read.Demand.NotModified(httpcache.Stored{
		Status: o.resp.StatusCode, Fields: httpfield.Header(o.resp.Header), ResponseTime: o.at.Came,
	})
}

// failed looks for a stale response to serve in the place of a backend that failed
// (RFC 9111 §4.2.4, RFC 5861 §4). One that a write has made old never is.
func (m *miss) failed(o outcome) outcome {
	c, x := m.candidate, m.x
	if o.failure == store.NotFailed || c.entry == nil || c.dead || x.ctx.Err() != nil {
		return o
	}
	d := x.evaluate(c.entry)
	if o.failure == store.Error && !d.IfError ||
		o.failure == store.Unreachable && !d.IfUnreachable {
		return o
	}
	r, lost := m.proxy.open(x, c.entry, d.Reply)
	if lost != "" {
		return o
	}
	if o.resp != nil {
		_ = o.resp.Body.Close()
	}
	o.stale = &usable{r, d.Reuse}
	return o
}

func (m *miss) answerStale(o outcome) {
	out := &m.x.out
	out.Result, out.TTL, out.Err = telemetry.ResultStale, o.stale.use.TTL, o.err
	out.Detail = reason.BackendError
	if o.failure == store.Unreachable {
		out.Detail = reason.BackendUnreachable
	}
	if o.resp != nil {
		out.FwdStatus = o.resp.StatusCode
	}
	m.proxy.answerEntry(m.x, o.stale.reply, age(o.stale.use))
}
