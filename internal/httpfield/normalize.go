package httpfield

import "strings"

// Selecting gives the values of a request field in the form in which two requests are compared where a response varies on
// it: alike where they mean the same, as far as that is certain without knowing the backend (RFC 9111 §4.1). name is in the
// canonical form of http.CanonicalHeaderKey. An absent field is nil, and differs from an empty one (RFC 9110 §12.5.3 says
// why for Accept-Encoding). The result may be values itself, and must not be changed.
//
// There are three forms:
//
//   - The members of a list, one by one: how many field lines they came in means nothing (RFC 9110 §5.3), nor does white
//     space around commas (§5.6.1). Empty members stay, as a field that is not known may count them. Accept and its like are
//     brought to less: see preferences.
//   - The field lines, trimmed: of fields that are no lists, where a comma belongs to the value.
//   - The same of any field with a line whose quoted-string does not end, for then it is not known where its members end.
//
// Which of the first two it is hangs on name alone. The third is never taken for the first: some line of it ends within a
// quoted-string, be it read for itself or after white space was trimmed, and no member of a list does. Selecting what was
// selected changes nothing, so that each form stands for one meaning.
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

// isSingle reports whether a request field of this name is no list, so that joining its lines or touching its commas may
// change what it means (RFC 9110 §5.5): dates have commas, so may URIs, product comments, cookies and credentials. Range
// has a list in it, but is one value (§14.2).
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

// isPlain reports whether s is its own normal form in every field, seen at a glance: what most requests send where they
// send one thing. An "x-" may begin another name of a content coding.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || isDigit(c) || c == '-' || c == '.' || c == '/' || c == '*' || c == '+' || c == '_') {
			return false
		}
	}
	return !strings.HasPrefix(s, "x-")
}

// trimmed are the values without white space around them (RFC 9110 §5.5).
func trimmed(values []string) []string {
	for i, v := range values {
		if trimOWS(v) == v {
			continue
		}
		out := make([]string, len(values))
		copy(out, values[:i])
		for j := i; j < len(values); j++ {
			out[j] = trimOWS(values[j])
		}
		return out
	}
	return values
}

// allMembers is like Members, but keeps empty ones: an empty line is one. ok is false as soon as a line cannot be split for
// certain.
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
			members = append(members, trimOWS(line[:end]))
			if end == len(line) {
				break
			}
			line = line[end+1:]
		}
	}
	return members, true
}
