package wire

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A quickWriter writes an answer as net/http does. The handler has to say how long the content is,
// and everything else that net/http would add: Date and Content-Type, or nil for none.
type quickWriter struct {
	conn   *conn
	header http.Header
	begun  bool
	last   bool   // the connection ends behind it
	out    []byte // not sent yet
	err    error  // of sending
}

// maxQuick is how many bytes of an answer are copied to be sent at once.
const maxQuick = 16 << 10

var quickWriters = sync.Pool{New: func() any { return &quickWriter{header: make(http.Header, 16)} }}

// release gives the writer back.
func (w *quickWriter) release() {
	clear(w.header)
	*w = quickWriter{header: w.header, out: w.out[:0]}
	quickWriters.Put(w)
}

// Header implements http.ResponseWriter.
func (w *quickWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *quickWriter) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun, w.last = true, slices.Contains(w.header["Connection"], "close")
	b := append(w.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	if text := http.StatusText(status); text != "" {
		b = append(append(b, ' '), text...)
	} else {
		b = strconv.AppendInt(append(b, " status code "...), int64(status), 10)
	}
	b = append(b, "\r\n"...)
	var room [32]string
	names := room[:0]
	for name := range w.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range w.header[name] {
			b = append(append(b, name...), ": "...)
			b = append(append(b, strings.Trim(value, " \t")...), "\r\n"...)
		}
	}
	w.out = append(b, "\r\n"...)
}

// Write implements io.Writer.
func (w *quickWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if len(w.out)+len(p) <= maxQuick {
		w.out = append(w.out, p...)
		return len(p), nil
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	n, err := w.conn.Write(p)
	w.err = err
	return n, err
}

// flush sends the buffered bytes.
func (w *quickWriter) flush() error {
	if len(w.out) > 0 && w.err == nil {
		_, w.err = w.conn.Write(w.out)
		w.out = w.out[:0]
	}
	return w.err
}
