package httpfield

import (
	"math"
	"strings"
)

// A ContentRange is the range of bytes in a partial response (RFC 9110 §14.4): First to Last,
// inclusive, of Total.
type ContentRange struct{ First, Last, Total int64 }

// ParseContentRange reads the single line of a Content-Range in bytes, "bytes 0-499/1234". ok is
// false for anything else: several lines, another unit, an unknown length, an unsatisfied range,
// one outside the length.
func ParseContentRange(values []string) (r ContentRange, ok bool) {
	if len(values) != 1 {
		return r, false
	}
	unit, rest, _ := strings.Cut(values[0], " ")
	positions, total, _ := strings.Cut(rest, "/")
	first, last, _ := strings.Cut(positions, "-")
	numbers := [...]*int64{&r.First, &r.Last, &r.Total}
	for i, s := range [...]string{first, last, total} {
		if *numbers[i], ok = parsePosition(s); !ok {
			return ContentRange{}, false
		}
	}
	if !equalASCII(unit, "bytes") || r.First > r.Last || r.Last >= r.Total {
		return ContentRange{}, false
	}
	return r, true
}

// equalASCII ignores case; unlike strings.EqualFold it folds only ASCII letters.
func equalASCII(s, lower string) bool {
	return len(s) == len(lower) && strings.EqualFold(s, lower)
}

// parsePosition reads digits only, up to less than the greatest int64.
func parsePosition(s string) (n int64, ok bool) {
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, s != ""
}
