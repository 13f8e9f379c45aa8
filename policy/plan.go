package policy

import (
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/jsonbody"
	"sidecar/internal/reason"
	"sidecar/policy/pattern"
)

// A Kind says how a request is handled.
type Kind int

// The kinds. A request has exactly one.
const (
	Pass  Kind = iota // forward, untouched by the cache; Plan.Bypass says why
	Read              // a GET or HEAD of a cached route: Plan.Read
	Write             // an unsafe request, or a GET that counts as one: Plan.Write
	Job               // a POST of a job route: Plan.Job, and Plan.Write for its invalidations
	Deny              // 404, and nothing reaches the backend
)

// A Plan is all that is known of a request before anything is sent: the route, the caller and the
// handling. It is built once (Table.Plan), obeyed by proxy and jobhook, and never changed. It
// refers to the request's field section, which must not change while the plan is in use.
type Plan struct {
	Kind  Kind
	Route string // the route's name, for metrics; "" if none matched
	// Bypass is why the cache is bypassed: of a Pass, and of a GET that counts as a Write.
	Bypass reason.Reason
	// Unfilled is the template that the request could not fill, as it stands in the file, where
	// that is the reason.
	Unfilled string
	Caller   caller.Caller
	// Read is that of a cached route: also where Kind is Pass, because the request itself asks to
	// go past the cache.
	Read  *ReadPlan
	Write *WritePlan
	Job   *JobPlan
	// Query is the query to send on, without '?': the request's own unless the route ignores
	// parameters.
	Query string
}

// NoJob is why a request with a body of this length (-1: unknown) does not become a job; "" if it
// does, as far as that is known before the body is read and the job store is asked.
func (p *Plan) NoJob(length int64) reason.Reason {
	switch {
	case p.Job == nil:
		return reason.NoRoute
	case p.Caller.Bypass != "":
		return p.Caller.Bypass // nobody could ask for it later
	case length > p.Job.MaxBody:
		return reason.JobBodyTooBig
	}
	return ""
}

// A ReadPlan has the key under which the answer to a GET may be stored, and the tags that it
// carries.
type ReadPlan struct {
	Cache *Cache
	// Rules are the block's. A private entry of a caller without credentials is shared by all such
	// callers, and has the rules of a shared cache.
	Rules httpcache.Rules
	// Demand has the request's instructions to the cache.
	Demand httpcache.Demand
	// Requester describes the caller to the rules.
	Requester httpcache.Requester
	Key       cachekeys.Key
	Primary   cachekeys.Digest // of Key
	// Carried are the tags known from the request: the route's tags and their families, the own URI
	// and, if private, the caller. The protocol adds cachekeys.All and Table.Rules.
	Carried []cachekeys.Tag
	// Guards are the guards of the tags that the response may name; empty if the policy names none.
	Guards []cachekeys.Tag
	// NotAfter, if not zero, is when the caller's token expires: nothing stored for it lives
	// longer.
	NotAfter time.Time
	// MaxLife, if not 0, bounds the lifetime of an entry filled with credentials that cannot be
	// verified.
	MaxLife time.Duration

	table  *Table
	values requestValues
	also   []pattern.Values // of the harmless forms of the path
	query  cachekeys.Query  // as it is sent on
	plain  bool             // the names of all fields are, see cachekeys.Target
	few    bool             // the fields are, see there
}

// A Cache is a compiled cache block. Among its fields the tags alone are part of the digest of the
// rules; the others decide how entries are made, and Digest covers them.
type Cache struct {
	Rules   httpcache.Rules `digest:"-"`
	Scope   Scope           `digest:"-"`
	MaxBody int64           `digest:"-"` // bytes; larger answers stream through
	// canonical field names, or prefixes with '*'; never stored
	Strip     []string  `digest:"-"`
	SetCookie SetCookie `digest:"-"` // how answers with Set-Cookie are handled
	// how long the process may answer from its own memory; 0: never
	Memory time.Duration `digest:"-"`
	Tags   []*cachekeys.Template
	Vary   []string `digest:"-"` // canonical
	Digest string   `digest:"-"` // of the block as it is in force: part of every key
	Verify *Verify  `digest:"-"` // nil: hits are not compared with the backend
	// StrippedTargets are fields that speak to this cache alone (RFC 9213) and that Strip matches:
	// stored, because they are needed again, and left out of answers.
	StrippedTargets []string `digest:"-"`

	partition *cachekeys.Template `digest:"-"`
	query     queryRule           `digest:"-"`
	tagFields []string            `digest:"-"` // canonical: request fields that tags are made of
	tagParams []string            `digest:"-"` // parameters that tags are made of
}

// A Scope says for whom an entry is.
type Scope int

// The scopes.
const (
	Private   Scope = iota // one caller
	Shared                 // everybody
	Partition              // everybody with the same verified value
)

// SetCookie says how an answer that sets cookies is handled: not stored (the zero value), stored
// with them, or stored without those in Drop and not stored if it sets any other.
type SetCookie struct {
	Store bool
	// cookie names; entries that had one are served only to requests that bring such a cookie
	Drop []string
}

// Verify says which hits are compared with the backend.
type Verify struct {
	Share  float64            // of the hits: over 0, at most 1
	Paths  []jsonbody.Pattern // of JSON bodies, that are not compared
	Fields []string           // canonical, that are not compared
}

// A WritePlan has the tags that a request invalidates.
type WritePlan struct {
	// NeedsRequestBody, NeedsResponseBody: some template reads it.
	NeedsRequestBody, NeedsResponseBody bool
	// Matched: some route matches it, so that it is announced before it is sent.
	Matched bool
	// Strict: it is answered 503, and not sent, while it cannot be announced.
	Strict bool
	// Settle is how long after its answer an old read may still come from a replica of the
	// database.
	Settle time.Duration

	table   *Table
	request httpfield.Request
	values  requestValues
	matches matchSet        // of all routes that the request may be for
	own     []cachekeys.Tag // the request's own URIs
	// candidates are matches under a method that its body may name.
	candidates []candidate
}

// match is a route with the values of its wildcards.
type match = pattern.Match[*route]

// A JobPlan says how a request runs as a job. It is the compiled job block.
type JobPlan struct {
	Mode      JobMode
	After     time.Duration // ModeAfter: how long the client waits for the API's own answer
	Queue     string        // as in the policies file, without the prefix's part
	MaxRetry  int           // attempts after the first
	RetryOn   []int         // statuses that are tried again, besides those that always are
	Retention time.Duration // of the result, and of failures, from the end of the job
	Timeout   time.Duration // of one attempt
	MaxBody   int64         // bytes of request body; a longer request goes to the backend at once
	MaxResult int64         // bytes of response body; a longer response is not kept

	RefuseOver bool // a request that is longer than MaxBody is answered 413
	Link       bool // the id alone gives access to the job, for every caller
	// for so long the same content leads to the same job; 0: it does not
	UniqueFor        time.Duration
	IdempotencyField string // canonical: where the client puts its key
	MaxPending       int    // jobs that wait or run; 0: no bound
	// MaxPendingPerCaller is MaxPending for one caller; all without credentials are one.
	MaxPendingPerCaller int
	MaxRunning          int   // jobs that run at once, in all sidecars; 0: no bound
	MaxRunningPerCaller int   // the same for one caller
	CORS                *CORS // for the sidecar's own answers; nil: same-origin
}

// CORS says which pages of other origins may read the sidecar's answers about jobs.
type CORS struct {
	Origins     []string // as browsers send them, or "*"
	Credentials bool     // with cookies and the like
}

// Allows reports whether a page of the origin may.
func (c *CORS) Allows(origin string) bool {
	return slices.Contains(c.Origins, origin) || slices.Contains(c.Origins, "*")
}

// A JobMode says when a request becomes a job.
type JobMode string

// The modes.
const (
	ModeAlways JobMode = "always" // at once
	ModePrefer JobMode = "prefer" // if the client prefers it: Prefer: respond-async (RFC 7240)
	ModeAfter  JobMode = "after"  // if the API has not answered within JobPlan.After
)
