package store

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/entry"
	"sidecar/internal/redisconn"
)

// ErrBodyLost means that a chunk of a body is missing or damaged.
var ErrBodyLost = errors.New("store: a chunk of the body is lost")

// A Span is a part of a body: the bytes from First up to End, which it does not have.
type Span struct{ First, End int64 }

// maxKept bounds the bytes of chunks that a Body keeps for later parts.
const maxKept = 1 << 20

// A Body sends parts of an entry's body, wherever it lies. It holds one chunk at a time, and up to
// maxKept bytes of chunks that later parts need once more: so each chunk is read once, also where
// the parts go to and fro. It is for one goroutine.
type Body struct {
	store   *Store
	entry   *entry.Entry
	nth     int          // of the chunk in hand
	content []byte       // the chunk in hand; nil: none
	held    *entry.Entry // keeps content known to others; see sharing

	ahead []Span // parts that are not sent yet
	kept  []remnant
	nKept int // bytes in kept
}

// A remnant is content of a chunk that is not in hand any more, from this offset on.
type remnant struct {
	first   int64
	content []byte
}

// Open gets ready to send these parts of e's body, in their order; there is at least one, and
// none is empty. Of a body in chunks it reads the first chunk that is needed and sees that the
// others are there, in one round trip on b. An error, which is ErrBodyLost or Redis's, means that
// it cannot be sent; nothing is held then.
func (s *Store) Open(ctx context.Context, b *redisconn.Budget, e *entry.Entry,
	parts ...Span) (*Body, error) {
	body := &Body{store: s, entry: e, ahead: parts}
	if e.Chunks == nil {
		return body, nil
	}
	first, others := body.needed(parts)
	var got *redis.StringCmd
	there := &redis.IntCmd{}
	err := s.conn.Do(ctx, b, "chunk", func(ctx context.Context, c redis.UniversalClient) error {
		pipe := c.Pipeline()
		got = pipe.Get(ctx, s.names.Chunk(e.Chunks.ID.String(), first))
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

// needed returns the chunks that the parts are in: the first one that is sent, and the keys of the
// others.
func (b *Body) needed(parts []Span) (first int, others []string) {
	p := b.entry.Chunks
	id, seen := p.ID.String(), make([]bool, p.Count())
	first = p.Of(parts[0].First)
	seen[first] = true
	for _, part := range parts {
		for n := p.Of(part.First); n <= p.Of(part.End-1); n++ {
			if !seen[n] {
				seen[n], others = true, append(others, b.store.names.Chunk(id, n))
			}
		}
	}
	return first, others
}

// WriteRange writes the bytes from first up to end, which it leaves out: one part of those that it
// was opened for, in their order. Of a body in chunks it reads one after the other, each bounded by
// the store's time-out and by ctx. After an error, which is w's, Redis's or ErrBodyLost, w has a
// part of them.
func (b *Body) WriteRange(ctx context.Context, w io.Writer, first, end int64) error {
	p := b.entry.Chunks
	if p == nil {
		_, err := w.Write(b.entry.Body[first:end])
		return err
	}
	if len(b.ahead) > 0 {
		b.ahead = b.ahead[1:]
	}
	for first < end {
		nth := p.Of(first)
		upTo := min(end, p.Begin(nth)+int64(p.Len(nth)))
		content := b.recall(first, upTo)
		if content == nil {
			if err := b.fetch(ctx, nth); err != nil {
				return err
			}
			content = b.content[first-p.Begin(nth) : upTo-p.Begin(nth)]
		}
		n, err := w.Write(content)
		if err != nil {
			return err
		}
		first += int64(n)
	}
	return nil
}

// recall returns kept bytes, which are not needed again; nil: they are not kept.
func (b *Body) recall(first, end int64) []byte {
	for i, k := range b.kept {
		if k.first == first && int64(len(k.content)) == end-first {
			b.kept = slices.Delete(b.kept, i, i+1)
			b.nKept -= len(k.content)
			return k.content
		}
	}
	return nil
}

// keep keeps the bytes of the chunk in hand that later parts need.
func (b *Body) keep() {
	p := b.entry.Chunks
	begin := p.Begin(b.nth)
	for _, part := range b.ahead {
		first, end := max(part.First, begin), min(part.End, begin+int64(len(b.content)))
		if first >= end || b.nKept+int(end-first) > maxKept {
			continue
		}
		b.kept = append(b.kept, remnant{first, slices.Clone(b.content[first-begin : end-begin])})
		b.nKept += int(end - first)
	}
}

// fetch takes a chunk in hand.
func (b *Body) fetch(ctx context.Context, nth int) error {
	if b.content != nil {
		if b.nth == nth {
			return nil
		}
		b.keep()
	}
	ctx, cancel := context.WithTimeout(ctx, b.store.timeout)
	defer cancel()
	var got *redis.StringCmd
	err := b.store.conn.Do(ctx, nil, "chunk",
		func(ctx context.Context, c redis.UniversalClient) error {
			got = c.Get(ctx, b.store.names.Chunk(b.entry.Chunks.ID.String(), nth))
			return got.Err()
		})
	if err != nil {
		return err
	}
	return b.take(nth, got)
}

// rooms are for decompressed chunks.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// take takes a chunk in hand that Redis gave.
func (b *Body) take(nth int, got *redis.StringCmd) error {
	b.content = nil
	record, err := got.Bytes() // no copy
	if err != nil {
		return ErrBodyLost
	}
	room := rooms.Get().(*[]byte)
	content, err := b.entry.Chunks.Decode(record, nth, room)
	if err != nil {
		return ErrBodyLost
	}
	b.held = &entry.Entry{Body: content}
	if b.store.bodies.share(b.held) { // else others may hold these bytes
		rooms.Put(room)
	}
	b.nth, b.content = nth, b.held.Body
	return nil
}
