package httpfield

import "time"

// MaxDelta is the greatest value of delta-seconds, 2^31 seconds; greater ones count as it (RFC 9111
// §1.2.2).
const MaxDelta = (1 << 31) * time.Second

// ParseDelta reads delta-seconds (RFC 9111 §1.2.2): digits only, saturating at MaxDelta.
func ParseDelta(s string) (d time.Duration, ok bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), int64(MaxDelta/time.Second))
	}
	return time.Duration(n) * time.Second, true
}

// ParseAge reads the Age field (RFC 9111 §5.1): the first member that is a non-negative integer,
// saturating at MaxDelta. ok is false without one.
func ParseAge(values []string) (age time.Duration, ok bool) {
	for _, line := range values {
		for line != "" {
			var member string
			if member, line, _ = NextMember(line); member != "" {
				if age, ok = ParseDelta(member); ok {
					return age, true
				}
			}
		}
	}
	return 0, false
}
