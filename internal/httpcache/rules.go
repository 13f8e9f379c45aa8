// Package httpcache decides, by RFC 9111 and the conditional requests of RFC 9110, which response
// may be stored or served, and for how long. Each decision comes with its reason, and each rule
// names its section.
//
// Everything here is pure: views of messages and a time go in, a decision comes out. Where a
// message cannot be read for certain, the decision is not to store and not to serve.
package httpcache

import (
	"time"

	"sidecar/internal/httpfield"
)

// Rules are the settings of a cache block of the policies. The zero value is a private cache (§1)
// that goes by the response's own fields. Rules are values; Status must not be changed once they
// are in use.
type Rules struct {
	// Shared applies the rules of shared caches: private and Authorization keep a response out,
	// s-maxage counts.
	Shared bool
	// TTL, if HasTTL, is the lifetime of a response that states none and has the status 200, 203,
	// 204, 300, 301 or 308; and no lifetime is then guessed (§4.2.2).
	TTL    time.Duration
	HasTTL bool
	// Status is the same for single statuses, before TTL.
	Status map[int]time.Duration
	// Override lets TTL and Status win over the lifetime that the response states, and over
	// nothing else of it.
	Override bool
	// StaleWhileRevalidate and StaleIfError are how long beyond its lifetime a response may be
	// served where it does not say so itself (RFC 5861): at once while it is validated behind the
	// answer, and where the backend answers 5xx or nothing.
	StaleWhileRevalidate, StaleIfError time.Duration
	// StaleIfUnreachable is the same where the backend does not answer: "disconnected" in the
	// words of §4.2.4.
	StaleIfUnreachable time.Duration
	// Authorized says which answers to requests with credentials a shared cache may store.
	Authorized Authorized
	// IgnoreDirectives lets the request's own Cache-Control and Pragma count for nothing: clients
	// must not make the backend work by them.
	IgnoreDirectives bool
	// IgnoreResponse lets the response's own Cache-Control, Expires and Pragma count for nothing:
	// TTL and Status alone decide. Fields for this cache (RFC 9213) still count. It needs a TTL.
	IgnoreResponse bool
}

// Authorized says when a shared cache may store the answer to a request with credentials (§3.5)
// though the response does not itself allow it with public, s-maxage or must-revalidate.
type Authorized int

// The choices.
const (
	AuthorizedRefuse   Authorized = iota // never
	AuthorizedVerified                   // if the credentials were verified
	AuthorizedPublic                     // always
)

// A Requester is the rules' view of the caller.
type Requester struct {
	// the request carries some, in a field that the policy names. An Authorization field always
	// counts.
	Credentials bool
	Verified    bool // they are a token that verifies
}

// A Response is a response as it came from the backend. RequestTime is when the request was sent,
// ResponseTime when the response's head came; both by the clock that Evaluate is asked with.
type Response struct {
	Status                    int
	Fields                    httpfield.Fields
	RequestTime, ResponseTime time.Time
}

// A Stored is a stored response, as far as the rules need it. The durations are those of its
// Storing; Lifetime may have been cut since.
type Stored struct {
	Status               int
	Fields               httpfield.Fields
	ResponseTime         time.Time
	InitialAge, Lifetime time.Duration
	// Offset and Total are of a part of a representation (Status 206): where its bytes begin, and
	// how many the whole has.
	Offset, Total int64
	// Size is how many bytes are stored of its content.
	Size int64
	// Cookies are the names of those that were dropped when it was stored.
	Cookies []string
	// Until, if not zero, is when it ends for good: beyond it is neither served stale nor
	// validated.
	Until time.Time
}
