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

	Lifetime   time.Duration // freshness_lifetime (§4.2.1); 0 to validate at every use
	InitialAge time.Duration // corrected_initial_age (§4.2.3)
	Retain     time.Duration // beyond Lifetime: to validate (§4.3) or serve stale (§4.2.4)
}

// Store decides whether the response to a request may be stored for later requests. It does not
// judge Set-Cookie, size or completeness. StorableFields selects the fields to store.
func Store(r Rules, d *Demand, who Requester, resp Response) Storing {
	cc, targeted := responseDirectives(r, resp.Fields)
	if why := refusal(r, d, who, resp, &cc); why != "" {
		return Storing{Why: why}
	}
	validated := validates(resp)
	lifetime, why := lifetime(r, resp, &cc, targeted)
	switch {
	case why == reason.NoLifetime && validated: // storable (§3), to be validated at every use
	case why != "":
		return Storing{Why: why}
	}
	why = reason.AgeExceedsLife
	if needsValidation(&cc) {
		lifetime, why = 0, reason.ResponseNoCache
	}
	decision := Storing{Store: true, Lifetime: lifetime, InitialAge: initialAge(resp),
		Retain: r.staleness(&cc)}
	if validated {
		decision.Retain = max(decision.Retain,
			forValidation(lifetime)+max(0, decision.InitialAge-lifetime))
	}
	if decision.Lifetime <= decision.InitialAge &&
		decision.Retain <= decision.InitialAge-decision.Lifetime {
		return Storing{Why: why}
	}
	return decision
}

// A response is kept for validation for its lifetime once more, within these bounds.
const leastRetention, mostRetention = 10 * time.Minute, 24 * time.Hour

func forValidation(lifetime time.Duration) time.Duration {
	return min(max(lifetime, leastRetention), mostRetention)
}

// Expected is how long a response without a stated lifetime is kept.
func (r Rules) Expected() time.Duration {
	return saturate(r.TTL + max(r.staleness(&httpfield.Directives{}), forValidation(r.TTL)))
}

// needsValidation reports whether every use of the response needs validation (§5.2.2.4).
func needsValidation(cc *httpfield.Directives) bool {
	return cc.NoCache || indispensable(cc.NoCacheFields)
}

// targetedFields are the fields for this cache (RFC 9213), the narrowest first.
var targetedFields = [...]string{"Sidecar-Cache-Control", "Cdn-Cache-Control"}

// responseDirectives returns the directives of the narrowest valid targeted field, which then
// replaces Cache-Control and Expires (RFC 9213 §2.1), else those of Cache-Control. Where the policy
// ignores these, there are none.
func responseDirectives(r Rules, f httpfield.Fields) (cc httpfield.Directives, targeted bool) {
	for _, name := range targetedFields {
		if values := f.Values(name); len(values) > 0 {
			if cc, ok := httpfield.TargetedCacheControl(values); ok {
				return cc, true
			}
		}
	}
	if r.IgnoreResponse {
		return httpfield.Directives{}, true
	}
	return httpfield.ParseCacheControl(f.Values("Cache-Control")), false
}

// refusal is the first rule of §3 that forbids storing at any lifetime; "" if there is none.
func refusal(r Rules, d *Demand, who Requester, resp Response,
	cc *httpfield.Directives) reason.Reason {
	if d.request.Method != http.MethodGet {
		return reason.Method // responses to other methods are not reused
	}
	if d.Bypass != "" {
		return d.Bypass
	}
	switch {
	case resp.Status == http.StatusPartialContent:
		if _, ok := PartOf(d, resp); !ok {
			return reason.PartialContent // §3.3
		}
	case !storable(resp.Status):
		return reason.StatusNotStorable
	}
	switch {
	case cc.MustUnderstand && !understood(resp.Status):
		return reason.MustUnderstand // §5.2.2.3
	case cc.NoStore && !cc.MustUnderstand:
		// §5.2.2.5; §5.2.2.3: ignored with a status that is understood
		return reason.ResponseNoStore
	case r.Shared && (cc.Private || indispensable(cc.PrivateFields)):
		return reason.ResponsePrivate // §5.2.2.7
	case r.Shared && !authorized(r, d.request, who, cc):
		return reason.Authorized // §3.5
	case cc.Broken:
		return reason.BadDirectives
	case IsStreamed(resp.Fields):
		return reason.Streamed
	case r.Shared && answersField(resp.Status) && !r.names(resp.Status) &&
		(r.HasTTL || isOdd(d.request)):
		return reason.FieldError
	}
	if _, any := VaryNames(resp.Fields); any {
		return reason.VaryAny // §4.1: it would never be selected
	}
	return ""
}

// IsStreamed reports whether a response is to be passed on as it comes: bytes that are held back
// for a store, or for others, come too late.
func IsStreamed(f httpfield.Fields) bool {
	return httpfield.Incremental(f.Values("Incremental")) ||
		IsEventStream(f)
}

// IsEventStream reports whether a response is server-sent events, which need never end.
func IsEventStream(f httpfield.Fields) bool {
	return mediaType(httpfield.First(f, "Content-Type")) == eventStream
}

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// mediaType is the type of a Content-Type, or of a member of Accept, in small letters.
func mediaType(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.ToLower(strings.TrimSpace(value))
}

// names reports whether the policy gives this very status a lifetime.
func (r Rules) names(status int) bool {
	_, ok := r.Status[status]
	return ok
}

// storable accepts every final status (§3) but those that concern one request alone. 304 and 226
// (RFC 3229) stand for an incomplete response; 412 and 416 depend on request fields outside the
// key; a cache must not store 428, 429, 431 and 511 (RFC 6585).
func storable(status int) bool {
	switch status {
	case 206, 226, 304, 412, 416, 428, 429, 431, 511:
		return false
	}
	return 200 <= status && status <= 599
}

// understood has the statuses whose caching requirements this package knows: those of RFC 9110 §15.
func understood(status int) bool {
	switch status {
	case 200, 201, 202, 203, 204, 205, 206,
		300, 301, 302, 303, 307, 308,
		400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415,
		417, 421, 422, 426,
		500, 501, 502, 503, 504, 505:
		return true
	}
	return false
}

// authorized reports whether a shared cache may store the response despite credentials (§3.5).
func authorized(r Rules, req httpfield.Request, who Requester, cc *httpfield.Directives) bool {
	if !who.Credentials && len(req.Fields.Values("Authorization")) == 0 {
		return true
	}
	return cc.Public || cc.SMaxAge.Set || cc.MustRevalidate ||
		r.Authorized == AuthorizedPublic || r.Authorized == AuthorizedVerified && who.Verified
}

// indispensable reports whether one of names, which the response asks to leave out, is needed to
// read the rest: coding, type, language, target, or variance.
func indispensable(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "Content-") || name == "Vary" || name == "Location"
	})
}
