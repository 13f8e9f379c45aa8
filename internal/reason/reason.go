// Package reason is the closed list of reasons why a response was or was not served or stored, and
// a request forwarded or queued.
//
// Cache-Status gives a Reason as detail, metrics carry it as a label, and the log prints it. It is
// never a value that a client chose.
package reason

// A Reason is one word in kebab case. The zero value: nothing to explain.
type Reason string

// Which tier answered a hit.
const (
	InRedis  Reason = "redis"
	InMemory Reason = "memory"
)

// Why a request bypassed the cache.
const (
	NoRoute           Reason = "no-route"              // no cached route matches
	Method            Reason = "method"                // neither a read nor a known write
	RequestBody       Reason = "request-body"          // a GET with one counts as a write
	MethodOverride    Reason = "method-override"       // a GET with one counts as a write
	UndeclaredCaller  Reason = "undeclared-credential" // not in caller.credentials
	UnclearCredential Reason = "unclear-credential"    // servers read it in different ways
	TokenInvalid      Reason = "token-invalid"         // a JWT that fails verification
	TokenAmbiguous    Reason = "token-ambiguous"       // two tokens that name different callers
	KeySecretUnknown  Reason = "key-secret-unknown"    // no HMAC key for caller digests yet
	TemplateUnfilled  Reason = "template-unfilled"     // of a tag or a partition
	// a parameter outside the route's query list
	QueryNotListed   Reason = "query-not-listed"
	Upgrade          Reason = "upgrade"           // a protocol switch
	RequestNoStore   Reason = "request-no-store"  // RFC 9111 §5.2.1.5
	RequestNoCache   Reason = "request-no-cache"  // RFC 9111 §5.2.1.4
	RequestMaxAge    Reason = "request-max-age"   // RFC 9111 §5.2.1.1
	RequestMinFresh  Reason = "request-min-fresh" // RFC 9111 §5.2.1.3
	OnlyIfCached     Reason = "only-if-cached"    // RFC 9111 §5.2.1.7
	Range            Reason = "range"             // of a representation that is not stored
	Precondition     Reason = "precondition"      // If-Match, If-Unmodified-Since
	ConnectionOption Reason = "connection-option" // it removes a field that may select
	// a field names one, such as X-Original-URL
	OtherTarget         Reason = "other-target"
	FieldName           Reason = "field-name"           // a name that servers take for another
	FieldCount          Reason = "field-count"          // more fields than all servers read
	BadTarget           Reason = "bad-target"           // cannot be parsed for certain
	Loop                Reason = "loop"                 // it has come through this sidecar before
	BreakerOpen         Reason = "breaker-open"         // Redis fails, the breaker is open
	RedisTimeout        Reason = "redis-timeout"        // the request's Redis budget is spent
	RedisError          Reason = "redis-error"          // Redis answered an error
	InvalidationPending Reason = "invalidation-pending" // not yet confirmed by Redis
)

// Why a stale response was served after the backend had been asked.
const (
	BackendError       Reason = "backend-error"       // it answered 5xx (RFC 5861 §4)
	BackendUnreachable Reason = "backend-unreachable" // it did not answer (RFC 9111 §4.2.4)
)

// Why a stored response was not used.
const (
	Miss        Reason = "uri-miss"    // nothing is stored under the key
	VaryMiss    Reason = "vary-miss"   // stored for other request fields (RFC 9111 §4.1)
	Stale       Reason = "stale"       // its freshness lifetime is over (§4.2)
	Invalidated Reason = "invalidated" // one of its tags has been invalidated since
	NoCache     Reason = "no-cache"    // it must be validated before every use (§5.2.2.4)
	Undecodable Reason = "undecodable" // the record is damaged or of another version
	BodyLost    Reason = "body-lost"   // a chunk of its body is missing
)

// Why a response was not stored.
const (
	StatusNotStorable Reason = "status"      // no lifetime for this status
	FieldError        Reason = "field-error" // an error that may be about a field in no key
	// an error, or a part, in the place of a fresh one
	FreshSuccess    Reason = "fresh-success"
	ResponseNoStore Reason = "no-store"          // RFC 9111 §5.2.2.5
	ResponsePrivate Reason = "private"           // §5.2.2.7 in a shared cache
	ResponseNoCache Reason = "response-no-cache" // §5.2.2.4, without a validator
	Authorized      Reason = "authorization"     // §3.5
	NoLifetime      Reason = "no-lifetime"       // neither the response nor the policy gives one
	VaryAny         Reason = "vary-any"          // Vary: *
	SetCookie       Reason = "set-cookie"        // the policy refuses responses that set cookies
	// it has the value of a cookie that is in no key
	RepeatsCookie  Reason = "repeats-cookie"
	BodyCoded      Reason = "body-coded"         // it may: its coding cannot be undone
	TooLarge       Reason = "too-large"          // longer than max_body
	Incomplete     Reason = "incomplete"         // the body ended early
	PartialContent Reason = "partial-content"    // 206
	Trailers       Reason = "trailers"           // trailer fields are not stored
	TagsUnfilled   Reason = "tags-unfilled"      // a response tag could not be filled
	NamesLearned   Reason = "names-learned"      // its tags were new: stored without a body
	TagClosed      Reason = "tag-closed"         // a write to one of its tags is under way
	RedisChanged   Reason = "redis-changed"      // connected to another Redis meanwhile
	AgeExceedsLife Reason = "expired-on-arrival" // already stale when it came
	StoreFailed    Reason = "store-failed"       // Redis did not store it
	StoreBusy      Reason = "store-busy"         // too many stores under way
	BadFraming     Reason = "bad-framing"        // its framing is ambiguous
	BadDirectives  Reason = "bad-cache-control"  // of either side, that cannot be parsed
	Streamed       Reason = "streamed"           // an event stream, or Incremental (RFC 10036)
	MustUnderstand Reason = "must-understand"    // §5.2.2.3 with a status unknown to this cache
)

// Why a write was refused where consistency is strict.
const (
	WriteNotAnnounced Reason = "write-not-announced" // no intent in Redis: not sent
	WriteNotConfirmed Reason = "write-not-confirmed" // done, invalidation not confirmed
)

// Why a request did or did not become a job.
const (
	Queued         Reason = "queued"
	JobBodyTooBig  Reason = "job-body-too-large"
	JobBodyLate    Reason = "job-body-late" // let go before it was complete
	JobStoreAway   Reason = "job-store-away"
	EnqueueUnknown Reason = "enqueue-unknown" // withdrawn, and sent to the backend
	JobsPending    Reason = "jobs-pending"    // as many of the route, or of the caller, as may be
	NotPreferred   Reason = "job-not-preferred"
	AnsweredInTime Reason = "job-answered-in-time" // by the backend, within the route's after
)
