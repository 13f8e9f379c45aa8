package httpcache

import (
	"net/http"
	"slices"

	"sidecar/internal/httpfield"
)

// A stored part (§3.3) is a response with the status 206 to a request for one range. It answers nothing but requests for ranges that lie within it, and grows by other
// parts of the same representation (§3.4) until it is the whole, which is a 200.

// PartOf is which bytes a response has that is a part; ok is false for one that is not to be stored: what did not answer a Range, several parts in one, and what does not say
// of how many bytes it is a part.
func PartOf(req httpfield.Request, resp Response) (part httpfield.ContentRange, ok bool) {
	if resp.Status != http.StatusPartialContent || !WantsRange(req) {
		return part, false
	}
	return httpfield.ParseContentRange(resp.Fields.Values("Content-Range"))
}

// Covers reports whether a stored response can answer a request as far as its bytes go: any, unless it is a part.
func Covers(req httpfield.Request, s Stored, size int64) bool {
	return s.Status != http.StatusPartialContent || Ranges(req, s, size).Answer == RangePartial
}

// within reports whether all parts lie between the bytes from and to.
func within(parts []Part, from, to int64) bool {
	return !slices.ContainsFunc(parts, func(p Part) bool { return p.First < from || p.Last >= to })
}

// Combine says where the bytes of two parts stand together (§3.4): which bytes of the union come from the stored one, before and behind those of the newer one, which has
// these fields and holds the bytes of part. ok is false unless both have the same strong ETag, are parts of the same whole, and leave no gap.
func Combine(s Stored, size int64, fields httpfield.Fields, part httpfield.ContentRange) (before, behind int64, ok bool) {
	was, tagged := EntityTag(s.Fields)
	now, nowTagged := EntityTag(fields)
	old, _ := httpfield.ParseETag(was)
	tag, _ := httpfield.ParseETag(now)
	end := s.Offset + size // of the stored one, exclusive
	if s.Status != http.StatusPartialContent || !tagged || !nowTagged || !tag.StrongMatch(old) || s.Total != part.Total ||
		part.First > end || s.Offset > part.Last+1 {
		return 0, 0, false
	}
	return max(0, part.First-s.Offset), max(0, end-part.Last-1), true
}
