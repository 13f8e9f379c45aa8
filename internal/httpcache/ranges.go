package httpcache

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"sidecar/internal/httpfield"
)

// maxRanges is how many ranges a request may ask for, and maxOverlapping how many of them may
// share bytes with another; Range is ignored beyond (RFC 9110 §14.2, §17.15). So all parts
// together are never more than twice the body.
const (
	maxRanges      = 16
	maxOverlapping = 2
)

// A Part is one range of a stored body: bytes First to Last, inclusive.
type Part struct{ First, Last int64 }

// Len is how many bytes the part has.
func (p Part) Len() int64 { return p.Last - p.First + 1 }

// A RangeAnswer is the kind of the answer to a request that may have a Range field.
type RangeAnswer int

// The answers.
const (
	RangeIgnored RangeAnswer = iota // 200 and the whole body, as if there were no Range
	// 206 and the parts: one by itself, several as multipart/byteranges (RFC 9110 §15.3.7)
	RangePartial
	// 416 and Content-Range: UnsatisfiedRange (RFC 9110 §15.5.17)
	RangeUnsatisfiable
)

// A RangeDecision is how a Range field is answered. Parts is not empty if and only if Answer is
// RangePartial.
type RangeDecision struct {
	Answer RangeAnswer
	Parts  []Part // those ranges that are satisfiable, cut to the body, in the order requested
}

// Ranges decides how the request's Range is answered from the stored response, whose body has size
// bytes (RFC 9110 §14.2). It counts where Conditional has no 304 to send (RFC 9110 §13.2.2).
//
// Every doubt sends the whole body, which is always right: a Range that comes twice or is no valid
// set of byte ranges, an If-Range that cannot be read, too many ranges. The order of the ranges is
// the client's choice.
//
// Of a response that is itself a part, RangeIgnored says that it cannot answer the request at all.
func Ranges(req httpfield.Request, s Stored, size int64) RangeDecision {
	lines := req.Fields.Values("Range")
	if req.Method != http.MethodGet || size < 0 || len(lines) != 1 || !ifRange(req.Fields, s) {
		return RangeDecision{}
	}
	switch s.Status {
	case http.StatusPartialContent:
		parts, ok := parseRange(lines[0], s.Total)
		if s.Total <= 0 || !ok || len(parts) == 0 || overlapping(parts) > maxOverlapping ||
			!within(parts, s.Offset, s.Offset+size) {
			return RangeDecision{}
		}
		return RangeDecision{RangePartial, parts}
	case http.StatusOK:
	default:
		return RangeDecision{}
	}
	parts, ok := parseRange(lines[0], size)
	switch {
	case !ok || overlapping(parts) > maxOverlapping:
		return RangeDecision{}
	case len(parts) == 0:
		return RangeDecision{Answer: RangeUnsatisfiable}
	case size == 0:
		// the last bytes of nothing: satisfiable (RFC 9110 §14.1.2), but no Content-Range can say
		// so
		return RangeDecision{}
	}
	return RangeDecision{RangePartial, parts}
}

// ContentRange is the Content-Range of a part of size bytes (RFC 9110 §14.4).
func ContentRange(p Part, size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", p.First, p.Last, size)
}

// UnsatisfiedRange is the Content-Range of a 416 where there are size bytes (RFC 9110 §14.4).
func UnsatisfiedRange(size int64) string { return fmt.Sprintf("bytes */%d", size) }

// ifRange evaluates If-Range (RFC 9110 §13.1.5): true if there is none, or its one line is the
// validator of the stored response, compared strongly.
func ifRange(f httpfield.Fields, s Stored) bool {
	conditions := f.Values("If-Range")
	if len(conditions) != 1 {
		return len(conditions) == 0
	}
	if tag, ok := httpfield.ParseETag(conditions[0]); ok {
		etag := s.Fields.Values("Etag")
		if len(etag) != 1 {
			return false
		}
		stored, ok := httpfield.ParseETag(etag[0])
		return ok && tag.StrongMatch(stored)
	}
	since, ok := httpfield.ParseDate(conditions[0], s.ResponseTime)
	if !ok {
		return false
	}
	modified, ok := strongModified(s)
	return ok && modified.Equal(since)
}

// strongModified is Last-Modified where it is a strong validator: the response's own Date, or where
// it has none the time at which it came (RFC 9110 §6.6.1), is at least a second later, so that it
// cannot have changed again within the second that Last-Modified names (RFC 9110 §8.8.2.2).
func strongModified(s Stored) (modified time.Time, ok bool) {
	modified, ok = onlyDate(s.Fields, "Last-Modified", s.ResponseTime)
	if !ok {
		return modified, false
	}
	date := s.ResponseTime
	if len(s.Fields.Values("Date")) > 0 {
		date, ok = onlyDate(s.Fields, "Date", s.ResponseTime)
	}
	return modified, ok && date.Sub(modified) >= time.Second
}

// parseRange reads a ranges-specifier in bytes (RFC 9110 §14.1.1), and returns the satisfiable
// ranges. ok is false for another unit, for a set with a bad member or with none, and for too many.
func parseRange(line string, size int64) (parts []Part, ok bool) {
	unit, set, found := strings.Cut(line, "=")
	// a token is ASCII: EqualFold folds more
	if !found || !httpfield.IsToken(unit) || !strings.EqualFold(unit, "bytes") {
		return nil, false
	}
	count := 0
	for set != "" {
		var member string
		if member, set, ok = httpfield.NextMember(set); !ok {
			return nil, false
		}
		if member == "" {
			continue
		}
		part, satisfiable, ok := parseSpec(member, size)
		if count++; !ok || count > maxRanges {
			return nil, false
		}
		if satisfiable {
			parts = append(parts, part)
		}
	}
	return parts, count > 0
}

// parseSpec reads one range of a set and cuts it to the body (RFC 9110 §14.1.2): first-last,
// first- or -length.
func parseSpec(spec string, size int64) (p Part, satisfiable, ok bool) {
	from, to, dash := strings.Cut(spec, "-")
	first, hasFirst := position(from)
	last, hasLast := position(to)
	switch {
	case !dash:
		return Part{}, false, false
	case from == "" && hasLast:
		return Part{max(size-last, 0), size - 1}, last > 0, true
	case hasFirst && to == "":
		return Part{first, size - 1}, first < size, true
	case hasFirst && hasLast && first <= last:
		return Part{first, min(last, size-1)}, first < size, true
	}
	return Part{}, false, false
}

// position reads digits and nothing else, saturating: no body is that long.
func position(s string) (n int64, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if d := int64(s[i] - '0'); n <= (math.MaxInt64-d)/10 {
			n = n*10 + d
		} else {
			n = math.MaxInt64
		}
	}
	return n, s != ""
}

// overlapping is how many of the parts share a byte with another.
func overlapping(parts []Part) (n int) {
	for i, p := range parts {
		for j, q := range parts {
			if i != j && p.First <= q.Last && q.First <= p.Last {
				n++
				break
			}
		}
	}
	return n
}
