package entry

import (
	"encoding/binary"
	"encoding/hex"
)

// A PieceID is that of one store of one body. It is random: no two stores have the same one.
type PieceID [16]byte

// String is the id as it stands in keys.
func (id PieceID) String() string { return hex.EncodeToString(id[:]) }

// Pieces say where a body lies that is too long for one record: in pieces of Each bytes and a last one of what is left, each under a key of its own.
type Pieces struct {
	ID   PieceID
	Size int64 // bytes of the whole body; 1 or more
	Each int   // bytes of a piece; 1 to MaxPiece
}

// Bounds of what is believed of a record.
const (
	MaxPiece  = 4 << 20 // bytes
	MaxPieces = 1 << 16
)

// Count is how many pieces there are.
func (p *Pieces) Count() int { return int((p.Size + int64(p.Each) - 1) / int64(p.Each)) }

// Of is the number of the piece that has the byte at this offset.
func (p *Pieces) Of(offset int64) int { return int(offset / int64(p.Each)) }

// Begin is the offset of a piece's first byte; of Count, it is beyond the last one.
func (p *Pieces) Begin(nth int) int64 { return int64(nth) * int64(p.Each) }

// Len is how many bytes a piece has.
func (p *Pieces) Len(nth int) int { return int(min(int64(p.Each), p.Size-p.Begin(nth))) }

// append writes what an entry's record holds instead of its body; Size stands before it.
func (p *Pieces) append(b []byte) []byte {
	return binary.AppendUvarint(append(b, p.ID[:]...), uint64(p.Each))
}

// pieces reads what append has written; nil if it says what cannot be.
func (r *reader) pieces(size int64) *Pieces {
	p := &Pieces{Size: size}
	copy(p.ID[:], r.take(len(p.ID)))
	p.Each = r.int()
	if r.bad || len(r.rest) > 0 || size < 1 || p.Each < 1 || p.Each > MaxPiece || (size-1)/int64(p.Each) >= MaxPieces {
		return nil
	}
	return p
}

// EncodePiece appends the nth piece of a body of e's, in its stored form, to dst: coded, where that pays and the backend has not coded the body. Beyond
// content it takes about 35 bytes.
func (e *Entry) EncodePiece(dst []byte, id PieceID, nth int, content []byte) []byte {
	begin := len(dst)
	dst = appendPreamble(dst, KindPiece)
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

// Decode reads the nth piece. content is a view of b or, if it had to be unpacked, of room, which is made larger where needed: it holds until either
// is used for the next. The error is ErrDamaged for everything but this very piece. At most MaxPiece bytes are allocated, and a few.
func (p *Pieces) Decode(b []byte, nth int, room *[]byte) (content []byte, err error) {
	if KindOf(b) != KindPiece || !isWhole(b) {
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
