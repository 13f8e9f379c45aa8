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
	"sidecar/internal/lease"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
)

// tokenTTL is how long tokens live at the least, and how much longer than the entry that carries them.
const tokenTTL = time.Hour

// A Fill is one answer on its way into the store: begun before the backend request, which is what makes it safe
// however late it is kept. One that is not kept needs no end.
type Fill struct {
	store  *Store
	query  Query
	key    cachekeys.Digest // of the variant that the request is expected to select
	opened *coherence.Opened
	lease  *lease.Lease // to fetch for all processes; nil: nobody was asked
	began  moment
	solo   bool // its answer is not to be shared

	release context.CancelFunc // of what Hold holds; nil: nothing
}

// Begin opens the tokens that the answer will carry: those of the query, and of names, which an earlier answer gave.
// guards are those of the names that the answer may give, loose those of names that none is known to give. It must be called before the backend request is sent. On an
// error there is nothing to keep: the answer passes by.
//
// With collapse, it also asks whether another process fetches the same already (Turn). Where this process is to lead it, the lease is
// given back by Keep, or by Abandon.
func (s *Store) Begin(ctx context.Context, b *redisconn.Budget, q Query, names, guards, loose []cachekeys.Tag, collapse bool) (*Fill, error) {
	q = q.given()
	known := s.hints.get(q.Primary)
	f := &Fill{store: s, query: q, key: s.variantOf(known.vary, q), began: s.moment(), solo: !collapse || time.Now().Before(known.solo)}
	opening := coherence.Opening{Rules: q.Rules, Carried: q.Carried, Known: names, Guards: guards, Unseen: loose, TTL: tokenTTL + q.TTL}
	if !f.solo {
		f.lease = s.leases.New(lease.Request{Key: s.names.Lease(f.key)})
		opening.Sequel = f.lease // the tokens are its note: another process compares them with its own
	}
	var err error
	f.opened, err = s.keyspace.Open(ctx, b, opening)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Storable reports whether the answer may be kept: while a write to one of its tags is under way it may not.
func (f *Fill) Storable() bool { return f.opened.Storable() }

// Holds reports whether what was found was not written to before f began. If it was, it is as a dead one.
func (f *Fill) Holds(found Found) bool { return found.Entry != nil && f.opened.Holds(found.stamp) }

// Names reads what an answer names, once it is complete. Why is not empty if the answer cannot be kept for its names.
type Names func() (names []cachekeys.Tag, why reason.Reason)

// Keep stores e behind the answer, for its lifetime and retain beyond it, in the background and bounded by the store's time-out. done, called exactly once,
// is told how it ended: "" for stored. The entry must not be changed any more. Call it when the answer is complete and
// before the client can know that it is: a look-up that comes right after the answer then waits for the store.
func (f *Fill) Keep(e *entry.Entry, retain time.Duration, names Names, done func(reason.Reason)) {
	s := f.store
	select {
	case s.slots <- struct{}{}:
	default:
		f.Abandon()
		done(reason.StoreBusy)
		return
	}
	over := s.pending.begin(f.query.Primary)
	s.stores.Add(1)
	go func() { // Close waits for it, the store's time-out ends it
		defer s.stores.Done()
		defer func() { <-s.slots }()
		defer over()
		defer f.letGo()
		ctx, cancel := context.WithTimeout(s.closing, s.timeout)
		defer cancel()
		defer f.lease.Release(ctx) // where nothing was stored, others look again at once
		done(f.keep(ctx, e, retain, names))
	}()
}

func (f *Fill) keep(ctx context.Context, e *entry.Entry, retain time.Duration, read Names) reason.Reason {
	lifetime := e.Fresh(time.Now()) + retain
	if !e.Until.IsZero() {
		lifetime = min(lifetime, time.Until(e.Until))
	}
	if lifetime < time.Millisecond { // Redis counts in these
		return reason.AgeExceedsLife
	}
	names, why := read()
	if why != "" {
		return why
	}
	s := f.store
	rec := record{names: names}
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
	placed := f.query.placed(e)
	replaced, err := s.keepPieces(ctx, placed, e, lifetime)
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

// write sets the record under the key of its variant and, where that is not the primary key, an index there; and gives the lease back. placed is the query under
// the key where e belongs. It returns the variants that the index names.
func (s *Store) write(ctx context.Context, f *Fill, placed Query, e *entry.Entry, rec record, ttl time.Duration) (variants []entry.Variant, err error) {
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
		pipe.Set(ctx, s.names.Entry(key), rec.encode(), ttl)
		if len(e.Vary) > 0 {
			pipe.Set(ctx, s.names.Entry(placed.Primary), indexRecord(entry.Index{Vary: e.Vary, Variants: variants}), ttl)
		}
		s.writeSearch(ctx, pipe, f.query, placed, ttl)
		f.lease.ReleaseIn(ctx, pipe)
		_, err := pipe.Exec(ctx)
		return err
	})
	return variants, err
}

func indexRecord(x entry.Index) []byte {
	return record{stamp: coherence.Stamp{}, payload: x.Encode(nil)}.encode()
}

// Drop takes an entry out, of which something better is known: it is looked for in vain, here and where other processes look into Redis.
func (s *Store) Drop(ctx context.Context, b *redisconn.Budget, key cachekeys.Digest) {
	if s.memory != nil {
		s.memory.Delete(key)
	}
	_ = s.conn.Do(ctx, b, "drop", func(ctx context.Context, c redis.UniversalClient) error { // if it fails, it stays until it is stale
		return c.Del(ctx, s.names.Entry(key)).Err()
	})
}

func (s *Store) variantOf(vary []string, q Query) cachekeys.Digest {
	return cachekeys.Variant(s.secret(), q.Primary, cachekeys.SelectVary(vary, q.Fields))
}

// letGo ends what Hold began.
func (f *Fill) letGo() {
	if f.release != nil {
		f.release()
	}
}

// Abandon says that nothing will be kept. It waits for nothing, and does nothing on a nil Fill.
func (f *Fill) Abandon() {
	if f == nil {
		return
	}
	f.letGo()
	if f.lease.State() == lease.None {
		return
	}
	s := f.store
	s.stores.Go(func() { // Close waits for it, the time-out ends it
		ctx, cancel := context.WithTimeout(s.closing, s.timeout)
		defer cancel()
		f.lease.Release(ctx)
	})
}
