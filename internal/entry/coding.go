package entry

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A form says how the body stands in the record.
type form byte

const (
	plain     form = 0 // as it is
	zstandard form = 1 // zstd, a frame
	// pieces: the record holds the sizes of pieces that lie under keys of their own. Nobody writes it yet.
	pieces form = 2
)

const (
	codeAbove = 1 << 10 // bytes; a shorter body is not worth the time
	// maxRatio bounds what a record may unpack to, in bytes for each of its own: no allocation is larger than
	// what was stored justifies. A body that would shrink further is stored as it is.
	maxRatio = 1 << 10
	// window bounds what an encoder keeps of a long body, in bytes. The matches of JSON lie near.
	window = 256 << 10
	// slack is what the decoder wants behind its output to copy in whole words.
	slack = 16
)

// appendCoded appends the body coded to dst. ok is false if that is not worth it, or the backend has coded the body
// already; what dst holds is unchanged then.
func (e *Entry) appendCoded(dst []byte) (coded []byte, ok bool) {
	if len(e.Body) <= codeAbove || hasLine(e.head, "Content-Encoding") {
		return nil, false
	}
	z := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(z)
	coded = z.EncodeAll(e.Body, dst)
	size := len(coded) - len(dst)
	return coded, size < len(e.Body) && len(e.Body) <= size*maxRatio
}

// appendDecoded appends what coded unpacks to, to dst, which must have room for size and slack. ok is false if that is
// not size bytes.
func appendDecoded(dst, coded []byte, size int) (decoded []byte, ok bool) {
	z := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(z)
	begin := len(dst)
	dst, err := z.DecodeAll(coded, dst[:begin:begin+size+slack])
	return dst, err == nil && len(dst)-begin == size
}

// The pools hold codecs without state between uses; what nobody uses is collected as garbage.
var (
	encoders = sync.Pool{New: func() any {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true)))
	}}
	decoders = sync.Pool{New: func() any {
		return must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true)))
	}}
)

// must is for options that are constants: an error is a fault in this file.
func must[T any](codec T, err error) T {
	if err != nil {
		panic(err)
	}
	return codec
}
