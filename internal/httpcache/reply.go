package httpcache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sidecar/internal/httpfield"
)

// A Reply is the part of a stored response that one request gets (RFC 9110 §13.2.2, §14.2, §9.3.2).
type Reply struct {
	// Status is that of the stored response; or 304 where the client has its content, 206 for parts
	// of it, and 416 where none of the parts is there.
	Status int
	// Parts are the bytes to send with 206, in the order requested: one, or several as
	// multipart/byteranges.
	Parts []Part
	// Content: bytes of the stored body are sent. Not for a HEAD, nor where there are none.
	Content bool

	size int64 // of the whole representation
}

// Reply decides which part of a stored response is sent. fits is false where the response cannot
// answer the request at any age: a part does not hold the bytes, or a cookie is missing that only
// the backend sets.
func (d *Demand) Reply(s Stored) (r Reply, fits bool) {
	r = Reply{Status: s.Status, size: s.wholeSize()}
	ranges := Ranges(d.request, s, s.Size)
	fits = bringsCookies(d.request.Fields, s.Cookies) &&
		(s.Status != http.StatusPartialContent || ranges.Answer == RangePartial)
	switch {
	case d.NotModified(s):
		r.Status = http.StatusNotModified
		return r, fits
	case ranges.Answer == RangeUnsatisfiable:
		r.Status = http.StatusRequestedRangeNotSatisfiable
		return r, fits
	case ranges.Answer == RangePartial:
		r.Status, r.Parts = http.StatusPartialContent, ranges.Parts
	}
	r.Content = d.request.Method != http.MethodHead && s.Size > 0
	return r, fits
}

// NotModified reports whether the request's condition lets a response be answered with 304.
func (d *Demand) NotModified(s Stored) bool { return Conditional(d.request, s) }

// wholeSize is the length in bytes of the whole representation, also where the response is a part.
func (s Stored) wholeSize() int64 {
	if s.Total > 0 {
		return s.Total
	}
	return s.Size
}

// WriteHead makes h, the fields of the stored response, those of the reply. boundary is that of a
// multipart body; it is used for a reply with several parts alone.
func (r Reply) WriteHead(h http.Header, boundary string) {
	switch r.Status {
	case http.StatusNotModified:
		DropRepresentation(h)
	case http.StatusRequestedRangeNotSatisfiable:
		DropRepresentation(h)
		h["Content-Range"] = []string{UnsatisfiedRange(r.size)}
		h["Content-Length"] = []string{"0"}
	case http.StatusPartialContent:
		r.writePartialHead(h, boundary)
	default:
		if bodyAllowed(r.Status) {
			h["Content-Length"] = []string{strconv.FormatInt(r.size, 10)}
		}
	}
}

func (r Reply) writePartialHead(h http.Header, boundary string) {
	DropDigests(h)
	if len(r.Parts) == 1 {
		h["Content-Range"] = []string{ContentRange(r.Parts[0], r.size)}
		h["Content-Length"] = []string{strconv.FormatInt(r.Parts[0].Len(), 10)}
		return
	}
	inner := httpfield.First(httpfield.Header(h), "Content-Type")
	h["Content-Type"] = []string{MultipartType(boundary)}
	h["Content-Length"] = []string{
		strconv.FormatInt(MultipartLength(boundary, inner, r.Parts, r.size), 10),
	}
}

// PartHead precedes the bytes of the nth part of a multipart body. contentType is that of the
// stored response.
func (r Reply) PartHead(boundary, contentType string, nth int) []byte {
	return MultipartHead(boundary, contentType, r.Parts[nth], r.size, nth == 0)
}

// DropRepresentation takes out of h the fields that a 304 does not carry (RFC 9110 §15.4.5): those
// that describe content, which is not there.
func DropRepresentation(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "Content-") && name != "Content-Location" &&
			!strings.HasPrefix(name, "Content-Security-") {
			delete(h, name)
		}
	}
}

// DropDigests takes digests of all the content out of h, where other bytes are sent or stored (RFC
// 9530 §2).
func DropDigests(h http.Header) {
	delete(h, "Content-Digest")
	delete(h, "Content-Md5")
}

// bodyAllowed reports whether a response of this status has content (RFC 9110 §6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// bringsCookies reports whether the request brings each cookie that was dropped from a response: a
// client without one of them still needs the backend to set it.
func bringsCookies(f httpfield.Fields, names []string) bool {
	return !slices.ContainsFunc(names,
		func(name string) bool { return !httpfield.HasCookie(f, name) })
}
