package jobs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// A hold lets one caller's Idempotency-Key, or the same content, lead to one job.
type hold struct {
	key   string // in Redis; "" for no hold
	id    string // of the job
	print string // of the request: the same key with another is an error of the client
	// life is how long it holds from the submission on; 0: as long as the job is kept.
	life time.Duration
}

// newHold returns the hold of s for the job id; the zero hold without an owner, or where neither
// the client's key nor the route's unique_for asks for one. Without credentials two clients with
// the same key cannot be told apart, so the key only goes on to the backend.
func (j *Jobs) newHold(s Submission, id string) hold {
	if s.Owner == "" {
		return hold{}
	}
	h := hold{id: id}
	key := []byte(s.Key)
	sum := sha256.New()
	switch {
	case s.Key != "":
		addParts(sum, "idempotency", s.Owner, s.Route, s.Key)
	case s.Job.UniqueFor > 0:
		h.life, key = s.Job.UniqueFor, j.Secret()
		content, _ := j.mac("unique", s.Request.Method, s.Request.Target, string(s.Request.Body))
		addParts(sum, "unique", s.Owner, s.Route, content)
	default:
		return hold{}
	}
	var digest cachekeys.Digest
	copy(digest[:], sum.Sum(nil))
	h.key = j.Names.Idempotency(digest)

	// The HMAC key is never in Redis, so a reader of Redis cannot test guesses of the body.
	mac := hmac.New(sha256.New, key)
	addParts(mac, s.Request.Method, s.Request.Target, string(s.Request.Body))
	h.print = base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
	return h
}

func (h hold) value() string { return h.id + " " + h.print }

// take makes the hold, and returns the one that is there then.
func (j *Jobs) take(ctx context.Context, b *redisconn.Budget, h hold) (hold, fate, error) {
	var there string
	fate, err := once(ctx, j.Redis, b, "job-hold",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			there, err = holdScript.Run(ctx, c, []string{h.key},
				h.lasts().Milliseconds(), h.value()).Text()
			return err
		})
	if err != nil {
		return hold{}, fate, err
	}
	return holdFrom(h, there), fate, nil
}

// holdFrom is the hold under h's key.
func holdFrom(h hold, value string) hold {
	id, print, _ := strings.Cut(value, " ")
	return hold{key: h.key, id: id, print: print, life: h.life}
}

// lasts is how long the key stands in Redis.
func (h hold) lasts() time.Duration {
	if h.life == 0 {
		return pendingLife
	}
	return h.life
}

// release takes the hold back, if it still leads to the same job.
func (j *Jobs) release(ctx context.Context, via Redis, h hold) error {
	if h.key == "" {
		return nil
	}
	return via.Do(ctx, nil, "job-release",
		func(ctx context.Context, c redis.UniversalClient) error {
			return releaseScript.Run(ctx, c, []string{h.key}, h.value()).Err()
		})
}

// addParts writes each part after its length, so that where one ends is certain.
func addParts(to interface{ Write([]byte) (int, error) }, parts ...string) {
	for _, p := range parts {
		var n [binary.MaxVarintLen64]byte
		_, _ = to.Write(n[:binary.PutUvarint(n[:], uint64(len(p)))]) // hashes never fail
		_, _ = to.Write([]byte(p))
	}
}
