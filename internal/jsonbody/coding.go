package jsonbody

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"strings"

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

// Unpack is content without its coding (RFC 9110 §8.4). It reads gzip and zstd. ok is false for any
// other coding, for broken content, and for more than limit bytes.
func Unpack(content []byte, coding string, limit int64) (unpacked []byte, ok bool) {
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
