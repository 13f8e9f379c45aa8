package wire

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/socket"
)

// A quickWriter writes an answer as net/http does: with a Content-Length where the handler gave one
// or the whole content is short, else in chunks, with trailers. But it does not look into the
// content for a Content-Type: the handler has to set that field, or to nil.
type quickWriter struct {
	conn     *conn
	header   http.Header
	isHead   bool
	status   int   // 0: not known yet
	length   int64 // of the content, as announced; -1: not known yet
	written  int64 // of the content, by the handler
	framing  framing
	trailers []string // announced
	names    []string // of the fields that were written last, sorted
	last     bool     // the connection ends behind it
	held     []byte   // content in front of which the end of the head is still to be written
	out      []byte   // not sent yet
	err      error    // of sending
}

// A framing is how the end of an answer's content is known.
type framing int

const (
	undecided framing = iota // the head has not ended
	contentless
	announced // by Content-Length
	inChunks
)

const (
	maxQuick = 16 << 10 // bytes of an answer that are copied to be sent at once
	maxHeld  = 2 << 10  // bytes of content that wait for the end, as in net/http
)

var chunkEnd = []byte("\r\n")

var quickWriters = sync.Pool{New: func() any { return &quickWriter{header: http.Header{}} }}

func newQuickWriter(c *conn, method string) *quickWriter {
	w := quickWriters.Get().(*quickWriter)
	w.conn, w.isHead, w.length = c, method == http.MethodHead, -1
	return w
}

// release gives the writer back.
func (w *quickWriter) release() {
	if cap(w.out) > 2*maxQuick { // a very long head
		return
	}
	clear(w.header)
	*w = quickWriter{header: w.header, names: w.names, out: w.out[:0], held: w.held[:0]}
	quickWriters.Put(w)
}

// Header implements http.ResponseWriter.
func (w *quickWriter) Header() http.Header { return w.header }

// SetHeader makes header the fields of the answer, in the place of Header. The handler gives it
// away, and has the former Header instead.
func (w *quickWriter) SetHeader(header http.Header) { w.header = header }

// WriteHeader implements http.ResponseWriter. The fields are those of this moment.
func (w *quickWriter) WriteHeader(status int) {
	switch {
	case w.status != 0:
		return
	case status < 200:
		w.appendHead(status)
		w.out = append(w.out, "\r\n"...)
		_ = w.flush()
		return
	}
	w.status = status
	w.readLength()
	for _, line := range w.header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			w.trailers = append(w.trailers, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	w.last = slices.Contains(w.header["Connection"], "close")
	w.appendHead(status)
	if _, ok := w.header["Date"]; !ok {
		w.out = time.Now().UTC().AppendFormat(append(w.out, "Date: "...), http.TimeFormat)
		w.out = append(w.out, "\r\n"...)
	}
	switch {
	case !hasContent(status):
		w.frame(contentless)
	case w.length >= 0:
		w.frame(announced)
	}
}

// hasContent reports whether answers with this status have content.
func hasContent(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// readLength reads the length that the handler has announced.
func (w *quickWriter) readLength() {
	values := w.header["Content-Length"]
	if len(values) == 0 {
		return
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		delete(w.header, "Content-Length")
		return
	}
	w.length = n
}

// frame ends the head.
func (w *quickWriter) frame(f framing) {
	w.framing = f
	if w.conn.phase.Load() == leaving && !w.last {
		w.last = true
		w.out = append(w.out, "Connection: close\r\n"...)
	}
	if f == inChunks && !w.isHead {
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// appendHead writes the status line and the handler's fields.
func (w *quickWriter) appendHead(status int) {
	b := append(w.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	if text := http.StatusText(status); text != "" {
		b = append(append(b, ' '), text...)
	} else {
		b = strconv.AppendInt(append(b, " status code "...), int64(status), 10)
	}
	w.out = append(b, "\r\n"...)
	w.appendFields()
}

// appendFields writes the fields that are the handler's to set, by name. Answers are much alike:
// the names are sorted where they are not those of the answer before.
func (w *quickWriter) appendFields() {
	if len(w.names) != len(w.header) || !w.appendNamed() {
		w.names = slices.AppendSeq(w.names[:0], maps.Keys(w.header))
		slices.Sort(w.names)
		w.appendNamed()
	}
}

// appendNamed writes the fields with these names. It writes nothing, and reports false, if one is
// not there.
func (w *quickWriter) appendNamed() bool {
	b := w.out
	for _, name := range w.names {
		values, ok := w.header[name]
		if !ok {
			return false
		}
		if !w.isSent(name) {
			continue
		}
		for _, value := range values {
			b = append(append(b, name...), ": "...)
			b = append(append(b, httpfield.TrimOWS(value)...), "\r\n"...)
		}
	}
	w.out = b
	return true
}

// isSent reports whether a field of the handler's is sent with this status, as by net/http: an
// answer that has no content announces none. The status is not known yet of an informational one.
func (w *quickWriter) isSent(name string) bool {
	switch name {
	case "Transfer-Encoding":
		return false
	case "Content-Length":
		return hasContent(w.status)
	case "Content-Type":
		return w.status != http.StatusNotModified
	}
	return !strings.HasPrefix(name, http.TrailerPrefix)
}

// Write implements io.Writer.
func (w *quickWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.framing == contentless {
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	switch {
	case w.length >= 0 && w.written > w.length:
		return 0, http.ErrContentLength
	case w.isHead || len(p) == 0:
		return len(p), w.err
	case w.framing == announced:
		return len(p), w.send(p, nil)
	case w.framing == undecided && w.written <= maxHeld:
		w.held = append(w.held, p...)
		return len(p), nil
	}
	if err := w.begin(); err != nil {
		return 0, err
	}
	return len(p), w.sendChunk(p)
}

// begin ends the time in which the head may wait for the end of the content.
func (w *quickWriter) begin() error {
	if w.framing != undecided {
		return w.err
	}
	w.frame(inChunks)
	if len(w.held) == 0 {
		return w.err
	}
	return w.sendChunk(w.held)
}

// sendChunk sends a piece of the content that is not empty, as a chunk (RFC 9112 §7.1).
func (w *quickWriter) sendChunk(p []byte) error {
	w.out = append(strconv.AppendInt(w.out, int64(len(p)), 16), "\r\n"...)
	return w.send(p, chunkEnd)
}

// send takes bytes to be sent, with those that end them, if they are few. Else it sends them behind
// those that wait.
func (w *quickWriter) send(p, end []byte) error {
	if len(w.out)+len(p) <= maxQuick {
		w.out = append(append(w.out, p...), end...)
		return w.err
	}
	if w.err == nil {
		w.err = w.conn.writeAll(socket.Parts{w.out, p, end})
		w.out = w.out[:0]
	}
	return w.err
}

// FlushError is for http.ResponseController.
func (w *quickWriter) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	_ = w.begin()
	return w.flush()
}

// flush sends the bytes that wait.
func (w *quickWriter) flush() error {
	if len(w.out) > 0 && w.err == nil {
		_, w.err = w.conn.Write(w.out)
		w.out = w.out[:0]
	}
	return w.err
}

// finish ends the answer and sends the rest of it.
func (w *quickWriter) finish() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.framing == undecided && !w.hasTrailers() {
		if w.isHead && w.written == 0 || w.written > maxHeld {
			w.frame(contentless) // of a HEAD: nobody knows how much a GET would have
		} else {
			w.out = strconv.AppendInt(append(w.out, "Content-Length: "...), w.written, 10)
			w.out = append(w.out, "\r\n"...)
			w.length = w.written
			w.frame(announced)
			_ = w.send(w.held, nil)
		}
	}
	_ = w.begin()
	switch {
	case w.isHead:
	case w.framing == inChunks:
		w.out = append(w.out, "0\r\n"...)
		w.appendTrailers()
		w.out = append(w.out, "\r\n"...)
	case w.framing == announced && w.written != w.length:
		w.last = true // the client sees that something is missing, or is sent no more than that
	}
	return w.flush()
}

// hasTrailers reports whether the handler has announced trailers, or set some.
func (w *quickWriter) hasTrailers() bool {
	for name := range w.header {
		if name == "Trailer" || strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// appendTrailers writes the trailers that were announced, and those with http.TrailerPrefix.
func (w *quickWriter) appendTrailers() {
	trailers := make(http.Header)
	for _, name := range w.trailers {
		trailers[name] = w.header[name]
	}
	for name, values := range w.header {
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			trailers[bare] = append(trailers[bare], values...)
		}
	}
	w.header = trailers
	w.appendFields()
}
