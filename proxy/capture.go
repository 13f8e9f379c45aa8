package proxy

import (
	"io"
	"slices"
	"sync"

	"sidecar/policy"
)

// A capture keeps a copy of a body as it passes, up to a limit; of a longer one it keeps nothing.
type capture struct {
	content []byte
	limit   int64
	over    bool
}

// newCapture returns a capture of at most limit bytes. length is the length that the body is announced to have, or -1.
func newCapture(limit, length int64) *capture {
	c := &capture{limit: limit, over: length > limit}
	if length > 0 && !c.over {
		c.content = make([]byte, 0, length)
	}
	return c
}

// Write implements io.Writer and never fails.
func (c *capture) Write(b []byte) (int, error) {
	if c.over || int64(len(c.content)+len(b)) > c.limit {
		c.over, c.content = true, nil
		return len(b), nil
	}
	c.content = append(c.content, b...)
	return len(b), nil
}

// A teeBody is a request body of which a capture sees what is read. The transport may still be reading it when the
// backend has answered already, hence the lock.
type teeBody struct {
	io.ReadCloser
	length int64 // as announced; -1 if unknown
	coding string

	mu   sync.Mutex
	seen *capture
	eof  bool
}

func newTeeBody(body io.ReadCloser, limit, length int64, coding string) *teeBody {
	return &teeBody{ReadCloser: body, length: length, coding: coding, seen: newCapture(limit, length)}
}

// Read implements io.Reader.
func (t *teeBody) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = t.seen.Write(b[:n])
	t.eof = t.eof || err == io.EOF
	return n, err
}

// body is what has been seen so far. It is complete only if the end was reached.
func (t *teeBody) body() policy.Body {
	t.mu.Lock()
	defer t.mu.Unlock()
	whole := t.eof || int64(len(t.seen.content)) == t.length
	return policy.Body{Content: slices.Clone(t.seen.content), Coding: t.coding, Complete: whole && !t.seen.over}
}
