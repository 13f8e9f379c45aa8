package entry

import (
	"encoding/binary"
	"hash/crc32"
)

// A Kind is the kind of a record.
type Kind byte

// The kinds. Unknown also stands for records of another version.
const (
	Unknown   Kind = 0
	KindEntry Kind = 'E'
	KindIndex Kind = 'I'
	KindChunk Kind = 'P'
)

const (
	magic     = "sc"
	preamble  = len(magic) + 1 + len(Version)
	metaStart = preamble + crc32.Size
)

// KindOf reads the kind from the preamble of b. It does not check the rest of b.
func KindOf(b []byte) Kind {
	if len(b) < metaStart || string(b[:len(magic)]) != magic ||
		string(b[len(magic)+1:preamble]) != Version {
		return Unknown
	}
	switch k := Kind(b[len(magic)]); k {
	case KindEntry, KindIndex, KindChunk:
		return k
	}
	return Unknown
}

// Encode appends the record of e to dst. The record is about 50 bytes longer than head, body and
// names.
func (e *Entry) Encode(dst []byte) []byte {
	if dst == nil {
		dst = make([]byte, 0, metaStart+128+len(e.head)+len(e.Body))
	}
	begin := len(dst)
	dst = appendPreamble(dst, KindEntry)
	dst = binary.AppendUvarint(dst, uint64(e.Status))
	dst = binary.AppendVarint(dst, int64(e.ResponseTime))
	dst = binary.AppendVarint(dst, int64(e.InitialAge))
	dst = binary.AppendVarint(dst, int64(e.Lifetime))
	dst = binary.AppendVarint(dst, int64(e.Until))
	dst = binary.AppendVarint(dst, e.Offset)
	dst = binary.AppendVarint(dst, e.Total)
	dst = appendNames(dst, e.Vary)
	dst = appendNames(dst, e.Cookies)
	dst = binary.AppendUvarint(dst, uint64(len(e.head)))
	form := len(dst) // patched below
	dst = append(dst, byte(plain))
	dst = binary.AppendUvarint(dst, uint64(e.Size()))
	dst = append(dst, e.head...)
	if e.Chunks != nil {
		dst[form] = byte(chunks)
		dst = e.Chunks.append(dst)
	} else if coded, ok := e.appendCoded(dst); ok {
		dst = coded
		dst[form] = byte(zstandard)
	} else {
		dst = append(dst, e.Body...)
	}
	return seal(dst, begin)
}

func appendPreamble(b []byte, k Kind) []byte {
	b = append(b, magic...)
	b = append(b, byte(k))
	b = append(b, Version...)
	return append(b, 0, 0, 0, 0)
}

func appendNames(b []byte, names []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, name := range names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return b
}

// seal writes the checksum into the complete record that begins at begin.
func seal(b []byte, begin int) []byte {
	binary.LittleEndian.PutUint32(b[begin+preamble:], checksum(b[begin:]))
	return b
}

// checksum covers the whole record but the checksum itself.
func checksum(b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli) // the library's own table, made once
	return crc32.Update(crc32.Checksum(b[:preamble], table), table, b[metaStart:])
}
