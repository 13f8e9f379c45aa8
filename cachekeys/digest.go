// Package cachekeys makes every key that the cache uses in Redis: from a request (Key), from the
// data that an entry depends on (Tag), and from the templates of a policies file (Template).
//
// It is pure, and injective where it must be: the length of every part is hashed before the part,
// so that no choice of values gives two requests one key, or one tag the name of another.
package cachekeys

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"
)

// A Digest is the first 128 bits of a SHA-256, or of an HMAC-SHA-256 where a secret is given.
type Digest [16]byte

// String is the digest in URL-safe base64 without padding (22 bytes), the form that stands in Redis
// keys.
func (d Digest) String() string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// ParseDigest reads the result of String.
func ParseDigest(s string) (d Digest, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, false
	}
	copy(d[:], b)
	return d, true
}

// A Hasher hashes a sequence of strings so that the sequence, not merely its concatenation, decides
// the digest. It is for one goroutine and one digest.
type Hasher struct {
	mac    hash.Hash // under secret; nil before the first
	secret []byte
	keyed  bool   // the digest is an HMAC
	text   []byte // to be hashed
}

// hashers keeps HMACs with their secret: an HMAC that is used again costs half of a new one.
var hashers = sync.Pool{New: func() any { return &Hasher{text: make([]byte, 0, 512)} }}

// maxText is how large the text of a hasher may have grown that is used again, in bytes.
const maxText = 8 << 10

// NewHasher returns a hasher for an HMAC under secret; nil: for a plain SHA-256.
func NewHasher(secret []byte) *Hasher {
	h := hashers.Get().(*Hasher)
	if h.keyed = secret != nil; h.keyed && (h.mac == nil || !bytes.Equal(h.secret, secret)) {
		h.mac, h.secret = hmac.New(sha256.New, secret), bytes.Clone(secret)
	}
	return h
}

// Add adds strings to the sequence.
func (h *Hasher) Add(parts ...string) {
	for _, p := range parts {
		h.text = append(binary.AppendUvarint(h.text, uint64(len(p))), p...)
	}
}

// Sum is the digest of the sequence. It ends the use of the hasher.
func (h *Hasher) Sum() (out Digest) {
	if h.keyed {
		h.mac.Write(h.text)
		copy(out[:], h.mac.Sum(h.text[:0]))
		h.mac.Reset()
	} else {
		sum := sha256.Sum256(h.text)
		copy(out[:], sum[:])
	}
	clear(h.text) // it may hold a credential
	if h.text = h.text[:0]; cap(h.text) <= maxText {
		hashers.Put(h)
	}
	return out
}
