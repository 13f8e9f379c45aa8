package httpcache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// A Storing is the decision whether a response may be stored (§3).
type Storing struct {
	Store bool
	Why   reason.Reason // why not; "" if Store

	Lifetime   time.Duration // freshness lifetime from the response's creation on (§4.2.1); 0 where every use has to be validated
	InitialAge time.Duration // corrected_initial_age: how old it was when it came (§4.2.3)
	Retain     time.Duration // how long beyond its lifetime it is of use: to be validated (§4.3), or served stale (§4.2.4)
}

// Store decides whether the response to req may be stored for later requests. It does not judge Set-Cookie, size or
// completeness. What of the response is stored is StorableFields.
func Store(r Rules, req httpfield.Request, who Requester, resp Response) Storing {
	cc, targeted := responseDirectives(resp.Fields)
	if why := refusal(r, req, who, resp, &cc); why != "" {
		return Storing{Why: why}
	}
	validated := validates(resp)
	lifetime, why := lifetime(r, resp, &cc, targeted)
	switch {
	case why == reason.NoLifetime && validated: // its status lets it be stored (§3), to be validated at every use
	case why != "":
		return Storing{Why: why}
	}
	why = reason.AgeExceedsLife
	if needsValidation(&cc) {
		lifetime, why = 0, reason.ResponseNoCache
	}
	d := Storing{Store: true, Lifetime: lifetime, InitialAge: initialAge(resp), Retain: r.staleness(&cc)}
	if validated {
		d.Retain = max(d.Retain, forValidation(lifetime)+max(0, d.InitialAge-lifetime))
	}
	if d.Lifetime <= d.InitialAge && d.Retain <= d.InitialAge-d.Lifetime {
		return Storing{Why: why}
	}
	return d
}

// How long a response is kept beyond its lifetime to be validated: as long again, within these bounds.
const leastRetention, mostRetention = 10 * time.Minute, 24 * time.Hour

func forValidation(lifetime time.Duration) time.Duration {
	return min(max(lifetime, leastRetention), mostRetention)
}

// Expected is how long a response that states nothing is kept under the rules: for those who want to prepare for it.
func (r Rules) Expected() time.Duration {
	return saturate(r.TTL + max(r.staleness(&httpfield.Directives{}), forValidation(r.TTL)))
}

// needsValidation reports whether the response may not be used without asking the backend each time (§5.2.2.4).
func needsValidation(cc *httpfield.Directives) bool {
	return cc.NoCache || indispensable(cc.NoCacheFields)
}

// targetedFields are the fields that speak to this cache rather than to all (RFC 9213), the narrowest first.
var targetedFields = [...]string{"Sidecar-Cache-Control", "Cdn-Cache-Control"}

// responseDirectives are the directives that count of a response: those of the narrowest targeted field that is valid, which then stands for Cache-Control
// and Expires both (RFC 9213 §2.1), else those of Cache-Control.
func responseDirectives(f httpfield.Fields) (cc httpfield.Directives, targeted bool) {
	for _, name := range targetedFields {
		if values := f.Values(name); len(values) > 0 {
			if cc, ok := httpfield.TargetedCacheControl(values); ok {
				return cc, true
			}
		}
	}
	return httpfield.ParseCacheControl(f.Values("Cache-Control")), false
}

// refusal is the first rule of §3 that forbids to store, whatever the lifetime; "" if there is none.
func refusal(r Rules, req httpfield.Request, who Requester, resp Response, cc *httpfield.Directives) reason.Reason {
	if req.Method != http.MethodGet {
		return reason.Method // no other method's answer is reused
	}
	if why := BypassByRequest(r, req); why != "" {
		return why
	}
	switch {
	case resp.Status == http.StatusPartialContent:
		if _, ok := PartOf(req, resp); !ok {
			return reason.PartialContent // §3.3
		}
	case !storable(resp.Status):
		return reason.StatusNotStorable
	}
	switch {
	case cc.MustUnderstand && !understood(resp.Status):
		return reason.MustUnderstand // §5.2.2.3
	case cc.NoStore && !cc.MustUnderstand:
		return reason.ResponseNoStore // §5.2.2.5; §5.2.2.3: a cache that understands the status ignores it
	case r.Shared && (cc.Private || indispensable(cc.PrivateFields)):
		return reason.ResponsePrivate // §5.2.2.7
	case r.Shared && !authorized(r, req, who, cc):
		return reason.Authorized // §3.5
	case cc.Broken:
		return reason.BadDirectives
	}
	if _, any := VaryNames(resp.Fields); any {
		return reason.VaryAny // §4.1: it would never be selected
	}
	return ""
}

// storable is every final status (§3) but those that say something of one request alone. 304 and 226 (RFC 3229) stand for
// a response that is not all there; 412 and 416 answer fields of the request that are in no key; 428, 429, 431 and 511
// must not be stored by a cache (RFC 6585).
func storable(status int) bool {
	switch status {
	case 206, 226, 304, 412, 416, 428, 429, 431, 511:
		return false
	}
	return 200 <= status && status <= 599
}

// understood are the statuses whose caching requirements this package knows, which are those of RFC 9110 §15.
func understood(status int) bool {
	switch status {
	case 200, 201, 202, 203, 204, 205, 206,
		300, 301, 302, 303, 307, 308,
		400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 417, 421, 422, 426,
		500, 501, 502, 503, 504, 505:
		return true
	}
	return false
}

// authorized reports whether credentials do not keep the response out of a shared cache (§3.5).
func authorized(r Rules, req httpfield.Request, who Requester, cc *httpfield.Directives) bool {
	if !who.Credentials && len(req.Fields.Values("Authorization")) == 0 {
		return true
	}
	return cc.Public || cc.SMaxAge.Set || cc.MustRevalidate ||
		r.Authorized == AuthorizedPublic || r.Authorized == AuthorizedVerified && who.Verified
}

// indispensable reports whether names, which a response asks to leave out, has a field without which the rest would be
// read wrongly: a coding, a type, a language, a target, what it varies by.
func indispensable(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "Content-") || name == "Vary" || name == "Location"
	})
}
