package wire

import (
	"bytes"
	"strings"
)

// A scanner follows the bytes of one connection over HTTP/1.x from request to request, and sees to
// it that the server behind it gets only heads that cannot be read in two ways (RFC 9112 §2.2,
// §5.2, §6.1): no bare LF, no obs-fold, no Transfer-Encoding before HTTP/1.1, no length that is no
// number.
//
// It must never believe that a head begins where the server does not. It therefore knows fewer
// framings than the server does: content that is counted, or chunked in the strict form. Anything
// else ends the scan and the connection. A scanner does no I/O.
type scanner struct {
	state  state
	first  bool // no request has begun yet
	writes bool // one that may change something has passed since answered was called
	blank  bool // line breaks have passed since the last request
	method string
	is11   bool // the request is of HTTP/1.1

	line   [maxLine]byte // the beginning of the line that is being read
	length int           // of that line so far
	end    byte          // its last byte
	tail   [9]byte       // its last bytes before the LF

	counts    string // the value of Content-Length; "": there is none
	codings   int    // lines of Transfer-Encoding
	chunked   bool
	webSocket bool
	last      bool // nothing may follow this request
	left      int64
}

// maxLine is how much of a line is looked at: more than any that frames a message needs.
const maxLine = 128

type state int

const (
	between  state = iota // two requests; line breaks are the server's to judge
	requests              // the request line
	fields                // field lines
	counted               // content with a Content-Length
	sizes                 // the line before a chunk
	chunks                // a chunk
	breaks                // the line break after a chunk
	trailers              // field lines after the last chunk
	preface               // the rest of HTTP/2's preface behind its first line
	raw                   // not HTTP/1.x, or no longer: all passes
	over                  // nothing passes
)

func newScanner() scanner { return scanner{first: true} }

// scan looks at the next bytes. The first n of them may pass, changed in place where the server is
// to refuse them, and then insert. Bytes behind n are to be scanned again, unless the state is
// over.
func (s *scanner) scan(p []byte) (n int, insert string) {
	for n < len(p) {
		switch s.state {
		case between:
			if p[n] == '\r' || p[n] == '\n' {
				s.blank = true
				n++
				continue
			}
			s.begin()
		case requests, fields, sizes, trailers:
			used, refused, text := s.scanLine(p[n:])
			n += used
			if refused || text != "" {
				return n, text
			}
		case counted, chunks:
			used := int(min(s.left, int64(len(p)-n)))
			n += used
			if s.left -= int64(used); s.left > 0 {
				return n, ""
			}
			if s.state == chunks {
				s.state, s.length = breaks, 0
			} else {
				s.next()
			}
		case breaks:
			if p[n] != "\r\n"[s.length] {
				n, _, insert = s.refuse(p, n)
				return n, insert
			}
			n++
			if s.length++; s.length == 2 {
				s.state, s.length = sizes, 0
			}
		case preface:
			if p[n] != http2Rest[s.length] {
				n, _, insert = s.refuse(p, n)
				return n, insert
			}
			n++
			if s.length++; s.length == len(http2Rest) {
				s.state = raw
			}
		case raw:
			return len(p), ""
		case over:
			return n, ""
		}
	}
	return n, ""
}

// begin is called with the first byte of a request.
func (s *scanner) begin() {
	*s = scanner{state: requests, first: s.first, writes: s.writes}
}

// next is called at the end of a request.
func (s *scanner) next() {
	s.state, s.first = between, false
	s.writes = s.writes || s.method != "GET" && s.method != "HEAD"
	if s.last {
		s.state = over
	}
}

// A connection of HTTP/2 begins with these two (RFC 9113 §3.4).
const (
	http2Line = "PRI * HTTP/2.0"
	http2Rest = "\r\nSM\r\n\r\n"
)

// refuse ends a head behind a byte that was replaced by NUL, which no head may hold: the server
// answers 400 at once.
const refuse = "\r\n\r\n"

// scanLine looks at bytes of a line, up to its end. refused: the bytes behind them do not pass.
func (s *scanner) scanLine(p []byte) (n int, refused bool, insert string) {
	// obs-fold
	if s.length == 0 && (s.state == fields || s.state == trailers) &&
		(p[0] == ' ' || p[0] == '\t') {
		return s.refuse(p, 0)
	}
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		s.note(p)
		return len(p), false, ""
	}
	s.note(p[:i])
	if s.length == 0 || s.end != '\r' { // a bare LF
		return s.refuse(p, i)
	}
	ok, insert := s.endLine()
	s.length = 0
	if !ok {
		return s.refuse(p, i)
	}
	return i + 1, false, insert
}

// refuse lets nothing pass from p[i] on but bytes that the server is certain to refuse: NUL, and
// insert behind it. Within a head it answers 400. Within content the read fails, as it does not for
// a client that leaves, so that the handler can still answer.
func (s *scanner) refuse(p []byte, i int) (n int, refused bool, insert string) {
	switch s.state {
	case requests, fields:
		insert = refuse
	case preface:
		if s.length >= len("\r\n") {
			s.state = over
			return i, true, ""
		}
		insert = refuse
	case sizes:
		insert = "\r\r\n" // a CR within the line, also where that ends in an extension
	case breaks:
		insert = "\x00" // no line break behind a chunk
	case trailers:
		insert = refuse // a line without a colon
		if s.length > 0 {
			insert = "\r\n\x00" + refuse
		}
	}
	s.state = over
	p[i] = 0
	return i + 1, true, insert
}

// note reads a line of the head.
func (s *scanner) note(p []byte) {
	if len(p) == 0 {
		return
	}
	if s.length < maxLine {
		copy(s.line[s.length:], p)
	}
	s.length += len(p)
	s.end = p[len(p)-1]
	if s.state == requests {
		s.noteTail(p)
	}
}

// noteTail keeps the last bytes of the request line.
func (s *scanner) noteTail(p []byte) {
	if len(p) >= len(s.tail) {
		copy(s.tail[:], p[len(p)-len(s.tail):])
		return
	}
	copy(s.tail[:], s.tail[len(p):])
	copy(s.tail[len(s.tail)-len(p):], p)
}

// endLine is called at the end of a line. It reports whether the line may pass.
func (s *scanner) endLine() (ok bool, insert string) {
	line := s.line[:min(s.length, maxLine)]
	whole := s.length <= maxLine
	if whole {
		line = line[:len(line)-1] // without the CR
	}
	switch s.state {
	case requests:
		method, _, _ := bytes.Cut(line, []byte(" "))
		s.method, s.is11, s.state = methodOf(method), string(s.tail[:]) == "HTTP/1.1\r", fields
		if string(line) == http2Line {
			s.state = preface
			return s.first, ""
		}
		return true, ""
	case fields:
		if len(line) > 0 {
			return s.field(line, whole)
		}
		s.endHead()
		return true, ""
	case trailers:
		if len(line) == 0 {
			s.next()
		}
		return true, ""
	}
	return whole && s.chunkSize(string(line)), ""
}

// methodOf is a method as a string, which the usual ones are without an allocation.
func methodOf(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	case "POST":
		return "POST"
	}
	return string(b)
}

// field takes note of a field that frames the message or switches the protocol.
func (s *scanner) field(line []byte, whole bool) (ok bool, insert string) {
	switch line[0] | 0x20 {
	case 'c', 't', 'u':
	default:
		return true, ""
	}
	name, text, _ := bytes.Cut(line, []byte(":"))
	switch text = bytes.Trim(text, " \t"); {
	case bytes.EqualFold(name, []byte("Content-Length")):
		value := string(text)
		if !whole || !isCount(value) || s.counts != "" && s.counts != value {
			return false, ""
		}
		if s.counts == "" && s.codings > 0 {
			insert = s.close()
		}
		s.counts = value
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if !whole || !s.is11 { // RFC 9112 §6.1: the framing of such a message is faulty
			return false, ""
		}
		if s.codings == 0 && s.counts != "" {
			insert = s.close()
		}
		s.codings++
		s.chunked = bytes.EqualFold(text, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Upgrade")):
		// Behind it may come anything. Where the protocol is not switched nothing comes.
		if s.webSocket = bytes.EqualFold(text, []byte("websocket")); s.webSocket {
			insert = s.close()
		}
	}
	return true, insert
}

// close makes the request the last one. One with both framings is, since somebody on its way may
// have read the other one (RFC 9112 §6.1). The server hears of it as if the client had asked for
// it.
func (s *scanner) close() string {
	if s.last {
		return ""
	}
	s.last = true
	return "Connection: close\r\n"
}

// endHead reads the framing of the content behind the head.
func (s *scanner) endHead() {
	switch {
	case s.codings > 1 || s.codings == 1 && !s.chunked:
		s.state = over // the server refuses it
	case s.codings == 1:
		s.state = sizes
	case strings.Trim(s.counts, "0") != "":
		s.state, s.left = counted, 0
		for _, digit := range []byte(s.counts) {
			s.left = s.left*10 + int64(digit-'0')
		}
	case s.webSocket && s.method == "GET" && s.is11:
		s.state = raw
	default:
		s.next()
	}
}

// isCount reports whether the value is a number that an int64 holds.
func isCount(value string) bool {
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
	}
	return value != "" && len(value) <= 18
}

// chunkSize reads the line before a chunk (RFC 9112 §7.1): a number, and perhaps an extension.
func (s *scanner) chunkSize(line string) bool {
	digits := 0
	s.left = 0
	for ; digits < len(line); digits++ {
		d := hexDigit(line[digits])
		if d < 0 {
			break
		}
		s.left = s.left<<4 | int64(d)
	}
	rest := strings.TrimRight(line[digits:], " \t")
	if digits == 0 || digits > 15 || rest != "" && rest[0] != ';' ||
		strings.ContainsAny(rest, "\r\x00") {
		return false
	}
	if s.state = chunks; s.left == 0 {
		s.state = trailers
	}
	return true
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// beforeContent reports whether the scan is between two requests or within a head.
func (s *scanner) beforeContent() bool {
	return s.state == between || s.state == requests || s.state == fields
}

// answered is called when the server has answered all the requests that have passed whole.
func (s *scanner) answered() { s.writes = false }
