package pattern

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// A rewrite is one thing that servers may do to a path before they route it. It returns its
// argument where it has nothing to do, and takes a time that is linear in the length of the path.
type rewrite func(path string) string

var (
	// respelling keeps the resource: a server that does it shows the resource under the other
	// spelling.
	respelling = []rewrite{
		decoded, slashed, withoutParameters, withoutOddities, mergedSlashes,
		withoutSessions, withoutDots,
	}
	// shortening may lead to another resource.
	shortening = []rewrite{withoutAuthority, cutAtNUL}
	// harmless rewrites leave a read certain, unless another route applies to the result: a server
	// that does them and one that does not show the same resource.
	harmless = []rewrite{withoutTrailingSlashes, withoutExtension, withoutScript}
)

// withoutTrailingSlashes keeps the slash of the root.
func withoutTrailingSlashes(p string) string {
	if len(p) < 2 || p[len(p)-1] != '/' {
		return p
	}
	if p = strings.TrimRight(p, "/"); p == "" {
		return "/"
	}
	return p
}

// maxExtension is how long a suffix that names a format may be, without its dot.
const maxExtension = 32

// withoutExtension drops a suffix that names a format: /c/5.json is /c/5 to frameworks that
// negotiate by it. Some of them take any text for a format.
func withoutExtension(p string) string {
	dot := strings.LastIndexByte(p, '.')
	if dot < 1 || p[dot-1] == '/' || p[dot-1] == '.' ||
		len(p)-dot-1 > maxExtension || dot == len(p)-1 {
		return p
	}
	for i := dot + 1; i < len(p); i++ {
		if !isLetterOrDigit(p[i]) && strings.IndexByte("-_+*", p[i]) < 0 {
			return p
		}
	}
	return p[:dot]
}

// withoutScript drops the script of a PHP application, which routes the path behind it:
// /index.php/c/5 is /c/5.
func withoutScript(p string) string {
	for i := range len(p) {
		if isScript(p[i:]) {
			return p[i+len(script)-1:]
		}
	}
	return p
}

// script is how the name of a script ends in a path that goes on.
const script = ".php/"

func isScript(s string) bool {
	return s[0] == '.' && len(s) >= len(script) && strings.EqualFold(s[:len(script)], script)
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// decoded takes one layer of percent-encoding off, in the forms %2F and %u002F. Some servers then
// read ASCII in two bytes (0xC0 0xAF is '/'). An escape that is malformed stays.
func decoded(p string) string {
	if !strings.Contains(p, "%") && strings.IndexByte(p, 0xc0) < 0 &&
		strings.IndexByte(p, 0xc1) < 0 {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := 0; i < len(p); {
		c, n := unescape(p[i:])
		if n == 0 {
			b = append(b, p[i])
			i++
			continue
		}
		b = utf8Or(b, c)
		i += n
	}
	return string(overlong(b))
}

// unescape reads the escape at the beginning of s; n is 0 if there is none.
func unescape(s string) (c rune, n int) {
	if len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2]) {
		return rune(hex(s[1])<<4 | hex(s[2])), 3
	}
	if len(s) >= 6 && s[0] == '%' && (s[1] == 'u' || s[1] == 'U') && isHex(s[2]) && isHex(s[3]) &&
		isHex(s[4]) && isHex(s[5]) {
		return wide | rune(hex(s[2]))<<12 | rune(hex(s[3]))<<8 | rune(hex(s[4]))<<4 |
			rune(hex(s[5])), 6
	}
	return 0, 0
}

// wide marks a character, as against a byte.
const wide = 1 << 24

func utf8Or(b []byte, c rune) []byte {
	if c&wide != 0 {
		return utf8.AppendRune(b, c&^wide)
	}
	return append(b, byte(c))
}

// overlong replaces ASCII characters in two, three or four bytes, in place.
func overlong(b []byte) []byte {
	out := b[:0]
	for i := 0; i < len(b); {
		c, n := ascii(b[i:])
		out = append(out, c)
		i += n
	}
	return out
}

// ascii is the ASCII character at the beginning of b in more bytes than one, else its first byte.
func ascii(b []byte) (c byte, n int) {
	n = 2
	switch b[0] {
	case 0xc0, 0xc1:
	case 0xe0:
		n = 3
	case 0xf0:
		n = 4
	default:
		return b[0], 1
	}
	if len(b) < n {
		return b[0], 1
	}
	high := b[0] & 1
	for i := 1; i < n-1; i++ { // zeros, but for the highest bit
		if i < n-2 && b[i] != 0x80 || b[i]&0xfe != 0x80 {
			return b[0], 1
		}
		high = b[i] & 1
	}
	if b[n-1]&0xc0 != 0x80 {
		return b[0], 1
	}
	return high<<6 | b[n-1]&0x3f, n
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// withoutParameters drops the path parameters of every segment (RFC 3986 §3.3).
func withoutParameters(p string) string {
	if !strings.Contains(p, ";") {
		return p
	}
	return mapSegments(p, func(s string) string {
		s, _, _ = strings.Cut(s, ";")
		return s
	})
}

// slashed reads a backslash as a slash.
func slashed(p string) string { return strings.ReplaceAll(p, `\`, "/") }

// withoutOddities trims every segment.
func withoutOddities(p string) string { return mapSegments(p, trimmed) }

// trimmed is a segment without the characters that some servers drop: controls anywhere, white
// space at its ends, and dots at its end.
func trimmed(s string) string {
	if s == "" || isLetterOrDigit(s[0]) && isLetterOrDigit(s[len(s)-1]) && !hasControl(s) {
		return s
	}
	if hasControl(s) {
		s = strings.Map(func(r rune) rune {
			if isControl(r) {
				return -1
			}
			return r
		}, s)
	}
	s = strings.TrimSpace(s)
	if bare := strings.TrimRight(s, ". "); bare != "" {
		return bare
	}
	return s
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func hasControl(s string) bool {
	for i := range len(s) {
		if isControl(rune(s[i])) {
			return true
		}
	}
	return false
}

// mapSegments applies f to every segment.
func mapSegments(p string, f func(string) string) string {
	var b strings.Builder
	changed := false
	for i, rest, more := 0, p, true; more; i++ {
		var s string
		s, rest, more = strings.Cut(rest, "/")
		if i > 0 {
			b.WriteByte('/')
		}
		to := f(s)
		changed = changed || to != s
		b.WriteString(to)
	}
	if !changed {
		return p
	}
	return b.String()
}

// mergedSlashes makes one slash of several.
func mergedSlashes(p string) string {
	if !strings.Contains(p, "//") {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := range len(p) {
		if p[i] != '/' || i == 0 || p[i-1] != '/' {
			b = append(b, p[i])
		}
	}
	return string(b)
}

// withoutDots resolves dot segments (RFC 3986 §5.2.4).
func withoutDots(p string) string {
	if !strings.Contains(p, "/.") {
		return p
	}
	out := make([]byte, 0, len(p))
	segments, more := strings.TrimPrefix(p, "/"), true
	for more {
		var s string
		s, segments, more = strings.Cut(segments, "/")
		switch s {
		case ".":
		case "..":
			out = out[:max(0, bytes.LastIndexByte(out, '/'))]
		default:
			out = append(append(out, '/'), s...)
			continue
		}
		if !more {
			out = append(out, '/')
		}
	}
	if len(out) == 0 {
		return "/"
	}
	return string(out)
}

// withoutSessions drops the segments in which ASP.NET keeps a session or a ticket: (S(id)).
func withoutSessions(p string) string {
	if !strings.Contains(p, "/(") {
		return p
	}
	return mapSegments(p, func(s string) string {
		if len(s) < len("(S())") || s[0] != '(' || s[2] != '(' || !strings.HasSuffix(s, "))") ||
			strings.IndexByte("SAFsaf", s[1]) < 0 {
			return s
		}
		return "." // which withoutDots takes out
	})
}

// withoutAuthority drops the first segment after '//', which some servers take for a host; the URL
// of browsers and Node takes it for one after any number of slashes.
func withoutAuthority(p string) string {
	if !strings.HasPrefix(p, "//") {
		return p
	}
	rest := strings.TrimLeft(p, "/")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// cutAtNUL ends the path where C ends a string.
func cutAtNUL(p string) string {
	if i := strings.IndexByte(p, 0); i > 0 {
		return p[:i]
	}
	return p
}
