// Package telemetry is the record of the sidecar's work: the outcome of each request, metrics and
// the log.
//
// A value that a client chooses never becomes a metric's label. Credentials, queries and bodies
// never reach a metric or the log.
package telemetry

import (
	"time"

	"sidecar/internal/reason"
)

// An Outcome records one request, step by step. It belongs to the goroutine that answers the
// request. The zero value is a request at its start.
type Outcome struct {
	Start  time.Time // arrival of the request
	Method string    // as sent; metrics and log map unusual ones to "other"
	Route  string    // the route's name in the policies; "" if none matched

	Result    Result
	Reason    reason.Reason // why this result; "" where it needs no explanation, as for a hit
	NotStored reason.Reason // why the response was not stored; "" if it was, or was no candidate
	Detail    reason.Reason // precedes these as detail: a hit's tier, or a reason
	Unfilled  string        // the template that could not be filled; "" if all could
	TTL       time.Duration // of a hit: remaining freshness lifetime; negative if stale
	FwdStatus int           // the backend's status where the client got another; else 0
	Stored    bool          // the response is being stored
	Collapsed bool          // the response came from another request's backend request

	Status            int           // of the response; 0 if there was none
	BytesIn, BytesOut int64         // content, without heads and framing
	Redis             time.Duration // time spent waiting for Redis
	Err               error         // failure between the sidecar and the backend
	Trace             string        // id of the trace in which it is recorded; "": in none
}

// A Result is the result of a request: a label from a closed list.
type Result string

// The results. The zero value counts as ResultRefused.
const (
	ResultHit  Result = "hit"  // answered from the store
	ResultMiss Result = "miss" // a cached route, answered by the backend
	// stale, from the store; with a Reason, after the backend was asked
	ResultStale   Result = "stale"
	ResultBypass  Result = "bypass"  // sent past the cache
	ResultWrite   Result = "write"   // a request that may change something
	ResultJob     Result = "job"     // accepted as a job, or a request about one
	ResultDeny    Result = "deny"    // a denied route
	ResultRefused Result = "refused" // an error of the sidecar itself; nothing was sent
)

// bypassed is why the request went past the cache; "" if it did not, or needs no reason: a write.
func (o *Outcome) bypassed() reason.Reason {
	if o.Result == ResultBypass || o.Result == ResultWrite && countsAsWrite(o.Reason) {
		return o.Reason
	}
	return ""
}

// countsAsWrite reports whether it is the reason why a GET counts as a write.
func countsAsWrite(why reason.Reason) bool {
	return why == reason.RequestBody || why == reason.MethodOverride
}

// Duration is the time since Start; 0 if the clock went back.
func (o *Outcome) Duration(now time.Time) time.Duration { return max(0, now.Sub(o.Start)) }
