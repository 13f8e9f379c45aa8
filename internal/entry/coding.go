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
	chunks    form = 2 // in chunks, each a record of its own: this one says where
)

const (
	codeAbove = 1 << 10 // bytes; a shorter body is not worth the time
	// maxRatio bounds what an entry may unpack to, in bytes for each of its own: no allocation is larger than
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
	if e.isCoded() {
		return nil, false
	}
	coded, ok = appendCoded(dst, e.Body)
	return coded, ok && len(e.Body) <= (len(coded)-len(dst))*maxRatio
}

// isCoded reports whether the backend has coded the body.
func (e *Entry) isCoded() bool { return hasLine(e.head, "Content-Encoding") }

// appendCoded appends content coded to dst. ok is false if that is not worth it; what dst holds is unchanged then.
func appendCoded(dst, content []byte) (coded []byte, ok bool) {
	if len(content) <= codeAbove {
		return nil, false
	}
	z := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(z)
	coded = z.EncodeAll(content, dst)
	return coded, len(coded)-len(dst) < len(content)
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
