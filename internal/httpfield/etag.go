package httpfield

import "strings"

// An ETag is an entity tag (RFC 9110 §8.8.3).
type ETag struct {
	Weak   bool
	Opaque string // without its quotes
}

// ParseETag reads s as exactly one entity tag. ok is false for anything else: an unquoted one, a
// 'w/', a list.
func ParseETag(s string) (tag ETag, ok bool) {
	tag, rest, ok := cutETag(s)
	return tag, ok && rest == ""
}

// String is the tag as it is sent.
func (t ETag) String() string {
	if t.Weak {
		return `W/"` + t.Opaque + `"`
	}
	return `"` + t.Opaque + `"`
}

// StrongMatch is the strong comparison (§8.8.3.2): equal, and neither weak.
func (t ETag) StrongMatch(u ETag) bool { return t == u && !t.Weak }

// WeakMatch is the weak comparison (§8.8.3.2): equal but for weakness.
func (t ETag) WeakMatch(u ETag) bool { return t.Opaque == u.Opaque }

// ParseETags reads the field lines of If-Match or If-None-Match (§13.1.1, §13.1.2): "*" (any), or a
// list of entity tags. ok is false for anything else; one malformed member makes the whole list
// malformed.
func ParseETags(values []string) (tags []ETag, any, ok bool) {
	if len(values) == 1 && TrimOWS(values[0]) == "*" {
		return nil, true, true
	}
	for _, line := range values {
		for {
			line = strings.TrimLeft(line, " \t,")
			if line == "" {
				break
			}
			tag, rest, ok := cutETag(line)
			rest = strings.TrimLeft(rest, " \t")
			if !ok || rest != "" && rest[0] != ',' {
				return nil, false, false
			}
			tags, line = append(tags, tag), rest
		}
	}
	return tags, false, len(tags) > 0
}

// cutETag cuts an entity tag off the front of s. A backslash in it is an ordinary byte.
func cutETag(s string) (tag ETag, rest string, ok bool) {
	s, tag.Weak = strings.CutPrefix(s, "W/")
	if s == "" || s[0] != '"' {
		return ETag{}, "", false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			tag.Opaque = s[1:i]
			return tag, s[i+1:], true
		case c <= 0x20 || c == 0x7f:
			return ETag{}, "", false
		}
	}
	return ETag{}, "", false
}
