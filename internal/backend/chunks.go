package backend

import (
	"bufio"
	"bytes"
	"io"
	"math"
)

// Bounds of chunked content, as in net/http.
const (
	maxSizeLine = 4 << 10  // bytes of the line before a chunk
	maxSize     = 16       // its hexadecimal digits
	maxExcess   = 16 << 10 // bytes beside the content, beyond those that short chunks need
)

// A chunkReader reads chunked content up to the last chunk (RFC 9112 §7.1), as strictly as
// net/http does. But net/http waits within a chunk until that has come, or the reader's room is
// full: here a Read waits for its first byte alone, so that a client sees the backend's timing.
type chunkReader struct {
	conn   *conn
	left   int64 // bytes of the present chunk
	begun  bool  // there is one, and the line break behind it is still to be read
	excess int64
	err    error // of all further reads
}

// Read implements io.Reader. io.EOF comes with the last chunk, behind which the trailers are; every
// other error but those of the connection wraps ErrMalformed, or is io.ErrUnexpectedEOF.
func (c *chunkReader) Read(p []byte) (n int, err error) {
	for c.err == nil {
		switch {
		case c.left == 0 && n > 0 && !c.hasLine():
			return n, nil
		case c.left == 0:
			c.err = c.next()
		case n == len(p) || n > 0 && c.conn.read.Buffered() == 0:
			return n, nil
		default:
			got, err := c.conn.readReady(p[n:][:min(int64(len(p)-n), c.left)])
			n, c.left, c.err = n+got, c.left-int64(got), unexpected(err)
		}
	}
	return n, c.err
}

// hasLine reports whether the line before the next chunk has come.
func (c *chunkReader) hasLine() bool {
	come, _ := c.conn.read.Peek(c.conn.read.Buffered())
	return len(come) > 2 && bytes.IndexByte(come[2:], '\n') >= 0
}

// next reads up to the content of the next chunk. It is io.EOF if that is the last one, which has
// none.
func (c *chunkReader) next() error {
	if c.begun {
		var end [2]byte
		if _, err := io.ReadFull(c.conn.read, end[:]); err != nil {
			return unexpected(err)
		}
		if end != [2]byte{'\r', '\n'} {
			return malformed("a chunk that is longer than its size")
		}
	}
	line, err := c.conn.read.ReadSlice('\n')
	switch {
	case err == bufio.ErrBufferFull || len(line) >= maxSizeLine+len("\r\n"):
		return malformed("the line before a chunk has more than %d bytes", maxSizeLine)
	case err != nil:
		return unexpected(err)
	}
	if c.left, err = parseSize(line); err != nil {
		return err
	}
	// each chunk may take 16 bytes, and twice its content
	c.excess = max(0, c.excess+int64(len(line))-16-2*min(c.left, maxExcess))
	switch {
	case c.excess > maxExcess:
		return malformed("its chunks have more beside the content than they may")
	case c.left == 0:
		return io.EOF
	}
	c.begun = true
	return nil
}

// parseSize reads the line before a chunk: the size in hexadecimal digits, with blanks behind it or
// an extension, which says nothing to anybody (§7.1.1).
func parseSize(line []byte) (size int64, err error) {
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.IndexByte(line, '\r') >= 0 {
		return 0, malformed("a line before a chunk does not end with CRLF")
	}
	digits := bytes.TrimRight(line, " \t")
	digits, _, _ = bytes.Cut(digits, []byte(";"))
	for _, d := range digits {
		value := hexValue(d)
		if value < 0 || len(digits) > maxSize || size > math.MaxInt64>>4 {
			return 0, malformed("a chunk whose size is no number, or too large")
		}
		size = size<<4 | int64(value)
	}
	if len(digits) == 0 {
		return 0, malformed("a chunk without a size")
	}
	return size, nil
}

// hexValue is the value of a hexadecimal digit; -1: it is none.
func hexValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// unexpected is the error of a connection that ended within a message.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
