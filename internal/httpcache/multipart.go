package httpcache

import "fmt"

// The body of a 206 with several parts (RFC 9110 §14.6, RFC 2046 §5.1) is, for each part,
// MultipartHead and the bytes of the stored body, and at the end MultipartTail: nothing is
// copied, and its length is known before. Each of these functions has to be called with the same
// boundary: one to 70 letters and digits, random, so that no body has it.
//
// A request for one range is never answered so (RFC 9110 §15.3.7.2), and beside a multipart body
// the response has no Content-Range of its own.

// MultipartType is the Content-Type of the response.
func MultipartType(boundary string) string { return "multipart/byteranges; boundary=" + boundary }

// MultipartHead precedes the bytes of a part of a body of size bytes; first says that it is the
// first one sent. contentType is the Content-Type of the stored response, as it came; "" if it has
// none.
func MultipartHead(boundary, contentType string, p Part, size int64, first bool) []byte {
	var head []byte
	if !first {
		head = append(head, "\r\n"...) // belongs to the delimiter, not to the bytes before
	}
	head = fmt.Appendf(head, "--%s\r\n", boundary)
	if contentType != "" {
		head = fmt.Appendf(head, "Content-Type: %s\r\n", contentType)
	}
	return fmt.Appendf(head, "Content-Range: %s\r\n\r\n", ContentRange(p, size))
}

// MultipartTail follows the bytes of the last part.
func MultipartTail(boundary string) []byte { return fmt.Appendf(nil, "\r\n--%s--\r\n", boundary) }

// MultipartLength is the Content-Length of the response: all heads, parts and the tail.
func MultipartLength(boundary, contentType string, parts []Part, size int64) int64 {
	n := int64(len(MultipartTail(boundary)))
	for i, p := range parts {
		n += int64(len(MultipartHead(boundary, contentType, p, size, i == 0))) + p.Len()
	}
	return n
}
