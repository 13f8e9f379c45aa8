package jobs

import (
	"crypto/rand"
	"encoding/base64"
)

// idBytes is the length of a job id before it is encoded. The id of a job that was submitted
// without credentials is all that one needs to read it.
const idBytes = 16

// newID returns 128 random bits in URL-safe base64.
func newID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails: the process ends where there is no randomness
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ValidID reports whether s can be the id of a job. Nothing else becomes part of a Redis key.
func ValidID(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == idBytes && len(s) == base64.RawURLEncoding.EncodedLen(idBytes)
}
