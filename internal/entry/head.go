package entry

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"sidecar/internal/httpfield"
)

// appendHead appends the field lines, sorted by name; lines of one name keep their order.
func appendHead(b []byte, fields http.Header) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !isName(name) {
			return nil, fmt.Errorf("%w: a field name that is no canonical token", ErrFields)
		}
		if isPerAnswer(name) {
			continue
		}
		for _, value := range fields[name] {
			value = strings.Trim(value, " \t") // not part of the value (RFC 9110 §5.5)
			if !isValue(value) {
				return nil, fmt.Errorf("%w: a control byte in %s", ErrFields, name)
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, value...)
			b = append(b, "\r\n"...)
		}
	}
	return b, nil
}

// isHead reports whether b is a head as appendHead writes it: sorted, and nothing in it can end the
// head early, frame a message or be read in two ways.
func isHead(b []byte) bool {
	var last []byte
	for len(b) > 0 {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return false
		}
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok || !isName(string(name)) || isPerAnswer(string(name)) || !isValue(string(value)) ||
			bytes.Compare(name, last) < 0 {
			return false
		}
		b, last = rest, name
	}
	return true
}

// cutLine cuts the first line off a head: no name has a colon, and no value a carriage return.
func cutLine(head string) (name, value, rest string) {
	colon := strings.IndexByte(head, ':')
	end := strings.IndexByte(head, '\r')
	return head[:colon], head[colon+len(": ") : end], head[end+len("\r\n"):]
}

func hasLine(head, name string) bool {
	return strings.HasPrefix(head, name+": ") || strings.Contains(head, "\r\n"+name+": ")
}

// isPerAnswer reports whether the field is written anew for each response: framing, hop-by-hop
// fields and Age.
func isPerAnswer(name string) bool {
	return name == "Age" || name == "Content-Length" || name == "Trailer" ||
		httpfield.IsHopByHop(name)
}

// isName reports whether s is a field name in the form of http.CanonicalHeaderKey. Any other
// spelling, such as "content-length", would pass isPerAnswer and still frame the message.
func isName(s string) bool {
	name, ok := httpfield.CanonicalName(s)
	return ok && name == s
}

// isValue reports whether s can stand in a field line: no control byte but a tab, and no space at
// either end (RFC 9110 §5.5).
func isValue(s string) bool {
	if s == "" {
		return true
	}
	if isSpace(s[0]) || isSpace(s[len(s)-1]) {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
