package httpfield

import "strings"

// ParseQuoted reads s as exactly one quoted-string (RFC 9110 §5.6.4), and returns its value without
// quotes and escapes. ok is false for anything else, and for control bytes.
func ParseQuoted(s string) (value string, ok bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	escapes := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			if i++; i == len(s) {
				return "", false // the last quote was escaped
			}
			escapes++
		} else if s[i] == '"' {
			return "", false
		}
		if !isQuotable(s[i]) {
			return "", false
		}
	}
	if escapes == 0 {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s) - escapes)
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// Quote writes s as a quoted-string. ok is false if s has a control byte other than a tab.
func Quote(s string) (quoted string, ok bool) {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := range len(s) {
		if !isQuotable(s[i]) {
			return "", false
		}
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String(), true
}

// isQuotable accepts HTAB, SP, VCHAR and obs-text, which may stand in a quoted-string, escaped or
// not.
func isQuotable(c byte) bool { return c == '\t' || c >= 0x20 && c != 0x7f }
