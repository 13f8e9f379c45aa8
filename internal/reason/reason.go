// Package reason is the one list of why something was or was not served, stored, forwarded or queued.
//
// A Reason is what Cache-Status gives as detail, what metrics carry as a label and what the log says: one
// vocabulary, closed, and never a value that a client chose.
package reason

// Reason is one word (kebab-case) for why a decision came out as it did. The zero value means that there is
// nothing to explain.
type Reason string

// Why a request went past the cache.
const (
	NoRoute             Reason = "no-route"              // no cached route matches
	Method              Reason = "method"                // neither a read nor something the cache knows
	RequestBody         Reason = "request-body"          // a GET with a body counts as a write
	MethodOverride      Reason = "method-override"       // a GET with a method-override field counts as a write
	UndeclaredCaller    Reason = "undeclared-credential" // a field says who is asking and caller.credentials does not name it
	TokenInvalid        Reason = "token-invalid"         // a JWT that fails verification
	TokenAmbiguous      Reason = "token-ambiguous"       // two tokens that name different callers
	KeySecretUnknown    Reason = "key-secret-unknown"    // the HMAC key of caller digests could not be read yet
	TemplateUnfilled    Reason = "template-unfilled"     // a tag or partition template could not be filled
	QueryNotListed      Reason = "query-not-listed"      // a parameter outside the route's query list
	Upgrade             Reason = "upgrade"               // a protocol switch
	RequestNoStore      Reason = "request-no-store"      // RFC 9111 §5.2.1.5
	RequestNoCache      Reason = "request-no-cache"      // RFC 9111 §5.2.1.4
	RequestMaxAge       Reason = "request-max-age"       // RFC 9111 §5.2.1.1
	RequestMinFresh     Reason = "request-min-fresh"     // RFC 9111 §5.2.1.3
	OnlyIfCached        Reason = "only-if-cached"        // RFC 9111 §5.2.1.7
	Range               Reason = "range"                 // a range of something not stored
	Precondition        Reason = "precondition"          // If-Match, If-Unmodified-Since: the backend's to judge
	ConnectionOption    Reason = "connection-option"     // Connection takes out a field that may select the answer
	BadTarget           Reason = "bad-target"            // a request target that cannot be parsed for certain
	BreakerOpen         Reason = "breaker-open"          // Redis is away, the breaker is open
	RedisTimeout        Reason = "redis-timeout"         // the request's Redis budget is spent
	RedisError          Reason = "redis-error"           // Redis answered an error
	InvalidationPending Reason = "invalidation-pending"  // an invalidation failed and is not yet made good
)

// Why a stale response was served after the backend had been asked.
const (
	BackendError       Reason = "backend-error"       // it answered 5xx (RFC 5861 §4)
	BackendUnreachable Reason = "backend-unreachable" // it did not answer (RFC 9111 §4.2.4)
)

// Why a stored response was not used.
const (
	Miss        Reason = "uri-miss"    // nothing is stored under the key
	VaryMiss    Reason = "vary-miss"   // stored, but for other request fields (RFC 9111 §4.1)
	Stale       Reason = "stale"       // its freshness lifetime is over (§4.2)
	Invalidated Reason = "invalidated" // one of its tags has been invalidated since
	NoCache     Reason = "no-cache"    // the response wants validation before every use (§5.2.2.4)
	Undecodable Reason = "undecodable" // what Redis holds is of another format or damaged
	BodyLost    Reason = "body-lost"   // a piece of its body is gone
)

// Why a response was not stored.
const (
	StatusNotStorable Reason = "status"             // no lifetime for this status
	ResponseNoStore   Reason = "no-store"           // RFC 9111 §5.2.2.5
	ResponsePrivate   Reason = "private"            // §5.2.2.7 in a shared cache
	ResponseNoCache   Reason = "response-no-cache"  // §5.2.2.4, without anything by which it could be validated
	Authorized        Reason = "authorization"      // §3.5
	NoLifetime        Reason = "no-lifetime"        // neither the response nor the policy gives one
	VaryAny           Reason = "vary-any"           // Vary: *
	SetCookie         Reason = "set-cookie"         // the policy refuses answers that set cookies
	TooLarge          Reason = "too-large"          // longer than max_body
	Incomplete        Reason = "incomplete"         // the body ended early
	PartialContent    Reason = "partial-content"    // 206
	Trailers          Reason = "trailers"           // fields after the content, which are not kept
	TagsUnfilled      Reason = "tags-unfilled"      // a response tag could not be filled
	NamesLearned      Reason = "names-learned"      // its names were new and written meanwhile: stored without a body
	TagClosed         Reason = "tag-closed"         // a write to one of its tags is under way
	RedisChanged      Reason = "redis-changed"      // another Redis was met meanwhile: what was read before proves nothing
	AgeExceedsLife    Reason = "expired-on-arrival" // already stale when it came
	StoreFailed       Reason = "store-failed"       // Redis did not take it
	StoreBusy         Reason = "store-busy"         // too many stores under way
	BadFraming        Reason = "bad-framing"        // a head that cannot be read for certain
	BadDirectives     Reason = "bad-cache-control"  // a Cache-Control, of either side, that cannot be read for certain
	MustUnderstand    Reason = "must-understand"    // §5.2.2.3 with a status unknown to this cache
)

// Why a write was refused.
const (
	WriteNotAnnounced Reason = "write-not-announced" // consistency: strict, and Redis did not take the intents: it was not sent
	WriteNotConfirmed Reason = "write-not-confirmed" // consistency: strict, and Redis did not take the invalidation: it was done
	BodyTooSlow       Reason = "body-too-slow"       // the request's body comes too slowly to keep its tags closed
)

// Why a request did or did not become a job.
const (
	Queued         Reason = "queued"
	JobBodyTooBig  Reason = "job-body-too-large"
	JobStoreAway   Reason = "job-store-away"
	EnqueueUnknown Reason = "enqueue-unknown" // no answer to the enqueue: withdrawn, and sent to the backend
)
