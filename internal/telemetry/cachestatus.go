package telemetry

import (
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// cacheName is the sidecar's name in Cache-Status.
const cacheName = "sidecar"

// A StatusMode selects the content of Cache-Status (CACHE_STATUS).
type StatusMode int

// The modes.
const (
	StatusShort StatusMode = iota // everything but detail
	StatusOff                     // no Cache-Status
	StatusFull                    // with detail
)

// ParseStatusMode reads "short", "off" or "full".
func ParseStatusMode(s string) (mode StatusMode, ok bool) {
	switch s {
	case "short":
		return StatusShort, true
	case "off":
		return StatusOff, true
	case "full":
		return StatusFull, true
	}
	return StatusShort, false
}

// CacheStatus is the sidecar's member of the Cache-Status field (RFC 9211), as far as the outcome
// is known when the response head is sent; "" if there is none.
func (o *Outcome) CacheStatus(mode StatusMode) string {
	if mode == StatusOff {
		return ""
	}
	fwd := o.fwd()
	hit := o.Result == ResultHit || o.Result == ResultStale && fwd == ""
	status := httpfield.CacheStatus{Cache: cacheName, Hit: hit, TTL: o.TTL, HasTTL: hit}
	if fwd != "" {
		status.Fwd, status.FwdStatus, status.Stored, status.Collapsed = fwd, o.FwdStatus, o.Stored,
			o.Collapsed
	}
	if mode == StatusFull {
		status.Detail = string(o.detail(fwd))
	}
	return status.String()
}

// fwd is the fwd parameter (RFC 9211 §2.2); "" if the request was not forwarded.
func (o *Outcome) fwd() string {
	switch o.Result {
	case ResultMiss:
		return fwdOf(o.Reason)
	case ResultStale:
		if o.Reason != "" {
			return "stale"
		}
	case ResultBypass:
		if o.Reason == reason.Method {
			return "method"
		}
		return "bypass"
	case ResultWrite:
		if countsAsWrite(o.Reason) {
			return "bypass" // not "method": a GET
		}
		return "method"
	}
	return ""
}

// fwdOf maps the reason why no stored response was used.
func fwdOf(why reason.Reason) string {
	switch why {
	case reason.Miss:
		return "uri-miss"
	case reason.VaryMiss:
		return "vary-miss"
	case reason.Stale, reason.NoCache:
		return "stale"
	case reason.RequestNoStore, reason.RequestNoCache, reason.RequestMaxAge, reason.RequestMinFresh,
		reason.BadDirectives:
		return "request"
	}
	return "miss" // something may be stored, but it is unusable: invalidated, damaged
}

// detail is the most specific reason that fwd does not express already.
func (o *Outcome) detail(fwd string) reason.Reason {
	switch {
	case o.Detail != "":
		return o.Detail
	case o.NotStored != "":
		return o.NotStored
	case string(o.Reason) != fwd:
		return o.Reason
	}
	return ""
}
