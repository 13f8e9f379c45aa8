package httpfield

import (
	"slices"
	"strings"
)

// A Cookie is one pair of a Cookie field (RFC 6265 §4.2.1).
type Cookie struct {
	Name, Value string
	Unclear     bool // parsers disagree about it: a pair without a certain name, or a whole line
}

// Cookies splits the Cookie fields at every ';'. Two cases stay whole and unclear, so that requests
// that differ in them are different callers: a line in which the split leaves a quotation mark
// open, because some parsers take the ';' for part of the value; and a pair without a certain name,
// because some parsers trim or unquote a name, or take a pair without '=' for a value.
func Cookies(f Fields) []Cookie {
	var jar []Cookie
	for _, line := range f.Values("Cookie") {
		if strings.Contains(line, `"`) && slices.ContainsFunc(strings.Split(line, ";"), oddQuotes) {
			jar = append(jar, Cookie{Value: line, Unclear: true})
			continue
		}
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.Trim(pair, " \t")
			name, value, ok := strings.Cut(pair, "=")
			name = strings.TrimRight(name, " \t")
			switch {
			case pair == "":
			case !ok || name == "" || strings.ContainsFunc(name, odd):
				jar = append(jar, Cookie{Value: pair, Unclear: true})
			default:
				jar = append(jar, Cookie{Name: name, Value: strings.TrimLeft(value, " \t")})
			}
		}
	}
	return jar
}

// oddQuotes reports whether s leaves a quotation mark open, to a parser with escapes (RFC 9110
// §5.6.4) or to one without.
func oddQuotes(s string) bool {
	all := strings.Count(s, `"`)
	escaped := strings.Count(strings.ReplaceAll(s, `\\`, ""), `\"`)
	return all%2 == 1 || (all-escaped)%2 == 1
}

func odd(r rune) bool { return r <= ' ' || r == '"' || r >= 0x7f }

// HasCookie reports whether the request certainly has a cookie of this name.
func HasCookie(f Fields, name string) bool {
	return slices.ContainsFunc(Cookies(f), func(c Cookie) bool {
		return c.Name == name && !c.Unclear
	})
}
