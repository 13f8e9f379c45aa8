// Package proxy takes each request along its path: the plan for it (policy), the stored response
// for it (store), the backend's answer (backend), storing that answer (httpcache) and invalidating
// (coherence).
//
// The path can be read from the file names. For all requests: proxy and view; those that were read
// below net/http begin in plain. A GET: read looks up and decides, answer sends a stored response.
// Where none may be used, miss owns all that follows: it waits for another request that fetches the
// same, or asks the backend (ask), by a conditional request if there is a candidate; capture stores
// the answer as it passes, through a buffer or, if it is long, in chunks. refresh is a miss behind
// a stale answer; verify compares a hit with the backend's answer, behind it. A request that
// changes something: write. All others: pass and upgrade. head and relay send the backend's answers
// on.
//
// Nothing is decided here that a pure package could decide: the plan and httpcache.Evaluate decide,
// the handlers carry it out.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"sidecar/internal/backend"
	"sidecar/internal/caller"
	"sidecar/internal/coherence"
	"sidecar/internal/httpfield"
	"sidecar/internal/peek"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/internal/tracing"
	"sidecar/policy"
)

// A JobHook turns requests into jobs and answers for them. Its methods are safe for concurrent use.
type JobHook interface {
	// Serves reports whether the path is one of jobs' own (JOBS_PATH).
	Serves(path string) bool
	// ServeJob answers such a path for who asks.
	ServeJob(w http.ResponseWriter, r *http.Request, who caller.Caller)
	// Preflight answers the CORS preflight of a request that may become a job by plan. It reports
	// false, and has not answered, if the backend is to do so.
	Preflight(w http.ResponseWriter, r *http.Request, plan *policy.Plan) bool
	// Accept takes the request as a job and answers 202, or an error that is the client's; it
	// then reports true. Else the request is to be sent to the backend as it then is: with a body
	// that can be read from its beginning, and with an Idempotency-Key where a worker may have
	// seen the job.
	Accept(w http.ResponseWriter, r *http.Request, plan *policy.Plan,
		b *redisconn.Budget) (accepted bool, why reason.Reason)
}

// A Proxy is the handler of the data plane. All fields are required but those that may be
// nil, and must not change while it serves.
type Proxy struct {
	Table    func() *policy.Table
	Store    *store.Store
	Keyspace *coherence.Keyspace
	Redis    *redisconn.Conn
	Backend  *backend.Backend
	Jobs     JobHook // nil: no job route becomes a job
	Metrics  *telemetry.Metrics
	Access   *telemetry.AccessLog
	Tracer   *tracing.Tracer // nil: there are no traces

	RedisTimeout   time.Duration        // all Redis work of one request together
	Bodies         *peek.Room           // bounds the request bodies that are held
	MaxInspectBody int64                // bytes of a body that are read to fill templates
	CacheStatus    telemetry.StatusMode // how much Cache-Status says
	// called for each answer of the backend; nil: nobody wants to know
	Answered func()
	// whether each connection's next answer is to be its last; nil: it never is
	Draining func() bool
	Streams  context.Context // ends WebSockets and event streams; nil: nothing does

	Log *slog.Logger // nil: slog.Default

	refreshes   refreshes
	comparisons comparisons
	verified    verified
	inHand      room // of answers that are being stored
}

// exchange is one request on its way through the proxy.
type exchange struct {
	w      recorder
	r      *http.Request
	ctx    context.Context   // of r, or of its answer
	req    httpfield.Request // the view of r that planning and the caching rules have
	sent   backend.Fields    // of req
	plan   *policy.Plan
	table  *policy.Table // the table that the request began with
	budget *redisconn.Budget
	out    telemetry.Outcome
	found  *store.Found  // the look-up, where it has been made
	span   *tracing.Span // nil: there are no traces
	// the request to the backend, if it was made for the same one before; else nil
	made  *backend.Request
	lines []string // room for the field lines of a stored response, while it is sent

	bytesIn atomic.Int64 // content of the request, as far as it was read
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := p.exchange(w, r)
	if p.trace(x); x.span != nil {
		x.ctx = x.traced(x.ctx)
		x.r = x.r.WithContext(x.ctx)
	}
	defer p.finish(x)
	switch p.plan(x) {
	case reason.BadTarget:
		p.refuse(x, http.StatusBadRequest, reason.BadTarget,
			"The request target cannot be read for certain.")
		return
	case reason.Loop:
		p.refuse(x, http.StatusLoopDetected, reason.Loop,
			"The request has come through this sidecar before: BACKEND_URL leads back to it.")
		return
	}
	p.carryOut(x)
}

// carryOut answers a request by its plan.
func (p *Proxy) carryOut(x *exchange) {
	if x.plan.Caller.Bypass == reason.TokenInvalid {
		p.Metrics.AuthFailed(telemetry.AuthFailureToken)
	}
	if p.Jobs != nil && p.Jobs.Serves(x.req.Path) {
		x.out.Result, x.out.Route = telemetry.ResultJob, ""
		p.Jobs.ServeJob(&x.w, x.r, x.plan.Caller)
		return
	}
	if p.preflight(x) {
		return
	}
	switch x.plan.Kind {
	case policy.Read:
		p.read(x)
	case policy.Write:
		p.write(x)
	case policy.Job:
		p.job(x)
	case policy.Deny:
		p.deny(x)
	default:
		p.pass(x)
	}
}

// exchange begins to answer r.
func (p *Proxy) exchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{
		w: recorder{ResponseWriter: w, last: p.Draining}, ctx: r.Context(), table: p.Table(),
		budget: p.Redis.Budget(p.RedisTimeout),
	}
	x.out.Start, x.out.Method = time.Now(), r.Method
	x.r = withoutEmptyBody(counting(r, &x.bytesIn))
	return x
}

// plan makes the plan of a request. There is none where it is to be refused for a reason.
func (p *Proxy) plan(x *exchange) (refused reason.Reason) {
	x.sent = p.Backend.Fields(x.r)
	var ok bool
	if x.req, ok = view(x.r, &x.sent); !ok {
		return reason.BadTarget
	}
	if p.Backend.HasPassed(x.r) {
		return reason.Loop
	}
	x.plan = x.table.Plan(x.req, x.out.Start)
	x.out.Route = x.plan.Route
	return ""
}

func (p *Proxy) deny(x *exchange) {
	x.out.Result = telemetry.ResultDeny
	p.refuse(x, http.StatusNotFound, "", "There is nothing here.")
}

// finish counts and logs a request that is over, also one whose handler ends by a panic.
func (p *Proxy) finish(x *exchange) {
	now := time.Now()
	x.out.Status, x.out.BytesIn, x.out.BytesOut = x.w.status, x.bytesIn.Load(), x.w.bytes
	x.out.Redis = p.RedisTimeout - x.budget.Left()
	p.endSpan(x, now)
	p.Metrics.Finished(&x.out, now)
	if level, ok := p.Access.Level(x.ctx, &x.out, now); ok {
		p.Access.Write(x.ctx, level, &x.out, x.client(), now)
	}
}

func (p *Proxy) log() *slog.Logger {
	if p.Log == nil {
		return slog.Default()
	}
	return p.Log
}
