package backend

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sidecar/internal/httpfield"
)

// maxKept is how large a buffer may have grown to be used again.
const maxKept = 64 << 10

// requests are buffers to write requests in.
var requests = sync.Pool{New: func() any { return new([]byte) }}

func putRequest(b *[]byte) {
	if cap(*b) <= maxKept {
		requests.Put(b)
	}
}

// A field is one of a request.
type field struct {
	name   string
	values []string
}

// appendRequest appends the head of a request to b, byte by byte as net/http would write it: Host,
// User-Agent, the framing of its content, and then the other fields by name. A field whose values
// are nil is not sent. host is sent where out has none.
func appendRequest(b []byte, out *Request, host string, content *content) ([]byte, error) {
	target := out.URL.RequestURI()
	if hasControl(target) || strings.IndexByte(target, '\t') >= 0 {
		return b, errors.New("the request has a control byte in its target")
	}
	if !httpfield.IsToken(out.Method) {
		return b, errors.New("the request has a method that is no token")
	}
	if out.Host != "" {
		host = out.Host
	}
	if !isPlainHost(host) {
		return b, errors.New("the request has a host that is none")
	}
	b = append(append(append(b, out.Method...), ' '), target...)
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), host...), "\r\n"...)
	var room [32]field // enough for nearly all requests, and not on the heap
	fields, agent, err := room[:0], "", error(nil)
	out.each(func(name string, values []string) {
		if err == nil {
			err = checkField(name, values)
		}
		switch {
		case name == "User-Agent" && len(values) > 0:
			agent = values[0]
		case !isWrittenApart(name):
			fields = append(fields, field{name, values})
		}
	})
	if err != nil {
		return b, err
	}
	if agent != "" {
		b = appendField(b, "User-Agent", agent)
	}
	b = appendFraming(b, out.Method, content)
	slices.SortFunc(fields, func(x, y field) int { return strings.Compare(x.name, y.name) })
	for _, f := range fields {
		for _, value := range f.values {
			b = appendField(b, f.name, value)
		}
	}
	return append(b, "\r\n"...), nil
}

// appendFraming appends the fields that say how long the content is (RFC 9112 §6). Of a request
// without content that usually has some, it is said that it has none (RFC 9110 §8.6).
func appendFraming(b []byte, method string, c *content) []byte {
	switch {
	case c == nil &&
		(method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch):
		return append(b, "Content-Length: 0\r\n"...)
	case c == nil:
		return b
	case c.length >= 0:
		return append(strconv.AppendInt(append(b, "Content-Length: "...), c.length, 10), "\r\n"...)
	}
	b = append(b, "Transfer-Encoding: chunked\r\n"...)
	if names := trailerNames(c.trailer); len(names) > 0 {
		b = appendField(b, "Trailer", strings.Join(names, ","))
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, httpfield.TrimOWS(value)...), "\r\n"...)
}

// isWrittenApart reports whether the field is not written from the header: it is the target's, or
// frames a message.
func isWrittenApart(name string) bool {
	switch name {
	case "Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer":
		return true
	}
	return false
}

// checkField refuses a field that could be read as two. Values are not told: they may be secret.
func checkField(name string, values []string) error {
	if !httpfield.IsToken(name) {
		return fmt.Errorf("the request has a field name that is no token: %.40q", name)
	}
	for _, v := range values {
		if hasControl(v) {
			return fmt.Errorf("the request has a control byte in the value of %.40q", name)
		}
	}
	return nil
}

// hasControl reports whether a field value has a byte that none may have (RFC 9110 §5.5): a
// control byte other than a tab.
func hasControl(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
			return true
		}
	}
	return false
}

// isPlainHost reports whether the host can be sent as it is: all its characters are allowed by RFC
// 3986 §3.2.
func isPlainHost(host string) bool {
	for i := range len(host) {
		if !inHosts[host[i]] {
			return false
		}
	}
	return true
}

var inHosts = func() (in [256]bool) {
	for c := range in {
		in[c] = c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' ||
			strings.IndexByte("-._~:!$&'()*+,;=[]%", byte(c)) >= 0
	}
	return in
}()
