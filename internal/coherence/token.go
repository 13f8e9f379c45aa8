package coherence

import (
	"crypto/rand"
	"encoding/binary"
	"sync/atomic"
)

// A Token is the value of a tag's key in Redis. Tokens are unique: no two calls of Tokens.Next, in
// any process at any time, return the same one. The zero value stands for an absent key.
type Token [16]byte

// Tokens makes tokens: 80 random bits of the process and a counter. It is safe for concurrent use.
type Tokens struct {
	process [10]byte
	counter atomic.Uint64
}

// NewTokens returns a source of tokens.
func NewTokens() *Tokens {
	var t Tokens
	// rand.Read never fails; it ends the process where the system has no randomness.
	_, _ = rand.Read(t.process[:])
	return &t
}

// Next returns a token that no call returned before. A process would have to make 2^48 of them to
// repeat itself.
func (t *Tokens) Next() Token {
	var token Token
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], t.counter.Add(1))
	copy(token[:], t.process[:])
	copy(token[len(t.process):], n[2:])
	return token
}

// parseToken reads the value of a tag's key. Everything but a token reads as absent: it makes an
// entry dead.
func parseToken(v any) Token {
	s, ok := v.(string)
	var t Token
	if ok && len(s) == len(t) {
		copy(t[:], s)
	}
	return t
}

// IsZero reports whether t stands for an absent key.
func (t Token) IsZero() bool { return t == Token{} }
