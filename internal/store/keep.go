package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/tracing"
)

// Names reads the surrogate keys of a complete answer. Why is not empty if the answer cannot be
// kept for its names.
type Names func() (names []cachekeys.Tag, why reason.Reason)

// Keep stores e behind the answer, in the background and bounded by the store's time-out: for its
// lifetime and retain beyond it. The lease is given back with the store. e must not be changed any
// more. Call it when the answer is complete and before the client can know that it is: a look-up
// that comes right after the answer then waits for the store.
//
// done is called once and told how it ended: "" for stored. After GiveUp or End, and on a second
// call, Keep does nothing.
func (f *Fill) Keep(e *entry.Entry, retain time.Duration, names Names, done func(reason.Reason)) {
	f.mu.Lock()
	takesOver := !f.ended && !f.kept
	f.kept = f.kept || takesOver
	f.mu.Unlock()
	if !takesOver {
		return
	}
	s := f.store
	select {
	case s.slots <- struct{}{}:
	default:
		f.giveBack()
		done(reason.StoreBusy)
		return
	}
	over := s.pending.begin(f.query.Primary)
	s.stores.Go(func() { // Close waits for it, the store's time-out ends it
		defer func() { <-s.slots }()
		defer over()
		defer f.stopRenewing()
		ctx, cancel := context.WithTimeout(s.closing, s.timeout)
		defer cancel()
		defer f.lease.Release(ctx) // where nothing was stored, others look again at once
		done(f.keep(tracing.With(ctx, f.span), e, retain, names))
	})
}

func (f *Fill) keep(ctx context.Context, e *entry.Entry, retain time.Duration,
	read Names) reason.Reason {
	lifetime := e.Fresh(time.Now()) + retain
	if e.Until != 0 {
		lifetime = min(lifetime, time.Until(e.Until.Time()))
	}
	if lifetime < time.Millisecond { // Redis counts in these
		return reason.AgeExceedsLife
	}
	names, why := read()
	if why != "" {
		return why
	}
	s, placed := f.store, f.query.placed(e)
	if !s.supersedes(ctx, f, placed, e) {
		return reason.FreshSuccess
	}
	rec := envelope{names: names}
	switch err := s.keyspace.Learn(ctx, f.opened, names); {
	case errors.Is(err, coherence.ErrGuardChanged):
		why = reason.NamesLearned // without a body: the next fill opens the names first
	case errors.Is(err, coherence.ErrGenerationChanged):
		return reason.RedisChanged
	case err != nil:
		return reason.StoreFailed
	default:
		rec.payload = e.Encode(nil)
	}
	rec.stamp = f.opened.Stamp
	if err := s.keyspace.Extend(ctx, f.opened, lifetime+tokenTTL); err != nil {
		return reason.StoreFailed
	}
	replaced, err := s.keepChunks(ctx, placed, e, lifetime)
	if errors.Is(err, ErrBodyLost) {
		return reason.BodyLost
	}
	if err != nil {
		return reason.StoreFailed
	}
	variants, err := s.write(ctx, f, placed, e, rec, lifetime)
	if err != nil {
		s.log.Debug("an answer could not be stored", "error", err)
		return reason.StoreFailed
	}
	s.retire(ctx, replaced)
	s.hints.set(placed.Primary, hint{vary: e.Vary, names: names, variants: variants})
	if why == "" {
		s.toMemory(placed, s.variantOf(e.Vary, placed), f.began, e, rec.stamp)
	}
	return why
}

// write sets the record under the key of its variant and, where that is not the primary key, an
// index there; and gives the lease back. placed is the query under the key where e belongs. It
// returns the variants that the index names.
func (s *Store) write(
	ctx context.Context, f *Fill, placed Query, e *entry.Entry, rec envelope, ttl time.Duration,
) (variants []entry.Variant, err error) {
	key := s.variantOf(e.Vary, placed)
	if len(e.Vary) > 0 {
		index := entry.Index{Vary: e.Vary}
		if known := s.hints.get(placed.Primary); slices.Equal(known.vary, e.Vary) {
			index.Variants = known.variants
		}
		variant := entry.Variant{Key: key}
		if etag, ok := httpcache.StrongTag(e); ok { // it may be dead when somebody asks about it
			variant.ETag = etag
		}
		variants = index.With(variant)
	}
	err = s.conn.Do(ctx, nil, "store", func(ctx context.Context, c redis.UniversalClient) error {
		pipe := c.Pipeline()
		at := s.names.Entry(key)
		pipe.Set(ctx, at, rec.encode(at), ttl)
		if len(e.Vary) > 0 {
			s.setIndex(ctx, pipe, placed.Primary,
				entry.Index{Vary: e.Vary, Variants: variants}, ttl)
		}
		s.writeSearch(ctx, pipe, f.query, placed, ttl)
		f.lease.ReleaseIn(ctx, pipe)
		_, err := pipe.Exec(ctx)
		return err
	})
	return variants, err
}

// setIndex writes an index under a primary key.
func (s *Store) setIndex(ctx context.Context, pipe redis.Pipeliner, primary cachekeys.Digest,
	x entry.Index, ttl time.Duration) {
	at := s.names.Entry(primary)
	pipe.Set(ctx, at, envelope{stamp: coherence.Stamp{}, payload: x.Encode(nil)}.encode(at), ttl)
}

// Drop removes an entry that is superseded: it is looked for in vain, here and
// where other processes look into Redis.
func (s *Store) Drop(ctx context.Context, b *redisconn.Budget, key cachekeys.Digest) {
	if s.memory != nil {
		s.memory.Delete(key)
	}
	// if it fails, it stays until it is stale
	_ = s.conn.Do(ctx, b, "drop", func(ctx context.Context, c redis.UniversalClient) error {
		return c.Del(ctx, s.names.Entry(key)).Err()
	})
}
