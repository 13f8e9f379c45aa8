package proxy

import (
	"errors"
	"io"
	"sync"

	"sidecar/internal/reason"
)

// errLeft is what a tail's reader gets when its client has left.
var errLeft = errors.New("the client left")

// A tail is an answer's body that is taken in hand as fast as the backend sends it, while the one client that is being answered follows at its own pace.
// A slow client keeps nobody waiting who wants the same. What grows over the limit is left to the reader.
type tail struct {
	body   io.ReadCloser // the backend's
	length int64         // as announced; -1 if unknown
	limit  int64
	came   func() // called for each piece that the backend sends

	mu      sync.Mutex
	changed sync.Cond
	content []byte // as far as the reader may see it
	err     error  // io.EOF when the body is complete
	over    bool   // the rest is still in body, for the reader
	left    bool   // the reader is gone

	read int // by the reader
}

func newTail(body io.ReadCloser, length, limit int64, came func()) *tail {
	t := &tail{body: body, length: length, limit: limit, came: came}
	t.changed.L = &t.mu
	if length > 0 {
		t.content = make([]byte, 0, min(length, limit))
	}
	return t
}

// pump takes the body in hand. complete is called with all of it before the reader can see that it is. It returns why there
// is no complete body within the limit; "" if there is.
func (t *tail) pump(complete func(content []byte)) reason.Reason {
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	for {
		n, err := t.body.Read(buf[:])
		t.came()
		t.mu.Lock()
		content := append(t.content, buf[:n]...)
		t.mu.Unlock()
		switch {
		case int64(len(content)) > t.limit:
			t.publish(content, nil, true)
			return reason.TooLarge
		case err == io.EOF, err == nil && int64(len(content)) == t.length:
			complete(content)
			t.publish(content, io.EOF, false)
			_ = t.body.Close()
			return ""
		case err != nil:
			t.publish(content, err, false)
			_ = t.body.Close()
			return reason.Incomplete
		}
		t.publish(content, nil, false)
	}
}

func (t *tail) publish(content []byte, err error, over bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.content, t.err, t.over = content, err, over
	if over && t.left {
		_ = t.body.Close()
	}
	t.changed.Broadcast()
}

// Read implements io.Reader.
func (t *tail) Read(b []byte) (int, error) {
	t.mu.Lock()
	for t.read == len(t.content) && t.err == nil && !t.over && !t.left {
		t.changed.Wait()
	}
	n := copy(b, t.content[t.read:])
	t.read += n
	err, over, left := t.err, t.over, t.left
	t.mu.Unlock()
	switch {
	case n > 0:
		return n, nil
	case left:
		return 0, errLeft
	case over:
		return t.body.Read(b)
	}
	return 0, err
}

// Close says that the reader is gone. The body is taken in hand all the same, where it has not grown over the limit.
func (t *tail) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = true
	t.changed.Broadcast()
	if t.over {
		return t.body.Close()
	}
	return nil
}
