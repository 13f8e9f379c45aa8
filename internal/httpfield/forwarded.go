package httpfield

import "strings"

// A Forwarded is one element of the Forwarded field (RFC 7239), written by one proxy. A parameter
// that is empty or has a control byte is left out.
type Forwarded struct {
	For   string // the client: Node, "unknown", or an obfuscated name that begins with '_'
	By    string // the interface of the proxy: like For
	Host  string // as in the request
	Proto string // "http" or "https"
}

// String is the element as it is sent, `for=192.0.2.1;host="api.example:8080";proto=http`; "" if
// all parameters are empty.
func (f Forwarded) String() string {
	var b strings.Builder
	b.Grow(len("for=;by=;host=;proto=") + len(f.For) + len(f.By) + len(f.Host) + len(f.Proto))
	for _, p := range [...]struct{ name, value string }{{"for", f.For}, {"by", f.By},
		{"host", f.Host}, {"proto", f.Proto}} {
		value := p.value
		if !IsToken(value) {
			quoted, ok := Quote(value)
			if value == "" || !ok {
				continue
			}
			value = quoted
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(p.name)
		b.WriteByte('=')
		b.WriteString(value)
	}
	return b.String()
}

// ParseForwarded reads the elements of a Forwarded field, in order. ok is false where one cannot be
// read for certain (RFC 7239 §4): then nothing of the field is to be believed.
func ParseForwarded(lines []string) (elements []Forwarded, ok bool) {
	members, ok := Members(lines)
	if !ok {
		return nil, false
	}
	for _, member := range members {
		element, ok := parseElement(member)
		if !ok {
			return nil, false
		}
		elements = append(elements, element)
	}
	return elements, true
}

// parseElement reads one element. A parameter that comes twice is none that can be read; others
// than the four are passed over.
func parseElement(text string) (f Forwarded, ok bool) {
	for text != "" {
		end, _ := endOf(text, ';')
		pair := TrimOWS(text[:end])
		if text = strings.TrimPrefix(text[end:], ";"); pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if unquoted, quoted := ParseQuoted(value); quoted {
			value = unquoted
		} else if !IsToken(value) {
			return f, false
		}
		if parameter := f.parameter(name); parameter != nil {
			if *parameter != "" || value == "" {
				return f, false
			}
			*parameter = value
		} else if !IsToken(name) {
			return f, false
		}
	}
	return f, true
}

// parameter is the parameter with this name, in any case; nil: it is none of the four.
func (f *Forwarded) parameter(name string) *string {
	switch strings.ToLower(name) {
	case "for":
		return &f.For
	case "by":
		return &f.By
	case "host":
		return &f.Host
	case "proto":
		return &f.Proto
	}
	return nil
}

// ForwardedTarget is the part of a Forwarded field that concerns the request's target: each element
// without `for` and `by`, and otherwise as it was sent. An element that says nothing else stays as
// an empty one if others say more. Lines that cannot be split for certain stay whole.
func ForwardedTarget(lines []string) string {
	members, ok := Members(lines)
	if !ok {
		return strings.Join(lines, ",")
	}
	any := false
	for i, member := range members {
		members[i] = elementTarget(member)
		any = any || members[i] != ""
	}
	if !any {
		return ""
	}
	return strings.Join(members, ",")
}

func elementTarget(element string) string {
	var kept []string
	for element != "" {
		end, _ := endOf(element, ';')
		if pair := TrimOWS(element[:end]); pair != "" && !isNodePair(pair) {
			kept = append(kept, pair)
		}
		element = strings.TrimPrefix(element[end:], ";")
	}
	return strings.Join(kept, ";")
}

// isNodePair reports whether a pair is certainly `for` or `by` alone, for a reader that knows no
// quotes too.
func isNodePair(pair string) bool {
	name, value, _ := strings.Cut(pair, "=")
	if !strings.EqualFold(name, "for") && !strings.EqualFold(name, "by") {
		return false
	}
	if unquoted, ok := ParseQuoted(value); ok {
		value = unquoted
		return !strings.ContainsAny(value, `\",;= `)
	}
	return IsToken(value)
}

// Node is an address in the form of For and By (§6): an IPv6 address in brackets. "" is "unknown".
func Node(address string) string {
	switch {
	case address == "":
		return "unknown"
	case strings.Contains(address, ":"):
		return "[" + address + "]"
	}
	return address
}
