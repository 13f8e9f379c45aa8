package store

import (
	"context"
	"errors"
	"io"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/entry"
	"sidecar/internal/redisconn"
)

// ErrBodyLost means that a piece of a body is gone, or is not what was stored.
var ErrBodyLost = errors.New("store: a piece of the body is lost")

// A Span is a part of a body: the bytes from First up to End, which it does not have.
type Span struct{ First, End int64 }

// A Body sends what an entry's body holds, wherever it lies, and never holds more than one piece
// of it. It is for one goroutine.
type Body struct {
	store   *Store
	entry   *entry.Entry
	nth     int    // of the piece in hand
	content []byte // the piece in hand; nil: none
	room    []byte
}

// Open gets ready to send these parts of e's body, in their order; there is at least one, and
// none is empty. Of a body in pieces it reads the first piece that is needed and sees that the
// others are there, in one round trip on b. An error, which is ErrBodyLost or Redis's, means that
// it cannot be sent; nothing is held then.
func (s *Store) Open(ctx context.Context, b *redisconn.Budget, e *entry.Entry, parts ...Span) (*Body, error) {
	body := &Body{store: s, entry: e}
	if e.Chunks == nil {
		return body, nil
	}
	first, others := body.needed(parts)
	var got *redis.StringCmd
	there := &redis.IntCmd{}
	err := s.conn.Do(ctx, b, "piece", func(ctx context.Context, c redis.UniversalClient) error {
		pipe := c.Pipeline()
		got = pipe.Get(ctx, s.names.Piece(e.Chunks.ID.String(), first))
		if len(others) > 0 {
			there = pipe.Exists(ctx, others...) // they lie on one slot
		}
		_, err := pipe.Exec(ctx)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case there.Val() != int64(len(others)):
		return nil, ErrBodyLost
	}
	return body, body.take(first, got)
}

// needed says which pieces the parts are in: the first one that is sent, and the keys of the
// others.
func (b *Body) needed(parts []Span) (first int, others []string) {
	p := b.entry.Chunks
	id, seen := p.ID.String(), make([]bool, p.Count())
	first = p.Of(parts[0].First)
	seen[first] = true
	for _, part := range parts {
		for n := p.Of(part.First); n <= p.Of(part.End-1); n++ {
			if !seen[n] {
				seen[n], others = true, append(others, b.store.names.Piece(id, n))
			}
		}
	}
	return first, others
}

// WriteRange writes the bytes from first up to end, which it leaves out. Of a body in pieces it
// reads one after the other, each bounded by the store's time-out and by ctx. After an error,
// which is w's, Redis's or ErrBodyLost, w has got a part of them.
func (b *Body) WriteRange(ctx context.Context, w io.Writer, first, end int64) error {
	p := b.entry.Chunks
	if p == nil {
		_, err := w.Write(b.entry.Body[first:end])
		return err
	}
	for first < end {
		nth := p.Of(first)
		if err := b.fetch(ctx, nth); err != nil {
			return err
		}
		begin := p.Begin(nth)
		n, err := w.Write(b.content[first-begin : min(end-begin, int64(len(b.content)))])
		if err != nil {
			return err
		}
		first += int64(n)
	}
	return nil
}

// fetch takes a piece in hand.
func (b *Body) fetch(ctx context.Context, nth int) error {
	if b.content != nil && b.nth == nth {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	var got *redis.StringCmd
	err := b.store.conn.Do(ctx, nil, "piece", func(ctx context.Context, c redis.UniversalClient) error {
		got = c.Get(ctx, b.store.names.Piece(b.entry.Chunks.ID.String(), nth))
		return got.Err()
	})
	if err != nil {
		return err
	}
	return b.take(nth, got)
}

// take takes a piece in hand that Redis gave.
func (b *Body) take(nth int, got *redis.StringCmd) error {
	b.content = nil
	record, err := got.Bytes() // no copy
	if err != nil {
		return ErrBodyLost
	}
	content, err := b.entry.Chunks.Decode(record, nth, &b.room)
	if err != nil {
		return ErrBodyLost
	}
	b.nth, b.content = nth, content
	return nil
}
