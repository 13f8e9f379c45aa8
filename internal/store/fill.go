package store

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
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
	opened *coherence.Opened
}

// Begin opens the tokens that the answer will carry: those of the query, and of the names known from an earlier answer.
// guards are those of the names that the answer may give. It must be called before the backend request is sent. On an
// error there is nothing to keep: the answer passes by.
func (s *Store) Begin(ctx context.Context, b *redisconn.Budget, q Query, known, guards []cachekeys.Tag) (*Fill, error) {
	opened, err := s.keyspace.Open(ctx, b, q.Carried, known, guards, tokenTTL)
	if err != nil {
		return nil, err
	}
	return &Fill{store: s, query: q, opened: opened}, nil
}

// Names reads what an answer names, once it is complete. Why is not empty if the answer cannot be kept for its names.
type Names func() (names []cachekeys.Tag, why reason.Reason)

// Keep stores e behind the answer, in the background and bounded by the store's time-out. done, called exactly once,
// is told how it ended: "" for stored. The entry must not be changed any more. Call it when the answer is complete and
// before the client can know that it is: a look-up that comes right after the answer then waits for the store.
func (f *Fill) Keep(e *entry.Entry, names Names, done func(reason.Reason)) {
	s := f.store
	select {
	case s.slots <- struct{}{}:
	default:
		done(reason.StoreBusy)
		return
	}
	over := s.pending.begin(f.query.Primary)
	s.stores.Add(1)
	go func() { // Close waits for it, the store's time-out ends it
		defer s.stores.Done()
		defer func() { <-s.slots }()
		defer over()
		ctx, cancel := context.WithTimeout(s.closing, s.timeout)
		defer cancel()
		done(f.keep(ctx, e, names))
	}()
}

func (f *Fill) keep(ctx context.Context, e *entry.Entry, read Names) reason.Reason {
	lifetime := e.Lifetime - e.InitialAge - time.Since(e.ResponseTime)
	if lifetime <= 0 {
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
	case err != nil:
		return reason.StoreFailed
	default:
		rec.payload = e.Encode(nil)
	}
	rec.stamp = f.opened.Stamp
	if err := s.keyspace.Extend(ctx, f.opened, lifetime+tokenTTL); err != nil {
		return reason.StoreFailed
	}
	if err := s.write(ctx, f.query, e.Vary, rec, lifetime); err != nil {
		s.log.Debug("an answer could not be stored", "error", err)
		return reason.StoreFailed
	}
	s.hints.set(f.query.Primary, hint{vary: e.Vary, names: names})
	return why
}

// write sets the record under the key of its variant and, where that is not the primary key, an index there.
func (s *Store) write(ctx context.Context, q Query, vary []string, rec record, ttl time.Duration) error {
	key := cachekeys.Variant(s.secret(), q.Primary, cachekeys.SelectVary(vary, q.Fields))
	return s.conn.Do(ctx, nil, "store", func(ctx context.Context, c redis.UniversalClient) error {
		pipe := c.Pipeline()
		pipe.Set(ctx, s.names.Entry(key), rec.encode(), ttl)
		if len(vary) > 0 {
			index := record{stamp: coherence.Stamp{}, payload: entry.Index{Vary: vary}.Encode(nil)}
			pipe.Set(ctx, s.names.Entry(q.Primary), index.encode(), ttl)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}
