package entry

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"sidecar/internal/httpfield"
)

// ErrDamaged is returned for bytes that are not one complete, undamaged record of the wanted kind.
var ErrDamaged = errors.New("entry: damaged, or no entry")

// Decode reads an entry. Its body is a part of b, which must not change any more, unless it had to
// be decompressed: then it has an allocation of its own. A body of more than limit bytes, unless
// it is in chunks, is an error and is not decompressed: a writer to Redis can claim any size.
func Decode(b []byte, limit int64) (*Entry, error) {
	if KindOf(b) != KindEntry || !isWhole(b) {
		return nil, ErrDamaged
	}
	r := reader{rest: b[metaStart:]}
	e := &Entry{
		Status:       r.int(),
		ResponseTime: Instant(r.signed()),
		InitialAge:   time.Duration(r.signed()),
		Lifetime:     time.Duration(r.signed()),
		Until:        Instant(r.signed()),
		Offset:       r.signed(),
		Total:        r.signed(),
		Vary:         r.names(),
		Cookies:      r.names(),
	}
	headSize := r.int()
	how, size := form(r.byte()), r.size()
	head := r.take(headSize)
	if r.bad || !isFinal(e.Status) || !areTokens(e.Vary) || !isHead(head) {
		return nil, ErrDamaged
	}
	e.head = string(head)
	if how == chunks {
		e.Chunks = r.chunks(size)
		if e.Chunks == nil || e.Offset != 0 || e.Total != 0 { // a part is never in chunks
			return nil, ErrDamaged
		}
		return e, nil
	}
	if size > min(limit, math.MaxInt32) ||
		!e.unpack(how, int(size), r.rest) || !e.isPlaced() {
		return nil, ErrDamaged
	}
	return e, nil
}

// unpack sets the body of size bytes. It reports success.
func (e *Entry) unpack(how form, size int, stored []byte) (ok bool) {
	switch {
	case how == plain && size == len(stored):
		e.Body, e.view = stored[:size:size], true
		return true
	case how == zstandard && size/maxRatio <= len(stored):
		e.Body, ok = appendDecoded(make([]byte, 0, size+slack), stored, size)
		return ok
	}
	return false
}

// ShareBody makes e use the body of another entry, with the same content.
func (e *Entry) ShareBody(other *Entry) { e.Body, e.view = other.Body, other.view }

// isPlaced reports whether the body lies within the limits of Offset and Total.
func (e *Entry) isPlaced() bool {
	if e.Total == 0 {
		return e.Offset == 0
	}
	return e.Offset >= 0 && e.Offset <= e.Total && int64(len(e.Body)) <= e.Total-e.Offset
}

// isWhole reports whether the checksum of a record with a complete preamble is right.
func isWhole(b []byte) bool { return binary.LittleEndian.Uint32(b[preamble:]) == checksum(b) }

func areTokens(names []string) bool {
	for _, name := range names {
		if !httpfield.IsToken(name) {
			return false
		}
	}
	return true
}

// A reader cuts values off the front of a record. After the first value that is missing or
// malformed, bad is set and all further values are zero.
type reader struct {
	rest []byte
	bad  bool
}

// int reads a non-negative number that fits the int of any machine.
func (r *reader) int() int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt32 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

func (r *reader) size() int64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > math.MaxInt64 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int64(v)
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// take returns the next n bytes, as a view.
func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// names reads a list of non-empty names; nil if the list is empty.
func (r *reader) names() []string {
	n := r.int()
	if n > len(r.rest)/2 { // a name takes two bytes at least: its length and one byte
		r.fail()
	}
	if r.bad || n == 0 {
		return nil
	}
	var names []string
	for range n {
		name := string(r.take(r.int()))
		if name == "" {
			r.fail()
			return nil
		}
		names = append(names, name)
	}
	return names
}

func (r *reader) fail() { r.rest, r.bad = nil, true }
