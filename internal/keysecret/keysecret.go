// Package keysecret holds the HMAC key of caller digests and entry keys (KEY_SECRET). Where none is
// configured it is made once, in the job store, which evicts nothing.
package keysecret

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

// Times of a secret that is kept in Redis.
const (
	tryEvery   = 250 * time.Millisecond // until it is known
	checkEvery = 15 * time.Second       // whether it is still there
	timeout    = 2 * time.Second
	length     = 32 // bytes
)

// A Secret is the key, or that it is not known yet. It is safe for concurrent use.
type Secret struct {
	value      atomic.Pointer[[]byte]
	configured bool

	conn *redisconn.Conn
	key  string
	log  *slog.Logger
}

// Configured returns the secret with this value.
func Configured(value string) *Secret {
	s := &Secret{configured: true}
	b := []byte(value)
	s.value.Store(&b)
	return s
}

// Kept returns a secret that is kept under key in the Redis of conn. It becomes known while Run
// runs.
func Kept(conn *redisconn.Conn, key string, log *slog.Logger) *Secret {
	return &Secret{conn: conn, key: key, log: log}
}

// Value is the secret; nil while it is not known. It must not be changed.
func (s *Secret) Value() []byte {
	if v := s.value.Load(); v != nil {
		return *v
	}
	return nil
}

// Run makes the secret known, and writes it again where it went missing, until ctx is done.
func (s *Secret) Run(ctx context.Context) {
	if s.configured {
		return
	}
	for {
		wait := checkEvery
		if err := s.agree(ctx); err != nil {
			wait = tryEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// agree takes the secret that is kept, or keeps the one in hand, or a new one.
func (s *Secret) agree(ctx context.Context) error {
	ours := s.Value()
	if ours == nil {
		ours = make([]byte, length)
		_, _ = rand.Read(ours) // never fails: the process ends where there is no randomness
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var kept string
	err := s.conn.Do(ctx, nil, "secret", func(ctx context.Context, c redis.UniversalClient) error {
		if err := c.SetNX(ctx, s.key, ours, 0).Err(); err != nil {
			return err
		}
		var err error
		kept, err = c.Get(ctx, s.key).Result()
		return err
	})
	if err != nil {
		return err
	}
	if len(kept) < length {
		s.log.Error(
			"the key secret in the job store is too short to be one of ours: delete it, or set "+
				"KEY_SECRET", "key", s.key)
		return errors.New("keysecret: too short")
	}
	known := s.Value()
	if string(known) == kept {
		return nil // plans that were made with it hold
	}
	if known != nil {
		s.log.Warn("the key secret in the job store is another than before: private entries " +
			"start cold, and earlier jobs cannot be asked for")
	}
	b := []byte(kept)
	s.value.Store(&b)
	return nil
}

// Report is this package's part of /status: the origin of the secret, and never its value.
func (s *Secret) Report(context.Context) (name string, value any, degraded []string) {
	switch {
	case s.configured:
		return "key_secret", "configured", nil
	case s.Value() == nil:
		return "key_secret", "unknown",
			[]string{"the key secret is not known: the job store is away, and nothing is cached " +
				"and no job taken"}
	}
	return "key_secret",
		"kept in the job store: who can read that Redis can test guesses at credentials; set KEY_SECRET", nil
}
