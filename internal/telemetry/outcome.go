// Package telemetry is what the sidecar tells about its work: the outcome of each request, metrics and the log.
//
// What a client chooses never becomes a metric's label, and credentials, queries and bodies never reach a metric or the log.
package telemetry

import (
	"time"

	"sidecar/internal/reason"
)

// An Outcome is what happened to one request, filled in along its path. It belongs to the goroutine that answers the
// request. The zero value is a request of which nothing is known yet.
type Outcome struct {
	Start  time.Time // when the request came
	Method string    // as sent; metrics and log have only the usual ones
	Route  string    // the route's name in the policies; "" if none matched

	Result    Result
	Reason    reason.Reason // why this result; "" where it needs no explanation, as a hit
	NotStored reason.Reason // why the answer was not stored; "" if it was, or if there was no question of it
	Detail    reason.Reason // what Cache-Status gives as detail before any of these: DetailRedis, DetailMemory, or a reason
	TTL       time.Duration // of a hit: what is left of its freshness lifetime; negative if it is stale
	FwdStatus int           // the backend's status where the client got another; else 0
	Stored    bool          // the answer is being stored
	Collapsed bool          // the answer is that of another request's backend request

	Status            int           // of the answer; 0 if there was none
	BytesIn, BytesOut int64         // content, without heads and framing
	Redis             time.Duration // spent waiting for Redis
	Err               error         // what went wrong between the sidecar and the backend; nil if nothing did
}

// A Result is what became of a request: a label of metrics, so there are only these.
type Result string

// The results. The zero value counts as ResultRefused.
const (
	ResultHit     Result = "hit"     // answered from the store
	ResultMiss    Result = "miss"    // a cached route, answered by the backend
	ResultStale   Result = "stale"   // answered from the store beyond its lifetime; with a Reason, after the backend was asked
	ResultBypass  Result = "bypass"  // sent past the cache
	ResultWrite   Result = "write"   // a request that may change something
	ResultJob     Result = "job"     // taken as a job, or a question about one
	ResultDeny    Result = "deny"    // a route that is denied
	ResultRefused Result = "refused" // answered with an error by the sidecar itself, and nothing was sent
)

// Where a hit came from.
const (
	DetailRedis  reason.Reason = "redis"
	DetailMemory reason.Reason = "memory"
)

// Duration is how long the request took until now; 0 if the clock went back.
func (o *Outcome) Duration(now time.Time) time.Duration { return max(0, now.Sub(o.Start)) }
