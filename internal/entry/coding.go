package entry

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A form says how a record holds the body.
type form byte

const (
	plain     form = 0 // unchanged
	zstandard form = 1 // one zstd frame
	chunks    form = 2 // in chunks, each a record of its own; this one names them
)

const (
	codeAbove = 1 << 10 // bytes; compressing a shorter body does not pay
	// maxRatio bounds the compression ratio, and with it the memory that a record can make Decode
	// allocate. A body that compresses further is stored uncompressed.
	maxRatio = 1 << 10
	// window is the size of the compression window, in bytes. The repetitions of JSON lie near.
	window = 256 << 10
	// slack is the spare room behind its output that lets the decoder copy whole words.
	slack = 16
)

// appendCoded appends the compressed body to dst. ok is false if compressing does not pay or the
// backend has coded the body; dst's own bytes are unchanged in any case.
func (e *Entry) appendCoded(dst []byte) (coded []byte, ok bool) {
	if e.isCoded() {
		return nil, false
	}
	coded, ok = appendCoded(dst, e.Body)
	return coded, ok && len(e.Body) <= (len(coded)-len(dst))*maxRatio
}

func (e *Entry) isCoded() bool { return hasLine(e.head, "Content-Encoding") }

// appendCoded appends the compressed content to dst. ok is false if that does not pay; dst's own
// bytes are unchanged in any case.
func appendCoded(dst, content []byte) (coded []byte, ok bool) {
	if len(content) <= codeAbove {
		return nil, false
	}
	z := encoders.Get().(*zstd.Encoder)
	defer encoders.Put(z)
	coded = z.EncodeAll(content, dst)
	return coded, len(coded)-len(dst) < len(content)
}

// appendDecoded appends the decompressed content to dst, which must have room for size and slack.
// ok is false if the content is not exactly size bytes long.
func appendDecoded(dst, coded []byte, size int) (decoded []byte, ok bool) {
	z := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(z)
	begin := len(dst)
	dst, err := z.DecodeAll(coded, dst[:begin:begin+size+slack])
	return dst, err == nil && len(dst)-begin == size
}

// The codecs keep no state between uses.
var (
	encoders = sync.Pool{New: func() any {
		return must(zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(window),
			zstd.WithLowerEncoderMem(true)))
	}}
	decoders = sync.Pool{New: func() any {
		return must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true)))
	}}
)

// must panics on an error: the options are constants, so it would be a fault in this file.
func must[T any](codec T, err error) T {
	if err != nil {
		panic(err)
	}
	return codec
}
