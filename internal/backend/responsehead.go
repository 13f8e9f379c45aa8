package backend

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"sidecar/internal/httpfield"
)

// maxFields is how many field lines a head may have, and a trailer section too.
const maxFields = 1000

// ErrMalformed means that the backend answered with something that cannot be read for certain (RFC
// 9112), or that is beyond all bounds. No error that wraps it tells values of fields, which may be
// secret.
var ErrMalformed = errors.New("the backend's answer cannot be read for certain")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// readHead reads at most so many lines up to an empty one. left is how many bytes all heads of the
// answer may still have.
func (c *conn) readHead(left *int, lines int) (string, error) {
	head, begin := c.room[:0], 0 // begin of the line that is being read
	for {
		part, err := c.read.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return "", malformed("its head has more than %d bytes", maxHead)
		}
		head = append(head, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		}
		if line := head[begin:]; len(line) == 1 || bytes.Equal(line, []byte("\r\n")) {
			if cap(head) <= maxKept {
				c.room = head
			}
			return string(head), nil
		}
		if lines--; lines < 0 {
			return "", malformed("its head has more than %d fields", maxFields)
		}
		begin = len(head)
	}
}

// A responseHead is a status line with its field lines (RFC 9112 §4, §5).
type responseHead struct {
	minor  int    // of the version: 0 for HTTP/1.0, else 1
	status int    // 100 to 999
	text   string // the status with its reason phrase: "404 Not Found"
	fields http.Header
}

// parseResponseHead reads a head that ends with an empty line. A lone LF ends a line like CRLF
// does (§2.2).
func parseResponseHead(text string) (responseHead, error) {
	line, rest := cutLine(text)
	h, ok := parseStatusLine(line)
	if !ok {
		return h, malformed("it does not begin with a status line of HTTP/1.x")
	}
	var err error
	h.fields, err = parseFields(rest)
	return h, err
}

// parseStatusLine reads HTTP/1.x SP 3DIGIT [SP reason]. The reason may be empty, and as many
// servers do it, missing with its space.
func parseStatusLine(line string) (h responseHead, ok bool) {
	const form = "HTTP/1.x 200"
	if len(line) < len(form) || line[:7] != form[:7] || !isDigit(line[7]) || line[8] != ' ' {
		return h, false
	}
	if line[7] > '0' {
		h.minor = 1
	}
	for _, c := range []byte(line[9:12]) {
		if !isDigit(c) {
			return h, false
		}
		h.status = h.status*10 + int(c-'0')
	}
	if reason := line[len(form):]; reason != "" && reason[0] != ' ' || hasControl(reason) {
		return h, false
	}
	h.text = line[9:]
	return h, h.status >= 100
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// spare has maps without fields.
var spare sync.Pool

// Reuse takes a map without fields for those of another answer. Nothing else may use it any more.
func Reuse(empty http.Header) { spare.Put(empty) }

func newFields(lines int) http.Header {
	if fields, ok := spare.Get().(http.Header); ok {
		return fields
	}
	return make(http.Header, lines)
}

// parseFields reads field lines up to an empty line or the end. Names come out canonical, values
// trimmed, in the order of their lines.
//
// White space between a name and its colon, which a proxy removes from an answer (§5.1), is none of
// either; a line that is folded is put together with a space (§5.2). Any other deviation may hide a
// field or make one up: it is an error.
func parseFields(text string) (http.Header, error) {
	n := strings.Count(text, "\n")
	fields := newFields(n)
	values := make([]string, 0, n) // one array for all
	for {
		line, rest := cutLine(text)
		if line == "" {
			return fields, nil
		}
		if isFolded(rest) {
			line, rest = unfold(line, rest)
		}
		name, value, ok := strings.Cut(line, ":")
		for strings.HasSuffix(name, " ") || strings.HasSuffix(name, "\t") {
			name = name[:len(name)-1]
		}
		name, isToken := httpfield.CanonicalName(name)
		if !ok || !isToken {
			return nil, malformed("a field line without a name that is a token")
		}
		if hasControl(value) {
			return nil, malformed("a control byte in the value of %.40q", name)
		}
		value = httpfield.TrimOWS(value)
		if earlier, ok := fields[name]; ok {
			fields[name] = append(earlier, value)
		} else {
			values = append(values, value)
			fields[name] = values[len(values)-1 : len(values) : len(values)]
		}
		text = rest
	}
}

func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// isFolded reports whether the next line goes on with the one before it (obs-fold, §5.2).
func isFolded(rest string) bool { return rest != "" && (rest[0] == ' ' || rest[0] == '\t') }

// unfold puts the lines together that go on with this one, each behind a space.
func unfold(line, rest string) (whole, after string) {
	var b strings.Builder
	b.WriteString(strings.TrimRight(line, " \t"))
	for isFolded(rest) {
		line, rest = cutLine(rest)
		b.WriteByte(' ')
		b.WriteString(httpfield.TrimOWS(line))
	}
	return b.String(), rest
}
