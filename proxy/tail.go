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
// A slow client keeps nobody waiting who wants the same. What grows over the limit is left to the reader; so is what is too long to be held (spill).
type tail struct {
	body   io.ReadCloser // the backend's; what spill returned, once it is over
	length int64         // as announced; -1 if unknown
	limit  int64
	came   func()                                                                  // called for each piece that the backend sends
	hand   int64                                                                   // how much is taken in hand at the most, where there is a spill
	spill  func(content []byte, err error) (rest io.ReadCloser, why reason.Reason) // nil: all up to the limit is taken in hand

	mu      sync.Mutex
	changed sync.Cond
	content []byte // as far as the reader may see it
	err     error  // io.EOF when the body is complete
	over    bool   // the rest is still in body, for the reader; content is let go when that has seen it
	left    bool   // the reader is gone

	read int // by the reader
}

func newTail(body io.ReadCloser, length, limit int64, came func()) *tail {
	t := &tail{body: body, length: length, limit: limit, came: came, hand: limit}
	t.changed.L = &t.mu
	return t
}

// spillAbove makes what is longer than hand go over to spill, before pump is called. It is called once, with what came so far and the error that came with the last
// of it, and returns what the reader reads of then on, or why nothing will be stored.
func (t *tail) spillAbove(hand int64, spill func(content []byte, err error) (io.ReadCloser, reason.Reason)) {
	t.hand, t.spill = hand, spill
}

// pump takes the body in hand. complete is called with all of it before the reader can see that it is. It returns why there
// is no complete body within the limit; "" if there is, or if it has gone over to spill.
func (t *tail) pump(complete func(content []byte)) reason.Reason {
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	if t.length > 0 {
		t.mu.Lock()
		t.content = make([]byte, 0, min(t.length, t.limit, t.hand+chunk))
		t.mu.Unlock()
	}
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
		case t.spill != nil && int64(len(content)) > t.hand:
			rest, why := t.spill(content, err)
			if why == "" {
				t.body = rest
			}
			t.publish(content, nil, true)
			return why
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
	if t.over && t.read == len(t.content) {
		t.content, t.read = nil, 0
	}
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
