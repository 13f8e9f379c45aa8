package httpcache

import (
	"net/http"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// maxGuess bounds the heuristic lifetime.
const maxGuess = 24 * time.Hour

// lifetime is freshness_lifetime (§4.2.1): that of the response, else that of the policy, else a
// guess, 0 to MaxDelta. why is not empty if there is none.
func lifetime(r Rules, resp Response, cc *httpfield.Directives,
	targeted bool) (d time.Duration, why reason.Reason) {
	ruled, hasRule := r.lifetime(resp.Status)
	stated, states := statedLifetime(r, resp, cc, targeted)
	switch {
	case hasRule && (r.Override || !states):
		return saturate(ruled), ""
	case states:
		return saturate(stated), ""
	case r.HasTTL || !guessable(resp.Status):
		return 0, reason.StatusNotStorable
	}
	if d = guess(resp); d <= 0 {
		return 0, reason.NoLifetime
	}
	return d, ""
}

// lifetime is the policy's lifetime for a status. A 206 counts as a 200.
func (r Rules) lifetime(status int) (d time.Duration, ok bool) {
	if status == http.StatusPartialContent {
		status = http.StatusOK
	}
	if d, ok = r.Status[status]; ok {
		return d, true
	}
	switch status {
	case 200, 203, 204, 300, 301, 308:
		return r.TTL, r.HasTTL
	}
	return 0, false
}

// statedLifetime is the lifetime that the response states. A malformed one (§4.2.1), and an Expires
// that is repeated or no date (§5.3), count as expired.
func statedLifetime(r Rules, resp Response, cc *httpfield.Directives,
	targeted bool) (d time.Duration, ok bool) {
	switch expires := resp.Fields.Values("Expires"); {
	case r.Shared && cc.SMaxAge.Set:
		return cc.SMaxAge.Value, true
	case cc.MaxAge.Set:
		return cc.MaxAge.Value, true
	case targeted:
		return 0, false
	case len(expires) == 1:
		if t, ok := httpfield.ParseDate(expires[0], resp.ResponseTime); ok {
			return t.Sub(dateOf(resp)), true
		}
		return 0, true
	default:
		return 0, len(expires) > 0
	}
}

// guessable are the heuristically cacheable statuses (RFC 9110 §15.1).
func guessable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// guess is the heuristic lifetime (§4.2.2): a tenth of the time since Last-Modified, at most
// maxGuess; 0 if the response has none.
func guess(resp Response) time.Duration {
	modified, ok := onlyDate(resp.Fields, "Last-Modified", resp.ResponseTime)
	if !ok {
		return 0
	}
	return min(max(dateOf(resp).Sub(modified)/10, 0), maxGuess)
}

// dateOf is date_value: the Date of the response, or its arrival if there is no valid Date (RFC
// 9110 §6.6.1).
func dateOf(resp Response) time.Time {
	if t, ok := onlyDate(resp.Fields, "Date", resp.ResponseTime); ok {
		return t
	}
	return resp.ResponseTime
}

// onlyDate reads a date from a field with exactly one line.
func onlyDate(f httpfield.Fields, name string, now time.Time) (t time.Time, ok bool) {
	values := f.Values(name)
	if len(values) != 1 {
		return t, false
	}
	return httpfield.ParseDate(values[0], now)
}

// saturate limits d to 0 to MaxDelta (§1.2.2), so that no sum of a few overflows.
func saturate(d time.Duration) time.Duration { return min(max(d, 0), httpfield.MaxDelta) }
