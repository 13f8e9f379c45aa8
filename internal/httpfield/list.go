package httpfield

import (
	"net/http"
	"strings"
)

// NextMember cuts the first member off a comma-separated list (RFC 9110 §5.6.1). It trims white
// space around the member, skips empty members, and splits at no comma inside a quoted-string.
// member is "" at the end of the list. ok is false if a quoted-string does not end: the limits of
// the members are then unknown, and rest is "".
//
// Entity tags are not quoted-strings (they have no escapes): see ParseETags.
func NextMember(list string) (member, rest string, ok bool) {
	for {
		end, ok := endOf(list, ',')
		if !ok {
			return "", "", false
		}
		member, rest = TrimOWS(list[:end]), ""
		if end < len(list) {
			rest = list[end+1:]
		}
		if member != "" || rest == "" {
			return member, rest, true
		}
		list = rest
	}
}

// endOf is the index of the first sep outside quoted-strings, or len(s). ok is false if a
// quoted-string does not end.
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

// Members returns the members of the list in the field lines, in order. ok is false if a line
// cannot be split for certain; the members of the other lines, and those before the fault, are
// returned too.
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

// FieldNames returns the members of a list of field names, such as Vary or Connection, in canonical
// form. ok is false if a member is no token; the other members are returned too. Names are never
// quoted, so every comma separates.
func FieldNames(values []string) (names []string, ok bool) {
	ok = true
	for _, line := range values {
		for member := range strings.SplitSeq(line, ",") {
			member = TrimOWS(member)
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
