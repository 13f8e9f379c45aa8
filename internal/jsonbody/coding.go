package jsonbody

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// IsJSON reports whether a Content-Type is that of JSON in UTF-8, which RFC 8259 §8.1 demands: then
// the API reads the content as JSON, and in no other way.
func IsJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	charset, named := params["charset"]
	isUTF8 := !named || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
	return isUTF8 && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// maxWindow bounds the memory of a brotli decoder, as the logarithm of its bytes: 4 MiB, the
// default of encoders.
const maxWindow = 22

// brotliWindow is the logarithm of the window that a brotli stream asks for (RFC 7932 §9.1).
func brotliWindow(first byte) int {
	switch low, high := int(first>>1&7), int(first>>4&7); {
	case first&1 == 0:
		return 16
	case low != 0:
		return 17 + low
	case high != 0:
		return 8 + high
	}
	return 17
}

// Unpack is content without its coding (RFC 9110 §8.4). It reads gzip, br and zstd. ok is false for
// any other coding, for broken content, and for more than limit bytes.
func Unpack(content []byte, coding string, limit int64) (unpacked []byte, ok bool) {
	defer func() {
		if recover() != nil { // a decoder found more broken than it expects
			unpacked, ok = nil, false
		}
	}()
	var r io.Reader
	switch strings.ToLower(strings.TrimSpace(coding)) {
	case "", "identity":
		return content, true
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, false
		}
		r = z
	case "br":
		if len(content) == 0 || brotliWindow(content[0]) > maxWindow {
			return nil, false
		}
		r = brotli.NewReader(bytes.NewReader(content))
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(content), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(uint64(max(limit, 1<<20))))
		if err != nil {
			return nil, false
		}
		defer z.Close()
		r = z
	default:
		return nil, false
	}
	unpacked, err := io.ReadAll(io.LimitReader(r, limit+1))
	return unpacked, err == nil && int64(len(unpacked)) <= limit
}
