package proxy

import (
	"crypto/rand"
	"net/http"
	"strconv"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

// answerRange answers a request for parts of a stored body: 206 with one or several of them, or 416 (RFC 9110 §14, §15.3.7, §15.5.17). It reports false where the
// body is to be sent whole. h is the answer's head so far.
func answerRange(w http.ResponseWriter, h http.Header, req httpfield.Request, e *entry.Entry) bool {
	decision := httpcache.Ranges(req, stored(e), int64(len(e.Body)))
	size := wholeSize(e)
	switch {
	case decision.Answer == httpcache.RangeIgnored:
		return false
	case decision.Answer == httpcache.RangeUnsatisfiable:
		dropRepresentation(h)
		h["Content-Range"] = []string{httpcache.UnsatisfiedRange(size)}
		h["Content-Length"] = []string{"0"}
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
	case len(decision.Parts) == 1:
		part := decision.Parts[0]
		h["Content-Range"] = []string{httpcache.ContentRange(part, size)}
		h["Content-Length"] = []string{strconv.FormatInt(part.Len(), 10)}
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(bytesOf(e, part)) // a client that has gone is nobody's error
	default:
		sendParts(w, h, e, decision.Parts)
	}
	return true
}

// sendParts sends several parts as multipart/byteranges (RFC 9110 §14.6).
func sendParts(w http.ResponseWriter, h http.Header, e *entry.Entry, parts []httpcache.Part) {
	size, boundary, inner := wholeSize(e), rand.Text(), httpfield.First(e, "Content-Type")
	h["Content-Type"] = []string{httpcache.MultipartType(boundary)}
	h["Content-Length"] = []string{strconv.FormatInt(httpcache.MultipartLength(boundary, inner, parts, size), 10)}
	w.WriteHeader(http.StatusPartialContent)
	for i, part := range parts {
		if _, err := w.Write(httpcache.MultipartHead(boundary, inner, part, size, i == 0)); err != nil {
			return
		}
		if _, err := w.Write(bytesOf(e, part)); err != nil {
			return
		}
	}
	_, _ = w.Write(httpcache.MultipartTail(boundary))
}

// wholeSize is how many bytes the representation has of which the entry may be a part.
func wholeSize(e *entry.Entry) int64 {
	if e.Total > 0 {
		return e.Total
	}
	return int64(len(e.Body))
}

// bytesOf are the bytes of a part, which the entry has.
func bytesOf(e *entry.Entry, p httpcache.Part) []byte {
	return e.Body[p.First-e.Offset : p.Last+1-e.Offset]
}
