package httpcache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// A Reuse is the decision whether a stored response may be served (§4).
type Reuse struct {
	Serve bool
	Why   reason.Reason // why not, or why Refresh; "" if it is fresh
	Age   time.Duration // current_age (§4.2.3): what the Age field says, in whole seconds rounded down
	TTL   time.Duration // what is left of its lifetime; negative if it is stale

	// Refresh: it is stale, is served all the same, and has to be validated behind the answer (RFC 5861 §3).
	Refresh bool
	// IfError and IfUnreachable: it may be served stale where the backend answers 5xx (RFC 5861 §4), or does not answer (§4.2.4).
	IfError, IfUnreachable bool
}

// Use decides whether the stored response, which the request's key and Vary selected, may be served at now. A HEAD is
// served from a stored GET (RFC 9110 §9.3.2). It is not asked again what Store refused. max-stale in a request allows nothing
// that the policy and the response do not (§5.2.1.2), and narrows what they do.
func Use(r Rules, req httpfield.Request, s Stored, now time.Time) Reuse {
	age := s.age(now)
	use := Reuse{Age: age, TTL: s.Lifetime - age}
	ended := !s.Until.IsZero() && !now.Before(s.Until)
	if ended {
		use.TTL = min(use.TTL, s.Until.Sub(now))
	}
	asked := r.requestDirectives(req)
	use.Why = objection(&asked, req, use)
	if use.Why == reason.Stale && !ended {
		stale(&use, r, &asked, s.Fields)
	}
	use.Serve = use.Why == "" || use.Refresh
	return use
}

// objection is the first rule that forbids to serve; "" if there is none.
func objection(cc *httpfield.Directives, req httpfield.Request, use Reuse) reason.Reason {
	switch {
	case req.Method != http.MethodGet && req.Method != http.MethodHead:
		return reason.Method
	case cc.NoStore:
		return reason.RequestNoStore // §5.2.1.5
	case cc.Broken:
		return reason.BadDirectives
	case cc.NoCache, len(cc.NoCacheFields) > 0:
		return reason.RequestNoCache // §5.2.1.4
	case !cc.Present && hasPragmaNoCache(req.Fields):
		return reason.RequestNoCache // §5.4
	case use.TTL <= 0:
		return reason.Stale // §4.2
	case cc.MaxAge.Set && use.Age > cc.MaxAge.Value:
		return reason.RequestMaxAge // §5.2.1.1
	case cc.MinFresh.Set && use.TTL < cc.MinFresh.Value:
		return reason.RequestMinFresh // §5.2.1.3
	}
	return ""
}

// hasPragmaNoCache reports whether Pragma says no-cache, the word of clients from before Cache-Control (§5.4).
func hasPragmaNoCache(f httpfield.Fields) bool {
	values := f.Values("Pragma")
	if len(values) == 0 {
		return false
	}
	members, _ := httpfield.Members(values)
	return slices.ContainsFunc(members, func(m string) bool { return strings.EqualFold(m, "no-cache") })
}

// OnlyIfCached reports whether the client wants a stored response or none (§5.2.1.7): where nothing can be served, it is
// answered 504 with reason.OnlyIfCached, and nothing is sent to the backend.
func OnlyIfCached(r Rules, req httpfield.Request) bool { return r.requestDirectives(req).OnlyIfCached }
