package httpcache

import (
	"net/http"
	"slices"

	"sidecar/internal/httpfield"
)

// A stored part (§3.3) is a 206 response to a request for one range. It answers requests for ranges
// within it. Other parts of the same representation extend it (§3.4); once complete, it is a 200.

// PartOf returns the range of a partial response. ok is false if it is not storable: the request
// had no Range, the response has several parts, or the total size is unknown.
func PartOf(d *Demand, resp Response) (part httpfield.ContentRange, ok bool) {
	if resp.Status != http.StatusPartialContent || !d.Range {
		return part, false
	}
	return httpfield.ParseContentRange(resp.Fields.Values("Content-Range"))
}

// within reports whether all parts lie between the bytes from and to.
func within(parts []Part, from, to int64) bool {
	return !slices.ContainsFunc(parts, func(p Part) bool { return p.First < from || p.Last >= to })
}

// Combine decides how to join two parts (§3.4): before and behind are the numbers of bytes of the
// stored one in front of and after those of the newer one, which has these fields and the bytes of
// part. ok is false unless both have the same strong ETag and total size, and leave no gap.
func Combine(s Stored, size int64, fields httpfield.Fields,
	part httpfield.ContentRange) (before, behind int64, ok bool) {
	was, tagged := EntityTag(s.Fields)
	now, nowTagged := EntityTag(fields)
	old, _ := httpfield.ParseETag(was)
	tag, _ := httpfield.ParseETag(now)
	end := s.Offset + size // of the stored one, exclusive
	if s.Status != http.StatusPartialContent || !tagged || !nowTagged || !tag.StrongMatch(old) ||
		s.Total != part.Total ||
		part.First > end || s.Offset > part.Last+1 {
		return 0, 0, false
	}
	return max(0, part.First-s.Offset), max(0, end-part.Last-1), true
}
