// Package caller identifies the caller of a request. It makes a digest that keeps the private
// entries and jobs of different callers apart, and returns the verified claims of a token. If the
// caller is not certain, it says so, and the cache is bypassed.
//
// One request by file names: identify, credentials (and cookies), remember, token (and keys).
package caller

import (
	"time"

	"sidecar/internal/reason"
)

// A Caller is a value: it can be copied, compared by ID and put into a job.
type Caller struct {
	// ID is an HMAC (128 bits, lower-case hex) of the credentials or claims, equal for the same
	// caller on every sidecar with the same secret. All requests without credentials share one
	// fixed ID; see Anonymous.
	ID string
	// Anonymous: the request carries no credential.
	Anonymous bool
	// Verified: every credential is a JWT with valid signature, times, issuer and audience.
	Verified bool
	// Claims of the token that verifies; else nil. Must not be changed. They may come without
	// Verified, where it is not certain that the API finds the token among raw cookies.
	Claims map[string]any
	// Expires is the token's exp; zero without one. No entry filled with the token outlives it.
	Expires time.Time
	// Bypass, if not empty, is why this request may neither read nor fill the cache.
	Bypass reason.Reason
}
