package proxy

import (
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// stale decides whether what is stored and stale may be served in the place of a backend that failed (RFC 9111 §4.2.4, RFC 5861 §4). What a write has made
// old never is.
func (x *exchange) stale(req httpfield.Request, failure store.Failure) (use httpcache.Reuse, ok bool) {
	if failure == store.NotFailed || x.earlier.entry == nil || x.earlier.dead || x.r.Context().Err() != nil {
		return use, false
	}
	use = httpcache.Use(x.plan.Read.Rules, req, stored(x.earlier.entry), time.Now())
	if failure == store.Unreachable {
		return use, use.IfUnreachable
	}
	return use, use.IfError
}

// answerStale answers so. status is the backend's; 0 if it did not answer, or another request was told.
func (p *Proxy) answerStale(x *exchange, req httpfield.Request, use httpcache.Reuse, failure store.Failure, status int) {
	x.out.Result, x.out.TTL, x.out.FwdStatus, x.out.Detail = telemetry.ResultStale, use.TTL, status, reason.BackendError
	if failure == store.Unreachable {
		x.out.Detail = reason.BackendUnreachable
	}
	p.answerEntry(x, req, x.earlier.entry, age(use))
}
