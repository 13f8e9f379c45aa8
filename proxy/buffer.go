package proxy

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"sidecar/internal/reason"
)

// errLeft is the error of a buffer's reader when its client has left.
var errLeft = errors.New("the client left")

// errLost is its error when the body cannot be taken in hand any more.
var errLost = errors.New("the answer is lost")

// maxInHand bounds the bytes of answers that a process has in hand: they came from the backend, and
// no client has taken them yet. Over it an answer flows at its client's pace, and is not stored.
const maxInHand = 64 << 20

// A room counts the bytes in hand. One client has no more than half of it: it may take nothing for
// long, and others would have nothing stored.
type room struct {
	used atomic.Int64

	mu sync.Mutex
	by map[string]int64 // bytes by client, where that is known
}

// take counts n bytes more. It reports whether there is room for them; they count in any case.
func (r *room) take(client string, n int64) bool {
	roomy := r.used.Add(n) <= maxInHand
	return r.add(client, n) <= maxInHand/2 && roomy
}

func (r *room) give(client string, n int64) {
	r.used.Add(-n)
	r.add(client, -n)
}

// add returns the client's new sum.
func (r *room) add(client string, n int64) int64 {
	if client == "" || n == 0 {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[string]int64{}
	}
	has := r.by[client] + n
	if r.by[client] = has; has == 0 {
		delete(r.by, client)
	}
	return has
}

// A buffer is an answer's body that is taken in hand as fast as the backend sends it, while the
// one client that is being answered follows at its own pace: a slow client keeps nobody waiting
// who wants the same. A body that grows over the limit is left to the reader; so is one that is
// too long to be held, which overflows.
type buffer struct {
	room   *room
	client string        // who reads it; "": it is not known
	body   io.ReadCloser // the backend's, or the one that overflow returned
	length int64         // as announced; -1 if unknown
	limit  int64
	came   func() // called for each piece that the backend sends
	hand   int64  // how much is taken in hand at the most, where there is an overflow
	// overflow takes over the body with its bytes so far; nil: all up to the limit is taken in
	// hand.
	overflow func(content []byte, err error) (rest io.ReadCloser, why reason.Reason)

	mu      sync.Mutex
	changed sync.Cond
	content []byte // as far as the reader may see it
	err     error  // io.EOF when the body is complete
	// the rest is still in body, for the reader; content is let go when that has seen it
	over   bool
	left   bool  // the reader is gone
	filled bool  // fill has ended
	inHand int64 // counted in room

	read int // by the reader
}

func newBuffer(r *room, body io.ReadCloser, length, limit int64, came func()) *buffer {
	b := &buffer{room: r, body: body, length: length, limit: limit, came: came, hand: limit}
	b.changed.L = &b.mu
	return b
}

// overflowAbove makes a body that is longer than hand go over to overflow. Call it before fill.
// overflow is called once, with the bytes so far and the error that came with the last of them. It
// returns the reader for the rest, or why nothing will be stored.
func (b *buffer) overflowAbove(
	hand int64, overflow func(content []byte, err error) (io.ReadCloser, reason.Reason),
) {
	b.hand, b.overflow = hand, overflow
}

// fill takes the body in hand. complete is called with all of it before the reader can see that
// it is. It returns why there is no complete body within the limit; "" if there is, or if it
// overflowed. The reader gets an end in any case, also where fill panics.
func (b *buffer) fill(complete func(content []byte)) reason.Reason {
	defer b.endFill()
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	roomy := true
	if b.length > 0 {
		if size := min(b.length, b.limit, b.hand+chunk); b.count(size) {
			b.mu.Lock()
			b.content = make([]byte, 0, size)
			b.mu.Unlock()
		} else {
			roomy = false
		}
	}
	for {
		n, err := b.body.Read(buf[:])
		b.came()
		b.mu.Lock()
		content := append(b.content, buf[:n]...)
		b.mu.Unlock()
		roomy = b.count(int64(len(content))) && roomy
		switch {
		case int64(len(content)) > b.limit:
			b.publish(content, nil, true)
			return reason.TooLarge
		case b.overflow != nil && int64(len(content)) > b.hand:
			rest, why := b.overflow(content, err)
			if why == "" {
				b.body = rest
			}
			b.publish(content, nil, true)
			return why
		case err == io.EOF, err == nil && int64(len(content)) == b.length:
			complete(content)
			b.publish(content, io.EOF, false)
			_ = b.body.Close()
			return ""
		case err != nil:
			b.publish(content, err, false)
			_ = b.body.Close()
			return reason.Incomplete
		case !roomy:
			b.publish(content, nil, true)
			return reason.StoreBusy
		}
		b.publish(content, nil, false)
	}
}

// count sets the size that is in hand, and reports whether there is room for more.
func (b *buffer) count(size int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := max(0, size-b.inHand)
	b.inHand += more
	return more == 0 || b.room.take(b.client, more)
}

// endFill ends a body whose end was not published.
func (b *buffer) endFill() {
	b.mu.Lock()
	ended := b.err != nil || b.over
	b.filled = true
	if b.left {
		b.release()
	}
	b.mu.Unlock()
	if !ended {
		b.publish(b.content, errLost, false)
		_ = b.body.Close()
	}
}

// release gives the room back. mu is held.
func (b *buffer) release() {
	b.room.give(b.client, b.inHand)
	b.inHand = 0
}

func (b *buffer) publish(content []byte, err error, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content, b.err, b.over = content, err, over
	if over && b.left {
		_ = b.body.Close()
	}
	b.changed.Broadcast()
}

// Read implements io.Reader.
func (b *buffer) Read(p []byte) (int, error) {
	b.mu.Lock()
	for b.read == len(b.content) && b.err == nil && !b.over && !b.left {
		b.changed.Wait()
	}
	n := copy(p, b.content[b.read:])
	b.read += n
	if b.over && b.read == len(b.content) {
		b.content, b.read = nil, 0
		b.release()
	}
	err, over, left := b.err, b.over, b.left
	b.mu.Unlock()
	switch {
	case n > 0:
		return n, nil
	case left:
		return 0, errLeft
	case over:
		return b.body.Read(p)
	}
	return 0, err
}

// Close says that the reader is gone. The body is taken in hand all the same, where it has not
// grown over the limit.
func (b *buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	if b.filled {
		b.release()
	}
	b.changed.Broadcast()
	if b.over {
		return b.body.Close()
	}
	return nil
}
