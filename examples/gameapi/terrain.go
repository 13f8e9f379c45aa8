package main

import (
	"encoding/binary"
	"fmt"
	"io"
)

// terrain is a map's image: a portable graymap whose pixels follow from the seed alone, made as
// they are read. A part has the same bytes as in the whole.
type terrain struct {
	head   string
	seed   uint64
	pixels int64
}

func newTerrain(seed uint64, width, height int) terrain {
	return terrain{fmt.Sprintf("P5 %d %d 255\n", width, height), seed, int64(width) * int64(height)}
}

func (t terrain) size() int64 { return int64(len(t.head)) + t.pixels }

// reader returns a reader of the image.
func (t terrain) reader() io.ReadSeeker { return io.NewSectionReader(t, 0, t.size()) }

// ReadAt implements io.ReaderAt.
func (t terrain) ReadAt(b []byte, offset int64) (n int, err error) {
	if offset < int64(len(t.head)) {
		n = copy(b, t.head[offset:])
	}
	for n < len(b) && offset+int64(n) < t.size() {
		pixel := offset + int64(n) - int64(len(t.head))
		var block [8]byte
		binary.LittleEndian.PutUint64(block[:], mix(t.seed+uint64(pixel/8)))
		left := t.pixels - pixel
		n += copy(b[n:], block[pixel%8:min(8, pixel%8+left)])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// mix spreads each bit of x over the whole (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
