package httpfield

import (
	"slices"
	"strings"
)

// A Cookie is one pair of a Cookie field (RFC 6265 §4.2.1).
type Cookie struct {
	Name, Value string
	// Raw: the value is not in the form of RFC 6265, as raw JSON is not, or the first cookie has
	// the name of an attribute. Some servers end it earlier, and some drop it and the cookies
	// behind it.
	Raw bool
}

// Cookies returns the cookies of a request. ok is false where servers read different cookies from
// it, beyond the value of a Raw one: some end a value at a tab, some take a ';' in quotes for part
// of the value, some trim, unquote or decode a name, some read one Cookie field only. The cookies
// are then those of a split at every ';'. Space around a pair is accepted. Over HTTP/2, net/http
// joins several Cookie fields with "; " (RFC 9113 §8.2.3); here several are not in form. Nor are
// more than maxCookies.
func Cookies(f Fields) (jar []Cookie, ok bool) {
	lines := f.Values("Cookie")
	ok = len(lines) <= 1
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " ")
			if pair == "" {
				continue
			}
			name, value, isPair := strings.Cut(pair, "=")
			raw := !isCookieValue(value) || len(jar) == 0 && isCookieAttribute(name)
			ok = ok && isPair && isCookieName(name) && (!raw || isClosed(value))
			if !isPair {
				name, value = "", pair
			}
			jar = append(jar, Cookie{name, value, raw})
		}
	}
	return jar, ok && len(jar) <= maxCookies
}

// maxCookies is how many cookies browsers keep for a site. Servers read 200 of them (Tomcat), 1,000
// (PHP) or 3,000 (Go), and leave out the others or all.
const maxCookies = 180

// isCookieAttribute reports whether a cookie has the name of an attribute of Set-Cookie. Python's
// http.cookies drops the whole field where the first one has.
func isCookieAttribute(name string) bool {
	switch strings.ToLower(name) {
	case "expires", "path", "comment", "domain", "max-age", "secure", "httponly", "version",
		"samesite", "partitioned":
		return true
	}
	return false
}

// isCookieName refuses names that begin with '$' too: RFC 2965 parsers take them for attributes.
func isCookieName(name string) bool { return IsToken(name) && name[0] != '$' }

// isCookieValue accepts octets of RFC 6265 §4.1.1, all in one pair of quotes or without any.
func isCookieValue(value string) bool {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	for i := range len(value) {
		switch c := value[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == ',', c == '\\':
			return false
		}
	}
	return true
}

// isClosed reports whether every server ends a value that is not in form at the ';' at the latest:
// each quote in it has its other one, and nothing escapes one.
func isClosed(value string) bool {
	return strings.Count(value, `"`)%2 == 0 && !strings.Contains(value, `\`) &&
		!strings.ContainsFunc(value, isControl)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// HasCookie reports whether the request certainly has a cookie of this name.
func HasCookie(f Fields, name string) bool {
	jar, ok := Cookies(f)
	return ok && slices.ContainsFunc(jar, func(c Cookie) bool { return c.Name == name })
}
