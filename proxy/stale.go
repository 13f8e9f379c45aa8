package proxy

import (
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// A substitute is what is stored and stale, and may be served in the place of a backend that failed.
type substitute struct {
	reply reply
	use   httpcache.Reuse
}

// substitute decides whether there is one (RFC 9111 §4.2.4, RFC 5861 §4). What a write has made old never is.
func (p *Proxy) substitute(x *exchange, req httpfield.Request, failure store.Failure) (s substitute, ok bool) {
	if failure == store.NotFailed || x.earlier.entry == nil || x.earlier.dead || x.r.Context().Err() != nil {
		return s, false
	}
	s.use = httpcache.Use(x.plan.Read.Rules, req, stored(x.earlier.entry), time.Now())
	if failure == store.Error && !s.use.IfError || failure == store.Unreachable && !s.use.IfUnreachable {
		return s, false
	}
	var lost reason.Reason
	s.reply, lost = p.reply(x, req, x.earlier.entry)
	return s, lost == ""
}

// answerStale answers with it. status is the backend's; 0 if it did not answer, or another request was told.
func (p *Proxy) answerStale(x *exchange, s substitute, failure store.Failure, status int) {
	x.out.Result, x.out.TTL, x.out.FwdStatus, x.out.Detail = telemetry.ResultStale, s.use.TTL, status, reason.BackendError
	if failure == store.Unreachable {
		x.out.Detail = reason.BackendUnreachable
	}
	p.answerEntry(x, s.reply, age(s.use))
}
