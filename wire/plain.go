package wire

import (
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"sidecar/internal/httpfield"
)

// plainRequest reads a head, without its last empty line, as net/http does. ok is false outside the
// subset that is read here.
//
// The subset: a method of GET or HEAD, a target that begins with '/', HTTP/1.1; field names that
// are tokens, directly before the colon; values of visible ASCII, blanks and tabs; one Host; and no
// field by which a connection, its framing or its protocol would change, or that net/http changes
// itself.
func (c *conn) plainRequest(head string) (r *http.Request, ok bool) {
	line, fields, _ := strings.Cut(head, "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(rest, " ")
	if method != http.MethodGet && method != http.MethodHead || proto != "HTTP/1.1" ||
		!strings.HasPrefix(target, "/") || !isVisible(target) {
		return nil, false
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, false
	}
	header, host, ok := plainFields(fields)
	if !ok {
		return nil, false
	}
	if c.remote == "" {
		c.remote = c.RemoteAddr().String()
	}
	return &http.Request{
		Method: method, URL: u, RequestURI: target, Proto: proto, ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Host: host, Body: http.NoBody, RemoteAddr: c.remote,
	}, true
}

// plainFields reads field lines.
func plainFields(lines string) (header http.Header, host string, ok bool) {
	n := strings.Count(lines, "\r\n")
	header, values := make(http.Header, n), make([]string, 0, n)
	for lines != "" {
		var line string
		line, lines, ok = strings.Cut(lines, "\r\n")
		name, value, found := strings.Cut(line, ":")
		value = httpfield.TrimOWS(value)
		if !ok || !found || !isName(name) || !isValue(value) {
			return nil, "", false
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case name == "Host":
			if host != "" || !isHost(value) {
				return nil, "", false
			}
			host = value
			continue
		case !isPlainField(name, value):
			return nil, "", false
		}
		if before := header[name]; before != nil {
			header[name] = append(before, value)
			continue
		}
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return header, host, host != ""
}

// isPlainField reports whether net/http treats the field as any other, for the connection too.
func isPlainField(name, value string) bool {
	switch name {
	case "Connection":
		return value == "keep-alive" || value == "Keep-Alive"
	case "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Expect",
		"Upgrade", "Http2-Settings",
		"Keep-Alive", "Proxy-Connection", "Pragma":
		return false
	}
	return true
}

func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func isValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// isName accepts fewer names than are tokens.
func isName(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != ""
}

// isHost accepts fewer hosts than net/http.
func isHost(s string) bool {
	for i := range len(s) {
		if !isAlphanumeric(s[i]) && strings.IndexByte("-._:[]", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlphanumeric(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }
