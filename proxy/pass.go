package proxy

import (
	"context"
	"net/http"

	"sidecar/internal/backend"
	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// pass forwards a request that the plan keeps away from the cache.
func (p *Proxy) pass(x *exchange) {
	x.out.Unfilled = x.plan.Unfilled
	if backend.IsUpgrade(x.r) {
		x.out.Result, x.out.Reason = telemetry.ResultBypass, reason.Upgrade
		p.upgrade(x)
		return
	}
	p.bypass(x, x.plan.Bypass)
}

// bypass forwards a request and its answer, and looks at neither. When the client leaves, the
// backend request ends.
func (p *Proxy) bypass(x *exchange, why reason.Reason) {
	x.out.Result, x.out.Reason = telemetry.ResultBypass, why
	if x.made == nil || p.Tracer != nil { // each has a trace context of its own
		var err error
		if x.made, err = p.outgoing(x); err != nil {
			p.backendFailed(x, err)
			return
		}
	}
	resp, _, err := p.roundTrip(x, x.ctx, x.made)
	if err != nil {
		p.backendFailed(x, err)
		return
	}
	defer resp.Body.Close()
	p.handHead(x, resp)
	abort(x.relay(resp, nil))
}

// send forwards an answer and keeps nothing of it.
func (p *Proxy) send(x *exchange, resp *http.Response) {
	p.head(x, resp)
	abort(x.relay(resp, nil))
}

// preflight answers the CORS preflight of a POST that may become a job, where its route says so.
func (p *Proxy) preflight(x *exchange) bool {
	if p.Jobs == nil || x.r.Method != http.MethodOptions || x.plan.Kind != policy.Pass ||
		len(x.r.Header["Access-Control-Request-Method"]) == 0 {
		return false
	}
	asked := x.req
	asked.Method = http.MethodPost
	plan := x.table.Plan(asked, x.out.Start)
	if plan.Kind != policy.Job || !p.Jobs.Preflight(&x.w, x.r, plan) {
		return false
	}
	x.out.Result, x.out.Route = telemetry.ResultJob, plan.Route
	return true
}

// job hands a request to the jobs, and to the backend where they do not take it.
func (p *Proxy) job(x *exchange) {
	if p.Jobs != nil {
		// The hook may read the body, put it back, and add a field.
		own := *x.r
		own.Header = http.Header(x.r.Header).Clone()
		x.r = &own
		accepted, why := p.Jobs.Accept(&x.w, x.r, x.plan, x.budget)
		x.out.Reason = why
		if accepted {
			if x.out.Result = telemetry.ResultJob; why == reason.AnsweredInTime {
				x.out.Result = telemetry.ResultWrite
			}
			return
		}
	}
	p.write(x)
}

// outgoing returns the request to the backend, or errTarget.
func (p *Proxy) outgoing(x *exchange) (*backend.Request, error) {
	out, ok := p.Backend.Outgoing(x.r, x.plan.Query)
	if !ok {
		return nil, errTarget
	}
	return out, nil
}

// roundTrip sends out to the backend.
func (p *Proxy) roundTrip(x *exchange, ctx context.Context, out *backend.Request) (
	*http.Response, backend.Timing, error,
) {
	resp, at, err := p.Backend.TimedRoundTrip(x.traced(ctx), out, x.informational)
	if err != nil {
		return nil, at, err
	}
	p.answered()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		_ = resp.Body.Close()
		return nil, at, errSwitched
	}
	return resp, at, nil
}

func (p *Proxy) answered() {
	if p.Answered != nil {
		p.Answered()
	}
}
