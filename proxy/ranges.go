package proxy

import (
	"crypto/rand"
	"net/http"
	"strconv"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/store"
)

// answerRange answers a request for parts of a stored body: 206 with one or several of them, or 416 (RFC 9110 §14, §15.3.7, §15.5.17). h is the answer's head so far. An
// error means that not all of it was sent.
func answerRange(x *exchange, h http.Header, r reply) error {
	size, parts := wholeSize(r.entry), r.ranges.Parts
	if r.ranges.Answer == httpcache.RangeUnsatisfiable {
		dropRepresentation(h)
		h["Content-Range"] = []string{httpcache.UnsatisfiedRange(size)}
		h["Content-Length"] = []string{"0"}
		x.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	dropDigests(h)
	if len(parts) == 1 {
		h["Content-Range"] = []string{httpcache.ContentRange(parts[0], size)}
		h["Content-Length"] = []string{strconv.FormatInt(parts[0].Len(), 10)}
		x.w.WriteHeader(http.StatusPartialContent)
		return r.write(x, parts[0])
	}
	return sendParts(x, h, r)
}

// sendParts sends several parts as multipart/byteranges (RFC 9110 §14.6).
func sendParts(x *exchange, h http.Header, r reply) error {
	size, parts, boundary, inner := wholeSize(r.entry), r.ranges.Parts, rand.Text(), httpfield.First(r.entry, "Content-Type")
	h["Content-Type"] = []string{httpcache.MultipartType(boundary)}
	h["Content-Length"] = []string{strconv.FormatInt(httpcache.MultipartLength(boundary, inner, parts, size), 10)}
	x.w.WriteHeader(http.StatusPartialContent)
	for i, part := range parts {
		if _, err := x.w.Write(httpcache.MultipartHead(boundary, inner, part, size, i == 0)); err != nil {
			return err
		}
		if err := r.write(x, part); err != nil {
			return err
		}
	}
	_, err := x.w.Write(httpcache.MultipartTail(boundary))
	return err
}

// wholeSize is how many bytes the representation has of which the entry may be a part.
func wholeSize(e *entry.Entry) int64 {
	if e.Total > 0 {
		return e.Total
	}
	return e.Size()
}

// write sends a part, of which the entry has the bytes.
func (r reply) write(x *exchange, p httpcache.Part) error {
	span := spanOf(r.entry, p)
	return r.body.WriteRange(x.r.Context(), x.w, span.First, span.End)
}

// spanOf is where a part lies in the entry's body.
func spanOf(e *entry.Entry, p httpcache.Part) store.Span {
	return store.Span{First: p.First - e.Offset, End: p.Last + 1 - e.Offset}
}

// dropDigests takes out what is said of the bytes of all the content, where others are sent or stored (RFC 9530 §2).
func dropDigests(h http.Header) {
	delete(h, "Content-Digest")
	delete(h, "Content-Md5")
}
