package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"sidecar/internal/reason"
)

// Metrics has all metrics of the sidecar; this file has all their names. It is safe for concurrent
// use.
type Metrics struct {
	registry prometheus.Registerer

	cacheHits, cacheMisses *prometheus.CounterVec // cache_name
	jobsQueued             *prometheus.CounterVec // job_type, queue
	jobsProcessed          *prometheus.CounterVec // job_type, status

	jobWait    *prometheus.HistogramVec // job_type
	jobAttempt *prometheus.HistogramVec // job_type, result

	requests                    *prometheus.CounterVec   // route, method, status
	requestDuration             *prometheus.HistogramVec // route, result
	requestBytes, responseBytes *prometheus.CounterVec   // route

	invalidations   *prometheus.CounterVec // route, result
	invalidatedTags *prometheus.CounterVec // route
	stored          *prometheus.CounterVec // route
	notStored       *prometheus.CounterVec // route, reason
	bypasses        *prometheus.CounterVec // route, reason
	verified        *prometheus.CounterVec // route, result
	inconclusive    *prometheus.CounterVec // route, reason
	authFailures    *prometheus.CounterVec // kind
	policyReloads   *prometheus.CounterVec // result
	buildInfo       *prometheus.GaugeVec   // version, revision, goversion

	backendDuration *prometheus.HistogramVec // status

	breakerState  *prometheus.GaugeVec     // redis
	breakerTrips  *prometheus.CounterVec   // redis
	redisDuration *prometheus.HistogramVec // redis, op
	redisErrors   *prometheus.CounterVec   // redis, op

	gathered *prometheus.Registry // of what Totals reads
	recent   recent               // invalidations

	routes       series[*RouteMetrics]
	backendAsked series[prometheus.Observer] // by status
}

// New registers the metrics. It panics if the registry has one of these names already.
func New(registry prometheus.Registerer) *Metrics {
	f := promauto.With(registry)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: registry,

		cacheHits: counter("cache_hits_total", "Requests answered from the cache.",
			"cache_name"),
		cacheMisses: counter("cache_misses_total",
			"Requests of cached routes that the cache could not answer.", "cache_name"),
		jobsQueued: counter("jobs_queued_total", "Jobs accepted.", "job_type", "queue"),
		jobsProcessed: counter("jobs_processed_total", "Jobs processed, by outcome.", "job_type",
			"status"),
		jobWait: f.NewHistogramVec(histogram("sidecar_job_wait_seconds",
			"Time from the acceptance of a job to its first attempt by a worker.", jobBuckets),
			[]string{"job_type"}),
		jobAttempt: f.NewHistogramVec(histogram("sidecar_job_attempt_duration_seconds",
			"Time of an attempt, by class of status, or failed, unsent, cut-off, canceled.",
			jobBuckets),
			[]string{"job_type", "result"}),

		requests: counter("sidecar_requests_total", "Requests, by class of status.", "route",
			"method", "status"),
		requestDuration: f.NewHistogramVec(histogram("sidecar_request_duration_seconds",
			"Time from a request's arrival to the end of its answer.", requestBuckets),
			[]string{"route", "result"}),
		requestBytes: counter("sidecar_request_bytes_total", "Content received from clients.",
			"route"),
		responseBytes: counter("sidecar_response_bytes_total", "Content sent to clients.", "route"),

		invalidations: counter("sidecar_invalidations_total",
			"Invalidations after writes: done, or deferred while Redis is away.",
			"route", "result"),
		invalidatedTags: counter("sidecar_invalidated_tags_total", "Tags in these invalidations.",
			"route"),
		stored: counter("sidecar_stored_responses_total", "Responses stored.", "route"),
		notStored: counter("sidecar_refused_responses_total",
			"Responses of cached routes that were not stored, and why.", "route", "reason"),
		bypasses: counter("sidecar_bypasses_total",
			"Requests that went past the cache, and why.", "route", "reason"),
		verified: counter("sidecar_verified_hits_total",
			"Hits that were compared with the API's answer: match, mismatch, inconclusive, or dropped.",
			"route", "result"),
		inconclusive: counter("sidecar_verify_inconclusive_total",
			"Comparisons of a hit with the API's answer that say nothing, and why.",
			"route", "reason"),
		authFailures: counter("sidecar_auth_failures_total",
			"Requests whose caller was not authorized, by kind.", "kind"),
		policyReloads: counter("sidecar_policy_reloads_total",
			"Attempts to read the policies again: ok, or refused.", "result"),
		buildInfo: gauge("sidecar_build_info", "Always 1.", "version", "revision",
			"goversion"),

		backendDuration: f.NewHistogramVec(histogram("sidecar_backend_request_duration_seconds",
			"Time from a request to the backend to the head of its answer, by class of status.",
			requestBuckets), []string{"status"}),

		breakerState: gauge("sidecar_breaker_state",
			"Circuit breaker: 0 closed, 1 half-open, 2 open.", "redis"),
		breakerTrips: counter("sidecar_breaker_trips_total",
			"Times the breaker opened after being closed.", "redis"),
		redisDuration: f.NewHistogramVec(histogram("sidecar_redis_operation_duration_seconds",
			"Time that operations in Redis took, failed ones too.", redisBuckets),
			[]string{"redis", "op"}),
		redisErrors: counter("sidecar_redis_operation_errors_total",
			"Operations in Redis that failed.", "redis", "op"),
	}
	m.gathered = m.totals()
	m.routes.make = m.newRoute
	m.backendAsked.make = func(status string) prometheus.Observer {
		return m.backendDuration.WithLabelValues(status)
	}
	m.startAtZero()
	return m
}

// Names of the metrics that are collected at each scrape.
const (
	backendUp = "sidecar_backend_up"

	poolHits        = "sidecar_redis_pool_hits_total"
	poolMisses      = "sidecar_redis_pool_misses_total"
	poolTimeouts    = "sidecar_redis_pool_timeouts_total"
	poolStale       = "sidecar_redis_pool_stale_connections_total"
	poolConnections = "sidecar_redis_pool_connections"
	poolIdle        = "sidecar_redis_pool_idle_connections"
	poolLimit       = "sidecar_redis_pool_max_connections"
	openSockets     = "sidecar_redis_open_connections"

	memoryBytes     = "sidecar_memory_bytes"
	memoryLimit     = "sidecar_memory_limit_bytes"
	memoryEntries   = "sidecar_memory_entries"
	memoryEvictions = "sidecar_memory_evictions_total"

	queueDepth  = "sidecar_queue_depth"
	queueOldest = "sidecar_queue_oldest_job_seconds"
	slotWaiting = "sidecar_jobs_waiting_for_slot"

	traceSpans = "sidecar_trace_spans_total"
)

// Upper bounds in seconds, for scrapers without native histograms. A hit takes a fraction of a
// millisecond, a generated response minutes.
const (
	requestBuckets = "0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 120"
	jobBuckets     = "0.005 0.025 0.1 0.25 0.5 1 2.5 5 10 30 60 120 300 900 3600"
	redisBuckets   = "0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5"
)

// startAtZero makes the series whose first increment should raise an alarm: a series that appears
// with its first value has no rate.
func (m *Metrics) startAtZero() {
	for _, s := range []AuthFailure{AuthFailureJob, AuthFailureAdmin, AuthFailureToken} {
		m.authFailures.WithLabelValues(string(s))
	}
	m.policyReloads.WithLabelValues("ok")
	m.policyReloads.WithLabelValues("refused")
}

// Finished counts a finished request.
func (m *Metrics) Finished(o *Outcome, now time.Time) { m.Route(o.Route).finished(o, now) }

// Stored counts a stored response.
func (m *Metrics) Stored(route string) { m.stored.WithLabelValues(label(route)).Inc() }

// NotStored counts a response of this route that is not stored.
func (m *Metrics) NotStored(route string, why reason.Reason) {
	m.notStored.WithLabelValues(label(route), label(string(why))).Inc()
}

// A Verified is what came of the comparison of a hit with the API's answer.
type Verified string

// The results.
const (
	VerifiedMatch        Verified = "match"
	VerifiedMismatch     Verified = "mismatch"
	VerifiedInconclusive Verified = "inconclusive" // as if it had not been tried
	VerifiedDropped      Verified = "dropped"      // too many wait
)

// An Inconclusive is why the comparison of a hit with the API's answer says nothing about the hit.
type Inconclusive string

// The reasons.
const (
	InconclusiveWritten  Inconclusive = "written"      // a write came between
	InconclusiveRedis    Inconclusive = "redis"        // which did not say whether one did
	InconclusiveNoAnswer Inconclusive = "no-answer"    // of the API, or none that is whole
	InconclusiveError    Inconclusive = "error-status" // that may be about the moment
	InconclusiveUnsteady Inconclusive = "unsteady"     // two answers of the API differ
	InconclusiveCookie   Inconclusive = "cookie"       // the answer repeats one that is in no key
	InconclusiveCoding   Inconclusive = "coding"       // of a body, that is not read
	InconclusiveFailed   Inconclusive = "failed"       // the comparison itself
)

// Inconclusive counts a comparison without a result.
func (m *Metrics) Inconclusive(route string, why Inconclusive) {
	m.Verified(route, VerifiedInconclusive)
	m.inconclusive.WithLabelValues(label(route), string(why)).Inc()
}

// Verified counts the comparison of a hit with the API's answer.
func (m *Metrics) Verified(route string, result Verified) {
	if result != VerifiedMismatch { // so that the first mismatch is an increase
		m.verified.WithLabelValues(label(route), string(VerifiedMismatch)).Add(0)
	}
	m.verified.WithLabelValues(label(route), string(result)).Inc()
}

// Invalidated counts an invalidation of this number of tags for a write of this route. With an
// error it is deferred.
func (m *Metrics) Invalidated(route string, tags int, err error) {
	result := "done"
	if err != nil {
		result = "deferred"
	}
	m.invalidations.WithLabelValues(label(route), result).Inc()
	m.invalidatedTags.WithLabelValues(label(route)).Add(float64(tags))
	m.recent.add(Invalidation{
		At: time.Now(), Route: label(route), Tags: tags, Deferred: err != nil,
	})
}

// JobQueued counts an accepted job. jobType is the name of a route or schedule, queue one of the
// policies' queues.
func (m *Metrics) JobQueued(jobType, queue string) {
	m.jobsQueued.WithLabelValues(label(jobType), label(queue)).Inc()
}

// JobProcessed counts the outcome of a job. status is from the short list of package jobs.
func (m *Metrics) JobProcessed(jobType, status string) {
	m.jobsProcessed.WithLabelValues(label(jobType), label(status)).Inc()
}

// JobBegun counts the first attempt of a job by a worker.
func (m *Metrics) JobBegun(jobType string, waited time.Duration) {
	m.jobWait.WithLabelValues(label(jobType)).Observe(waited.Seconds())
}

// JobAttempted counts an attempt. result is a class of statuses, or from the short list of package
// jobs.
func (m *Metrics) JobAttempted(jobType, result string, took time.Duration) {
	m.jobAttempt.WithLabelValues(label(jobType), label(result)).Observe(took.Seconds())
}

// An AuthFailure is a kind of failed authentication or authorization: a label from a closed list.
type AuthFailure string

// The kinds.
const (
	AuthFailureJob   AuthFailure = "job_404"   // asked for another caller's job, or for none
	AuthFailureAdmin AuthFailure = "admin_401" // without the admin token
	AuthFailureToken AuthFailure = "token"     // with a token that failed verification
)

func (m *Metrics) AuthFailed(kind AuthFailure) {
	m.authFailures.WithLabelValues(string(kind)).Inc()
}

// PolicyReload counts an attempt to reload the policies; with an error the old ones stayed.
func (m *Metrics) PolicyReload(err error) {
	result := "ok"
	if err != nil {
		result = "refused"
	}
	m.policyReloads.WithLabelValues(result).Inc()
}

// Build sets the labels of the running build.
func (m *Metrics) Build(version, revision, goVersion string) {
	m.buildInfo.WithLabelValues(version, revision, goVersion).Set(1)
}

// label is the label value for a name that may be empty.
func label(name string) string {
	if name == "" {
		return "none"
	}
	return name
}
