package caller

import (
	"slices"
	"strings"

	"sidecar/internal/httpfield"
)

// A cookie is one pair of a Cookie field (RFC 6265 §4.2.1).
type cookie struct {
	name, value string
	unclear     bool // a whole field line of which parsers disagree where its cookies end
}

// cookies splits the Cookie fields at every ';'. A line with a quotation mark that such a split would leave open stands for
// itself: some parsers take the ';' for part of the value, so that two lines that differ are two callers.
func cookies(f httpfield.Fields) []cookie {
	var jar []cookie
	for _, line := range f.Values("Cookie") {
		if strings.Contains(line, `"`) && slices.ContainsFunc(strings.Split(line, ";"), oddQuotes) {
			jar = append(jar, cookie{value: line, unclear: true})
			continue
		}
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); name != "" || value != "" {
				jar = append(jar, cookie{name: name, value: strings.TrimSpace(value)})
			}
		}
	}
	return jar
}

func oddQuotes(s string) bool { return strings.Count(s, `"`)%2 == 1 }

// HasCookie reports whether the request brings a cookie of this name, for certain.
func HasCookie(f httpfield.Fields, name string) bool {
	return slices.ContainsFunc(cookies(f), func(c cookie) bool { return c.name == name && !c.unclear })
}
