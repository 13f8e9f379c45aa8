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
	h    hash.Hash
	text []byte // that is not hashed yet
}

const room = 256 // bytes, for most keys and tags

func newDigester(secret []byte) *digester {
	if secret == nil {
		return &digester{sha256.New(), make([]byte, 0, room)}
	}
	return &digester{hmac.New(sha256.New, secret), make([]byte, 0, room)}
}

func (d *digester) add(parts ...string) {
	for _, p := range parts {
		d.text = append(binary.AppendUvarint(d.text, uint64(len(p))), p...)
	}
}

func (d *digester) sum() (out Digest) {
	d.h.Write(d.text)
	copy(out[:], d.h.Sum(d.text[:0]))
	return out
}
