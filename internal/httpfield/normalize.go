package httpfield

import "strings"

// Selecting returns the normal form of a request field that Vary names. Two requests with equal
// forms mean the same, as far as that is certain without knowing the backend (RFC 9111 §4.1). name
// is canonical, as by http.CanonicalHeaderKey. An absent field is nil, and differs from an empty
// one (RFC 9110 §12.5.3 gives the reason for Accept-Encoding). The result may be values itself, and
// must not be changed.
//
// There are three forms:
//
//   - The members of a list. The split into field lines (RFC 9110 §5.3) and white space around
//     commas (§5.6.1) mean nothing. Empty members stay, since an unknown field may count them.
//     Accept and its like are reduced further: see preferences.
//   - The trimmed field lines, for fields that are no lists: a comma is part of the value.
//   - The trimmed field lines of any field with a line whose quoted-string does not end: the
//     limits of its members are unknown.
//
// The name alone decides between the first two. The third never equals the first: one of its lines
// ends within a quoted-string, before and after trimming, and no member of a list does. Selecting
// is idempotent, so each form stands for one meaning.
func Selecting(name string, values []string) []string {
	switch {
	case len(values) == 0:
		return nil
	case isSingle(name):
		return trimmed(values)
	case len(values) == 1 && isPlain(values[0]):
		return values
	}
	members, ok := allMembers(values)
	if !ok {
		return trimmed(values)
	}
	if hasPreferences(name) {
		if preferred, ok := preferences(name, members); ok {
			return preferred
		}
	}
	return members
}

// isSingle reports whether a request field of this name is no list, so that joining its lines or
// changing its commas may change its meaning (RFC 9110 §5.5): dates have commas, and so may URIs,
// product comments, cookies and credentials. Range contains a list, but is one value (§14.2).
func isSingle(name string) bool {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie",
		"Host", "Origin", "Referer", "From", "User-Agent",
		"Date", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Accept-Datetime",
		"Range", "Content-Type":
		return true
	}
	return false
}

// isPlain quickly recognises common values that are their own normal form in every field. An "x-"
// may begin another name of a content coding.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || isDigit(c) || c == '-' || c == '.' || c == '/' || c == '*' ||
			c == '+' || c == '_') {
			return false
		}
	}
	return !strings.HasPrefix(s, "x-")
}

// trimmed returns the values without white space around them (RFC 9110 §5.5).
func trimmed(values []string) []string {
	for i, v := range values {
		if TrimOWS(v) == v {
			continue
		}
		out := make([]string, len(values))
		copy(out, values[:i])
		for j := i; j < len(values); j++ {
			out[j] = TrimOWS(values[j])
		}
		return out
	}
	return values
}

// allMembers is like Members, but keeps empty members; an empty line is one. ok is false as soon as
// a line cannot be split for certain.
func allMembers(values []string) (members []string, ok bool) {
	n := len(values)
	for _, line := range values {
		n += strings.Count(line, ",")
	}
	members = make([]string, 0, n)
	for _, line := range values {
		for {
			end, ok := endOf(line, ',')
			if !ok {
				return nil, false
			}
			members = append(members, TrimOWS(line[:end]))
			if end == len(line) {
				break
			}
			line = line[end+1:]
		}
	}
	return members, true
}
