package entry

import (
	"encoding/binary"
	"encoding/hex"
)

// A BodyID identifies one stored body. It is random, so two stores never share chunks.
type BodyID [16]byte

// String is the id in hex, as in keys.
func (id BodyID) String() string { return hex.EncodeToString(id[:]) }

// Chunks locates a body that is too long for one record: chunks of Each bytes and a shorter last
// one, each under a key of its own.
type Chunks struct {
	ID   BodyID
	Size int64 // bytes of the whole body; 1 or more
	Each int   // bytes of a chunk; 1 to MaxChunk
}

// Bounds that a decoded record must keep.
const (
	MaxChunk  = 4 << 20 // bytes
	MaxChunks = 1 << 16
)

// Count is the number of chunks.
func (p *Chunks) Count() int { return int((p.Size + int64(p.Each) - 1) / int64(p.Each)) }

// Of is the number of the chunk with the byte at this offset.
func (p *Chunks) Of(offset int64) int { return int(offset / int64(p.Each)) }

// Begin is the offset of a chunk's first byte. Begin(Count()) lies beyond the last byte.
func (p *Chunks) Begin(nth int) int64 { return int64(nth) * int64(p.Each) }

// Len is the length of a chunk in bytes.
func (p *Chunks) Len(nth int) int { return int(min(int64(p.Each), p.Size-p.Begin(nth))) }

// append writes the part of an entry's record that replaces the body; Size stands before it.
func (p *Chunks) append(b []byte) []byte {
	return binary.AppendUvarint(append(b, p.ID[:]...), uint64(p.Each))
}

// chunks is the inverse of append; nil if a value is out of bounds.
func (r *reader) chunks(size int64) *Chunks {
	p := &Chunks{Size: size}
	copy(p.ID[:], r.take(len(p.ID)))
	p.Each = r.int()
	if r.bad || len(r.rest) > 0 || size < 1 || p.Each < 1 || p.Each > MaxChunk ||
		(size-1)/int64(p.Each) >= MaxChunks {
		return nil
	}
	return p
}

// EncodeChunk appends the record of the nth chunk of e's body to dst. The content is compressed if
// that pays and the backend has not coded it. The record is at most about 35 bytes longer than
// content.
func (e *Entry) EncodeChunk(dst []byte, id BodyID, nth int, content []byte) []byte {
	begin := len(dst)
	dst = appendPreamble(dst, KindChunk)
	dst = append(dst, id[:]...)
	dst = binary.AppendUvarint(dst, uint64(nth))
	form := len(dst) // patched below
	dst = append(dst, byte(plain))
	dst = binary.AppendUvarint(dst, uint64(len(content)))
	coded, ok := []byte(nil), false
	if !e.isCoded() {
		coded, ok = appendCoded(dst, content)
	}
	if ok {
		dst = coded
		dst[form] = byte(zstandard)
	} else {
		dst = append(dst, content...)
	}
	return seal(dst, begin)
}

// Decode reads the nth chunk. content is a view of b or, if it was compressed, of room, which grows
// as needed; it is valid until either is reused. The error is ErrDamaged for any record but this
// chunk's. Decode allocates at most about MaxChunk bytes.
func (p *Chunks) Decode(b []byte, nth int, room *[]byte) (content []byte, err error) {
	if KindOf(b) != KindChunk || !isWhole(b) {
		return nil, ErrDamaged
	}
	r := reader{rest: b[metaStart:]}
	id, number := r.take(len(p.ID)), r.int()
	how, size := form(r.byte()), r.int()
	if r.bad || string(id) != string(p.ID[:]) || number != nth || size != p.Len(nth) {
		return nil, ErrDamaged
	}
	switch {
	case how == plain && size == len(r.rest):
		return r.rest[:size:size], nil
	case how == zstandard:
		if cap(*room) < size+slack {
			*room = make([]byte, 0, size+slack)
		}
		if content, ok := appendDecoded((*room)[:0], r.rest, size); ok {
			return content, nil
		}
	}
	return nil, ErrDamaged
}
