package entry

import (
	"encoding/binary"
	"encoding/hex"
)

// A BodyID is that of one store of one body. It is random: no two stores have the same one.
type BodyID [16]byte

// String is the id as it stands in keys.
func (id BodyID) String() string { return hex.EncodeToString(id[:]) }

// Chunks say where a body lies that is too long for one record: in chunks of Each bytes and a last one of what is left, each under a key of its own.
type Chunks struct {
	ID   BodyID
	Size int64 // bytes of the whole body; 1 or more
	Each int   // bytes of a chunk; 1 to MaxChunk
}

// Bounds of what is believed of a record.
const (
	MaxChunk  = 4 << 20 // bytes
	MaxChunks = 1 << 16
)

// Count is how many chunks there are.
func (p *Chunks) Count() int { return int((p.Size + int64(p.Each) - 1) / int64(p.Each)) }

// Of is the number of the chunk that has the byte at this offset.
func (p *Chunks) Of(offset int64) int { return int(offset / int64(p.Each)) }

// Begin is the offset of a chunk's first byte; of Count, it is beyond the last one.
func (p *Chunks) Begin(nth int) int64 { return int64(nth) * int64(p.Each) }

// Len is how many bytes a chunk has.
func (p *Chunks) Len(nth int) int { return int(min(int64(p.Each), p.Size-p.Begin(nth))) }

// append writes what an entry's record holds instead of its body; Size stands before it.
func (p *Chunks) append(b []byte) []byte {
	return binary.AppendUvarint(append(b, p.ID[:]...), uint64(p.Each))
}

// chunks reads what append has written; nil if it says what cannot be.
func (r *reader) chunks(size int64) *Chunks {
	p := &Chunks{Size: size}
	copy(p.ID[:], r.take(len(p.ID)))
	p.Each = r.int()
	if r.bad || len(r.rest) > 0 || size < 1 || p.Each < 1 || p.Each > MaxChunk || (size-1)/int64(p.Each) >= MaxChunks {
		return nil
	}
	return p
}

// EncodeChunk appends the nth chunk of a body of e's, in its stored form, to dst: coded, where that pays and the backend has not coded the body. Beyond
// content it takes about 35 bytes.
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

// Decode reads the nth chunk. content is a view of b or, if it had to be unpacked, of room, which is made larger where needed: it holds until either
// is used for the next. The error is ErrDamaged for everything but this very chunk. At most MaxChunk bytes are allocated, and a few.
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
