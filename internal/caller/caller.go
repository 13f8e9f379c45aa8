// Package caller says who a request speaks for: a digest that keeps private entries and jobs of different callers apart, and the
// verified claims of a token. Where that cannot be told for certain it says so, and the cache is bypassed.
//
// One request by file names: identify, credentials (and cookies), token (and keys).
package caller

import (
	"time"

	"sidecar/internal/reason"
)

// A Caller is who a request speaks for. It is a value: it can be copied, compared by ID and put into a job.
type Caller struct {
	// ID is an HMAC (128 bits, lower-case hex) of who is asking, the same for the same caller on every sidecar with the same secret.
	// A request without credentials has the ID of nobody, which is one fixed value; see Anonymous.
	ID string
	// Anonymous: the request carries no credential at all.
	Anonymous bool
	// Verified: every credential is a JWT whose signature, times, issuer and audience hold.
	Verified bool
	// Claims of the verified token; nil otherwise. Must not be changed.
	Claims map[string]any
	// Expires is the token's exp; zero where there is none. No entry filled with the token outlives it.
	Expires time.Time
	// Bypass, if not empty, says why nothing may be read from or stored in the cache for this request.
	Bypass reason.Reason
}
