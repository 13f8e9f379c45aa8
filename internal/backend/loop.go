package backend

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// passedField says through which sidecars a request has come where Via may not.
const passedField = "Sidecar-Passed"

// newPseudonym returns the name of this process in Via (RFC 9110 §7.6.3). It is random: several
// sidecars may lawfully stand behind one another, but each request passes each of them once.
func newPseudonym() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // it never fails
	return "sidecar-" + hex.EncodeToString(random)
}

// passed is the field for r that Via is else, with this process.
func (b *Backend) passed(r *http.Request) []string {
	came := r.Header[passedField]
	return append(came[:len(came):len(came)], b.pseudonym)
}

// HasPassed reports whether the request has been sent by this backend before: its URL leads back
// to where requests come from.
func (b *Backend) HasPassed(r *http.Request) bool {
	for _, name := range [...]string{"Via", passedField} {
		for _, value := range r.Header[name] {
			if strings.Contains(value, b.pseudonym) {
				return true
			}
		}
	}
	return false
}
