package httpfield

import (
	"net/http"
	"strings"
)

// IsToken reports whether s is a token (RFC 9110 §5.6.2): not empty, and only tchar.
func IsToken(s string) bool {
	for i := range len(s) {
		if !isTchar(s[i]) {
			return false
		}
	}
	return s != ""
}

// CanonicalName is a field name in the form of http.CanonicalHeaderKey. ok is false if s is no
// token.
func CanonicalName(s string) (name string, ok bool) {
	begins := true // a part of the name
	for i := range len(s) {
		c := s[i]
		if begins && 'a' <= c && c <= 'z' || !begins && 'A' <= c && c <= 'Z' {
			return http.CanonicalHeaderKey(s), IsToken(s)
		}
		if !isTchar(c) {
			return "", false
		}
		begins = c == '-'
	}
	return s, s != ""
}

func isTchar(c byte) bool { return inTokens[c] }

var inTokens = func() (in [256]bool) {
	for i := range in {
		c := byte(i)
		in[i] = isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
	return in
}()

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// tokenLen is the length of the token at the start of s; 0 if there is none.
func tokenLen(s string) int {
	n := 0
	for n < len(s) && isTchar(s[n]) {
		n++
	}
	return n
}

// TrimOWS is s without the optional whitespace around it (RFC 9110 §5.6.3).
func TrimOWS(s string) string {
	for s != "" && isOWS(s[0]) {
		s = s[1:]
	}
	for s != "" && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isOWS(c byte) bool { return c == ' ' || c == '	' }
