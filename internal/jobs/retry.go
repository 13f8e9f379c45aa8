package jobs

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"sidecar/internal/httpfield"
)

const (
	maxBackoff    = 5 * time.Minute // between two attempts, where the backend names no time
	maxRetryAfter = time.Hour       // of Retry-After
)

// A Status is how far a job is.
type Status string

// The statuses that a client sees.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Retrying  Status = "retrying" // an attempt failed, or was cut off; another follows
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Canceled  Status = "canceled"

	// withdrawn is the record of a request that went to the backend without the queue. No client
	// ever had its id.
	withdrawn Status = "withdrawn"
)

// Final reports whether nothing will change any more.
func (s Status) Final() bool {
	return s == Succeeded || s == Failed || s == Canceled || s == withdrawn
}

// An attempt is how one attempt came out. Exactly one of response and fault is set.
type attempt struct {
	response *Response
	fault    string // why there is no response, in words for the client
	tooLarge bool   // fault, and it is of no use to try again
}

// A verdict is the consequence of an attempt.
type verdict struct {
	status    Status        // Succeeded, Failed or Retrying
	after     time.Duration // Retrying: until the next attempt
	lastError string        // never a body or a secret
}

// judge decides on a, after failures attempts that failed before it. jitter is in [0, 1).
func (p retryRule) judge(a attempt, failures int, now time.Time, jitter float64) verdict {
	if a.tooLarge {
		return verdict{status: Failed, lastError: a.fault}
	}
	v := verdict{status: Retrying, after: p.backoff(failures, jitter), lastError: a.fault}
	if r := a.response; r != nil {
		if r.Status < 400 {
			return verdict{status: Succeeded}
		}
		v.lastError = fmt.Sprintf("the backend answered %d", r.Status)
		if text := http.StatusText(r.Status); text != "" {
			v.lastError += " " + text
		}
		if !worthRetrying(r.Status) && !slices.Contains(p.also, r.Status) {
			v.status, v.after = Failed, 0
			return v
		}
		if after, ok := retryAfter(r.Fields, now); ok {
			v.after = max(v.after, min(after, maxRetryAfter))
		}
	}
	if failures >= p.maxRetry {
		v.status, v.after = Failed, 0
	}
	return v
}

// A retryRule says how often, and after how long.
type retryRule struct {
	maxRetry int           // attempts after the first
	base     time.Duration // before the second attempt; doubled for each that follows
	also     []int         // statuses that are retried besides those that always are
}

// backoff is between half and the whole of base·2^failures, so that jobs which failed together do
// not come back together.
func (p retryRule) backoff(failures int, jitter float64) time.Duration {
	d := maxBackoff
	if failures < 20 {
		d = min(p.base<<failures, maxBackoff)
	}
	return d/2 + time.Duration(jitter*float64(d/2))
}

// worthRetrying reports whether the same request may succeed later: the server failed, or asks the
// client to wait. All other client errors are final.
func worthRetrying(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if d, ok := httpfield.ParseDelta(value); ok {
		return d, true
	}
	if t, ok := httpfield.ParseDate(value, now); ok {
		return max(0, t.Sub(now)), true
	}
	return 0, false
}
