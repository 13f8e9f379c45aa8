package httpcache

import (
	"net/http"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// maxGuess is the longest lifetime that is ever guessed, however long ago the response was last modified.
const maxGuess = 24 * time.Hour

// lifetime is freshness_lifetime (§4.2.1): what the response states, else what the policy does, else a guess. why is not
// empty if there is none. The result is 0 to MaxDelta.
func lifetime(r Rules, resp Response, cc *httpfield.Directives, targeted bool) (d time.Duration, why reason.Reason) {
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

// lifetime is the policy's lifetime for a status. A part of a 200 is as one.
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

// statedLifetime is the lifetime that the response states. One that states it wrongly (§4.2.1), and an Expires that comes
// twice or is no date (§5.3), have expired.
func statedLifetime(r Rules, resp Response, cc *httpfield.Directives, targeted bool) (d time.Duration, ok bool) {
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

// guessable are the statuses that RFC 9110 §15.1 calls heuristically cacheable.
func guessable(status int) bool {
	switch status {
	case 200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// guess is the heuristic lifetime (§4.2.2): a tenth of the time since the last modification, at most maxGuess; 0 if the
// response does not tell.
func guess(resp Response) time.Duration {
	modified, ok := onlyDate(resp.Fields, "Last-Modified", resp.ResponseTime)
	if !ok {
		return 0
	}
	return min(max(dateOf(resp).Sub(modified)/10, 0), maxGuess)
}

// dateOf is date_value: the Date that the response gives, or when it came if it gives none that can be read (RFC 9110 §6.6.1).
func dateOf(resp Response) time.Time {
	if t, ok := onlyDate(resp.Fields, "Date", resp.ResponseTime); ok {
		return t
	}
	return resp.ResponseTime
}

// onlyDate reads a field that is there exactly once.
func onlyDate(f httpfield.Fields, name string, now time.Time) (t time.Time, ok bool) {
	values := f.Values(name)
	if len(values) != 1 {
		return t, false
	}
	return httpfield.ParseDate(values[0], now)
}

// saturate keeps d within 0 and MaxDelta (§1.2.2), so that no sum of a few overflows.
func saturate(d time.Duration) time.Duration { return min(max(d, 0), httpfield.MaxDelta) }
