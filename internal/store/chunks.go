package store

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/entry"
)

// readingTTL is how much longer chunks live than the record that refers to them, and how long
// after another record has taken its place: for those who have begun to read.
const readingTTL = 5 * time.Minute

// keepChunks makes the chunks of e's body live for as long as the record that is about to refer
// to them, and a little longer. They may have been written for this record, or for an earlier one
// with the same body; placed is the query under the key where it belongs. It returns the chunks
// that the record now under its key refers to, if they are others: retire them when that is
// replaced. It does nothing where the body does not lie in chunks, and gives ErrBodyLost where
// one is gone already.
func (s *Store) keepChunks(ctx context.Context, placed Query, e *entry.Entry,
	ttl time.Duration) (replaced *entry.Chunks, err error) {
	if e.Chunks == nil {
		return nil, nil
	}
	at := s.names.Entry(s.variantOf(e.Vary, placed))
	kept := make([]*redis.BoolCmd, 0, e.Chunks.Count())
	var old *redis.StringCmd
	err = s.conn.Do(ctx, nil, "chunks", func(ctx context.Context, c redis.UniversalClient) error {
		pipe := c.Pipeline()
		for _, key := range s.chunkKeys(e.Chunks.ID, e.Chunks.Count()) {
			kept = append(kept, pipe.PExpire(ctx, key, ttl+readingTTL))
		}
		// the last: its own error hides no other's
		old = pipe.Get(ctx, at)
		_, err := pipe.Exec(ctx)
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			return nil // a stranger's, to be overwritten
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case slices.ContainsFunc(kept, func(c *redis.BoolCmd) bool { return !c.Val() }):
		return nil, ErrBodyLost
	}
	if replaced = chunksOf(old.Val(), at); replaced != nil && replaced.ID == e.Chunks.ID {
		replaced = nil
	}
	return replaced, nil
}

// chunksOf are the chunks that a record refers to; nil if it refers to none.
func chunksOf(value, key string) *entry.Chunks {
	if rec := parse(value, key); rec != nil {
		if e, err := entry.Decode(rec.payload, 0); err == nil {
			return e.Chunks
		}
	}
	return nil
}

// retire lets chunks go that no record refers to any more, but not from under those who are
// reading them. Where it fails they go with their time.
func (s *Store) retire(ctx context.Context, p *entry.Chunks) {
	if p == nil {
		return
	}
	_ = s.conn.Do(ctx, nil, "chunks", func(ctx context.Context, c redis.UniversalClient) error {
		pipe := c.Pipeline()
		for _, key := range s.chunkKeys(p.ID, p.Count()) {
			pipe.PExpire(ctx, key, readingTTL)
		}
		_, err := pipe.Exec(ctx)
		return err
	})
}

// deleteChunks deletes the first n chunks of a body that nobody reads yet. Where it fails they go
// with their time.
func (s *Store) deleteChunks(ctx context.Context, id entry.BodyID, n int) {
	if n == 0 {
		return
	}
	_ = s.conn.Do(ctx, nil, "chunks", func(ctx context.Context, c redis.UniversalClient) error {
		return c.Del(ctx, s.chunkKeys(id, n)...).Err() // they lie on one slot
	})
}

// chunkKeys are the keys of the first n chunks of a body.
func (s *Store) chunkKeys(id entry.BodyID, n int) []string {
	keys, text := make([]string, n), id.String()
	for i := range keys {
		keys[i] = s.names.Chunk(text, i)
	}
	return keys
}
