package backend

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"sync"

	"sidecar/internal/httpfield"
)

// errBodyClosed is the error of a read from a closed body.
var errBodyClosed = errors.New("the answer's body is closed")

// Suspect reports whether the answer's framing says two things, so that somebody on its way may
// have read another content than this package did (RFC 9112 §6.1, §11.1): Transfer-Encoding with
// Content-Length or in HTTP/1.0. Such an answer is passed on as it was read, and must not be
// stored.
//
// resp has its body as RoundTrip gave it.
func Suspect(resp *http.Response) bool {
	b, ok := resp.Body.(*body)
	return ok && b.suspect
}

// A body is the content of an answer, read from its connection as it is wanted. One goroutine may
// close it while another reads.
type body struct {
	*exchange
	kind     contentKind
	reusable bool // the connection, after the end
	suspect  bool

	mu       sync.Mutex  // held while reading
	left     int64       // of counted content
	chunks   chunkReader // of chunked content
	trailing bool        // chunks has ended, and the trailers are still to come
	err      error       // the error of every Read from now on
}

// body is the body of the answer, which has content.
func (x *exchange) body(f framing) *body {
	b := &x.content
	b.exchange, b.kind, b.left = x, f.kind, f.length
	b.reusable, b.suspect = f.reusable, f.suspect
	if b.kind == chunked {
		b.chunks.conn = x.conn
	}
	return b
}

// Read implements io.Reader. io.EOF means that the content is complete; the trailers are there
// then.
func (b *body) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.err != nil:
		return 0, b.err
	case b.ctx.Err() != nil:
		err = b.ctx.Err()
	case b.kind == counted:
		n, err = b.readCounted(p)
	case b.kind == chunked:
		n, err = b.readChunked(p)
	default:
		n, err = b.conn.read.Read(p)
	}
	if err != nil {
		b.finish(err)
	}
	return n, b.err
}

// finish is called once with the error that ended the content.
func (b *body) finish(err error) {
	b.end(err == io.EOF && b.reusable)
	if err != io.EOF {
		err = b.cause(err)
	}
	b.err = err
}

func (b *body) readCounted(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.conn.readReady(p)
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF // with the last piece: who counts does not read again
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *body) readChunked(p []byte) (n int, err error) {
	if !b.trailing {
		if n, err = b.chunks.Read(p); err != io.EOF {
			return n, err
		}
		b.trailing = true
		if n > 0 && b.conn.read.Buffered() < len("\r\n") {
			return n, nil // these bytes need not wait for the trailers
		}
	}
	return n, b.readTrailers()
}

// readTrailers reads the trailer section (RFC 9112 §7.1.2); io.EOF if that was well. Fields that
// may not be there are dropped.
func (b *body) readTrailers() error {
	limit := maxHead
	text, err := b.conn.readHead(&limit, maxFields)
	if err != nil {
		return err
	}
	if len(text) > len("\r\n") {
		fields, err := parseFields(text)
		if err != nil {
			return err
		}
		httpfield.KeepTrailers(fields)
		if b.answer.Trailer == nil && len(fields) > 0 {
			b.answer.Trailer = make(http.Header, len(fields))
		}
		maps.Copy(b.answer.Trailer, fields)
	}
	return io.EOF
}

// Close implements io.Closer. A connection on which content is still to come is closed, and a Read
// that waits for it fails.
func (b *body) Close() error {
	if !b.mu.TryLock() {
		b.end(false)
		return nil
	}
	defer b.mu.Unlock()
	if b.err != nil {
		return nil
	}
	// it is here: the connection is saved by passing over it
	if b.kind == counted && int64(b.conn.read.Buffered()) >= b.left {
		_, _ = b.conn.read.Discard(int(b.left))
		b.end(b.reusable)
	}
	b.end(false)
	b.err = errBodyClosed
	return nil
}
