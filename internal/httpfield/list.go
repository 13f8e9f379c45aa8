package httpfield

import (
	"net/http"
	"strings"
)

// NextMember cuts the first member off a comma-separated list (RFC 9110 §5.6.1). White space around it is trimmed, empty
// members are passed over, and a comma inside a quoted-string separates nothing. member is "" once there is none left.
// ok is false where a quoted-string does not end: then it is not known where members end either, and rest is "".
//
// Entity tags are not quoted-strings (they have no escapes): see ParseETags.
func NextMember(list string) (member, rest string, ok bool) {
	for {
		end, ok := endOf(list, ',')
		if !ok {
			return "", "", false
		}
		member, rest = trimOWS(list[:end]), ""
		if end < len(list) {
			rest = list[end+1:]
		}
		if member != "" || rest == "" {
			return member, rest, true
		}
		list = rest
	}
}

// endOf is the index of the first sep outside quoted-strings, or the length of s. ok is false where a quoted-string does not end.
func endOf(s string, sep byte) (end int, ok bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == sep && !quoted:
			return i, true
		}
	}
	return len(s), !quoted
}

// Members are the members of the list that the field lines in values make up, in order. ok is false if some line cannot
// be split for certain; the members of the others, and those before the fault, are returned all the same.
func Members(values []string) (members []string, ok bool) {
	ok = true
	for _, line := range values {
		for line != "" {
			member, rest, sure := NextMember(line)
			ok = ok && sure
			if member != "" {
				members = append(members, member)
			}
			line = rest
		}
	}
	return members, ok
}

// FieldNames are the members of a list of field names, such as Vary or Connection, in canonical form. ok is false if some
// member is no token; those that are, are returned all the same. A name is never quoted, so that every comma separates.
func FieldNames(values []string) (names []string, ok bool) {
	ok = true
	for _, line := range values {
		for member := range strings.SplitSeq(line, ",") {
			member = trimOWS(member)
			switch {
			case member == "":
			case IsToken(member):
				names = append(names, http.CanonicalHeaderKey(member))
			default:
				ok = false
			}
		}
	}
	return names, ok
}
