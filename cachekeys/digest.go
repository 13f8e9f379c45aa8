// Package cachekeys makes every key that the cache uses in Redis: from a request (Key), from the
// data that an entry depends on (Tag), and from the templates of a policies file (Template).
//
// It is pure, and injective where it must be: the length of every part is hashed before the part,
// so that no choice of values gives two requests one key, or one tag the name of another.
package cachekeys

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
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

// A digester hashes a sequence of strings so that the sequence, not merely its concatenation,
// decides the digest.
type digester struct {
	h   hash.Hash
	len [binary.MaxVarintLen64]byte
}

func newDigester(secret []byte) *digester {
	if secret == nil {
		return &digester{h: sha256.New()}
	}
	return &digester{h: hmac.New(sha256.New, secret)}
}

func (d *digester) add(parts ...string) {
	for _, p := range parts {
		n := binary.PutUvarint(d.len[:], uint64(len(p)))
		d.h.Write(d.len[:n])
		d.h.Write([]byte(p))
	}
}

func (d *digester) sum() (out Digest) {
	var buf [sha256.Size]byte
	copy(out[:], d.h.Sum(buf[:0]))
	return out
}
