package httpcache

import (
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// stale decides how a response may be used whose lifetime is over (§4.2.4): only as the response or
// the policy allows, and never as the response or the client forbids.
func stale(use *Reuse, r Rules, asked *httpfield.Directives, f httpfield.Fields) {
	cc, _ := responseDirectives(r, f)
	if needsValidation(&cc) {
		use.Why = reason.NoCache
	}
	if neverStale(r, &cc) || !acceptsStale(asked, *use) {
		return
	}
	over, ifError := -use.TTL, r.ifError(&cc)
	if asked.StaleIfErr.Set { // RFC 5861 §4: a request's own is for the request
		ifError = asked.StaleIfErr.Value
	}
	use.Refresh = over < r.whileRevalidate(&cc)
	use.IfError = over < ifError
	use.IfUnreachable = use.IfError || over < r.StaleIfUnreachable
}

// staleness is for how long beyond its lifetime a response may always be served.
func (r Rules) staleness(cc *httpfield.Directives) time.Duration {
	if neverStale(r, cc) {
		return 0
	}
	return max(r.whileRevalidate(cc), r.ifError(cc), r.StaleIfUnreachable)
}

// neverStale reports whether the response forbids its use beyond its lifetime: must-revalidate
// (§5.2.2.2), no-cache (§5.2.2.4), and in a shared cache proxy-revalidate (§5.2.2.8) and s-maxage
// (§5.2.2.10).
func neverStale(r Rules, cc *httpfield.Directives) bool {
	return cc.MustRevalidate || needsValidation(cc) ||
		r.Shared && (cc.ProxyRevalidate || cc.SMaxAge.Set)
}

// acceptsStale reports whether the client takes a stale response: max-age and min-fresh ask for a
// fresh one, unless max-stale says how stale it may be (§5.2.1.1 to §5.2.1.3).
func acceptsStale(asked *httpfield.Directives, use Reuse) bool {
	switch {
	case asked.MinFresh.Set, asked.MaxAge.Set && use.Age > asked.MaxAge.Value:
		return false
	case asked.MaxStale.Set:
		return -use.TTL <= asked.MaxStale.Value
	}
	return !asked.MaxAge.Set || asked.MaxStaleAny
}

// whileRevalidate is for how long a response may be served while it is validated (RFC 5861 §3):
// the response's own word, else the policy's.
func (r Rules) whileRevalidate(cc *httpfield.Directives) time.Duration {
	if cc.StaleWhileRevalidate.Set {
		return cc.StaleWhileRevalidate.Value
	}
	return r.StaleWhileRevalidate
}

// ifError is the same for where the backend fails (RFC 5861 §4).
func (r Rules) ifError(cc *httpfield.Directives) time.Duration {
	if cc.StaleIfErr.Set {
		return cc.StaleIfErr.Value
	}
	return r.StaleIfError
}

// IsError reports whether a stale response may be served instead of this status (RFC 5861 §4).
func IsError(status int) bool { return status >= 500 && status <= 599 }
