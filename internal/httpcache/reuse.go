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
	Why   reason.Reason // why not; "" if Serve
	Age   time.Duration // current_age (§4.2.3): what the Age field says, in whole seconds rounded down
	TTL   time.Duration // what is left of its lifetime; negative if it is stale
}

// Use decides whether the stored response, which the request's key and Vary selected, may be served at now. A HEAD is
// served from a stored GET (RFC 9110 §9.3.2). It is not asked again what Store refused. Nothing is served stale: max-stale
// in a request changes nothing (§5.2.1.2).
func Use(r Rules, req httpfield.Request, s Stored, now time.Time) Reuse {
	age := s.age(now)
	use := Reuse{Age: age, TTL: s.Lifetime - age}
	use.Why = objection(r, req, use)
	use.Serve = use.Why == ""
	return use
}

// objection is the first rule that forbids to serve; "" if there is none.
func objection(r Rules, req httpfield.Request, use Reuse) reason.Reason {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return reason.Method
	}
	switch cc := r.requestDirectives(req); {
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
