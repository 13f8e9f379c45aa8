package jobs

import (
	"net/http"
	"testing"
	"time"
)

func TestWhatFollowsFromAnAttempt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answered := func(status int, fields ...string) attempt {
		h := http.Header{}
		for i := 0; i < len(fields); i += 2 {
			h.Set(fields[i], fields[i+1])
		}
		return attempt{response: &Response{Status: status, Fields: h}}
	}
	rule := retryRule{maxRetry: 3, base: time.Second}
	for _, c := range []struct {
		name     string
		a        attempt
		failures int
		want     verdict
	}{
		{"2xx succeeds", answered(201), 0, verdict{status: Succeeded}},
		{"3xx succeeds", answered(303), 0, verdict{status: Succeeded}},
		{"4xx is final", answered(422), 0,
			verdict{status: Failed, lastError: "the backend answered 422 Unprocessable Entity"}},
		{"401 is final", answered(401), 0,
			verdict{status: Failed, lastError: "the backend answered 401 Unauthorized"}},
		{"an unknown 4xx is final", answered(499), 0,
			verdict{status: Failed, lastError: "the backend answered 499"}},
		{"408 is tried again", answered(408), 0,
			verdict{Retrying, time.Second, "the backend answered 408 Request Timeout"}},
		{"425 is tried again", answered(425), 0,
			verdict{Retrying, time.Second, "the backend answered 425 Too Early"}},
		{"429 is tried again", answered(429), 0,
			verdict{Retrying, time.Second, "the backend answered 429 Too Many Requests"}},
		{"5xx is tried again", answered(500), 0,
			verdict{Retrying, time.Second, "the backend answered 500 Internal Server Error"}},
		{"no answer is tried again", attempt{fault: "gone"}, 0,
			verdict{Retrying, time.Second, "gone"}},
		{"an answer too large is not", attempt{fault: "large", tooLarge: true}, 0,
			verdict{status: Failed, lastError: "large"}},
		{"the pause doubles", answered(503), 2,
			verdict{Retrying, 4 * time.Second, "the backend answered 503 Service Unavailable"}},
		{"after max_retry failures more it fails", answered(503), 3,
			verdict{status: Failed, lastError: "the backend answered 503 Service Unavailable"}},
		{"without an answer too", attempt{fault: "gone"}, 3,
			verdict{status: Failed, lastError: "gone"}},
		{"Retry-After in seconds is obeyed", answered(503, "Retry-After", "60"), 0,
			verdict{Retrying, time.Minute, "the backend answered 503 Service Unavailable"}},
		{"and as a date", answered(503, "Retry-After", "Sun, 01 Mar 2026 12:01:00 GMT"), 0,
			verdict{Retrying, time.Minute, "the backend answered 503 Service Unavailable"}},
		{"but not below the pause", answered(503, "Retry-After", "0"), 0,
			verdict{Retrying, time.Second, "the backend answered 503 Service Unavailable"}},
		{"nor without end", answered(503, "Retry-After", "9999999"), 0,
			verdict{Retrying, time.Hour, "the backend answered 503 Service Unavailable"}},
		{"nor if it cannot be read", answered(503, "Retry-After", "soon"), 0,
			verdict{Retrying, time.Second, "the backend answered 503 Service Unavailable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// jitter near 1 makes the pause the longest possible.
			got := rule.judge(c.a, c.failures, now, 1)
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestBackoffIsBounded(t *testing.T) {
	rule := retryRule{maxRetry: 1000, base: time.Second}
	for failures := range 100 {
		least, most := rule.backoff(failures, 0), rule.backoff(failures, 0.999)
		if least < rule.base/2 || most > maxBackoff || most < least ||
			failures > 10 && least != maxBackoff/2 {
			t.Errorf("after %d failures: %v to %v", failures, least, most)
		}
	}
}
