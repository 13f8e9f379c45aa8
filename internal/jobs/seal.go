package jobs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// A Sealer encrypts the requests and results of jobs with AES-256-GCM. A reader of Redis learns
// nothing of them, and a writer to Redis cannot make a worker send another request. A nil Sealer
// seals nothing. It is safe for concurrent use.
//
// A sealed value is 's', four bytes that tell the key, the nonce, and the ciphertext; an unsealed
// one is 'p' and the value.
type Sealer struct {
	keys []sealingKey // the first seals, all open
}

type sealingKey struct {
	tell [4]byte // of the key's SHA-256
	aead cipher.AEAD
}

const (
	markSealed = 's'
	markPlain  = 'p'
)

// sealingKeyBytes is the length of an AES-256 key.
const sealingKeyBytes = 32

var (
	// errUnknownKey: sealed with a key that is not among ours. Another sidecar may have been given
	// it already.
	errUnknownKey = errors.New("sealed with a key that is not in JOBS_ENCRYPTION_KEY")
	// errUnsealed: with a Sealer unsealed values are refused, or a writer to Redis would need no
	// key.
	errUnsealed = errors.New("not sealed, though JOBS_ENCRYPTION_KEY is set")
	// errForged: damaged, or sealed for another job, caller, prefix or purpose.
	errForged = errors.New("the seal does not fit the job")
)

// ParseSealer reads the value of JOBS_ENCRYPTION_KEY: keys of 32 bytes in base64, separated by
// commas. An empty value gives nil. Errors do not repeat any part of the value.
func ParseSealer(value string) (*Sealer, error) {
	if strings.TrimSpace(value) == "" {
		return nil, nil
	}
	s := &Sealer{}
	for i, text := range strings.Split(value, ",") {
		key, err := decodeKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("key %d of JOBS_ENCRYPTION_KEY: %w", i+1, err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("key %d of JOBS_ENCRYPTION_KEY: %w", i+1, err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("key %d of JOBS_ENCRYPTION_KEY: %w", i+1, err)
		}
		sum := sha256.Sum256(key)
		s.keys = append(s.keys, sealingKey{tell: [4]byte(sum[:4]), aead: aead})
	}
	return s, nil
}

const makeKey = "make one by openssl rand -base64 32"

func decodeKey(text string) ([]byte, error) {
	text = strings.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.RawURLEncoding
	}
	key, err := encoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("not base64: " + makeKey)
	}
	if len(key) != sealingKeyBytes {
		return nil, fmt.Errorf("%d bytes, want %d: %s", len(key), sealingKeyBytes, makeKey)
	}
	return key, nil
}

// A binding names the place of a sealed value. It opens in no other.
type binding struct {
	purpose string // field of the record
	prefix  string
	id      string
	owner   string
}

func (b binding) bytes() []byte {
	var out []byte
	for _, s := range []string{"sidecar job", b.purpose, b.prefix, b.id, b.owner} {
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	return out
}

func (s *Sealer) seal(b binding, value []byte) []byte {
	if s == nil {
		return append([]byte{markPlain}, value...)
	}
	key := s.keys[0]
	out := make([]byte, 0, 1+len(key.tell)+key.aead.NonceSize()+len(value)+key.aead.Overhead())
	out = append(append(out, markSealed), key.tell[:]...)
	nonce := make([]byte, key.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out = append(out, nonce...)
	return key.aead.Seal(out, nonce, value, b.bytes())
}

// open gives errUnknownKey, errUnsealed or errForged.
func (s *Sealer) open(b binding, stored []byte) ([]byte, error) {
	switch {
	case len(stored) == 0:
		return nil, errForged
	case stored[0] == markPlain && s == nil:
		return stored[1:], nil
	case stored[0] == markPlain:
		return nil, errUnsealed
	case stored[0] != markSealed || len(stored) < 1+len(sealingKey{}.tell):
		return nil, errForged
	case s == nil:
		return nil, errUnknownKey
	}
	tell, rest := [4]byte(stored[1:5]), stored[5:]
	found := false
	for _, key := range s.keys {
		if key.tell != tell || len(rest) < key.aead.NonceSize() {
			continue
		}
		found = true
		n := key.aead.NonceSize()
		if value, err := key.aead.Open(nil, rest[:n], rest[n:], b.bytes()); err == nil {
			return value, nil
		}
	}
	if !found {
		return nil, errUnknownKey
	}
	return nil, errForged
}
