package peek

import (
	"io"
	"slices"
	"sync"
	"time"
)

// A Room bounds the request bodies that are held at once: their bytes in sum, and the time for
// which the rest of one is awaited. Over the bound, the body that has been awaited longest is let
// go: it is not refused, but goes on unread. It is safe for concurrent use.
type Room struct {
	bytes int64
	wait  time.Duration

	mu      sync.Mutex
	used    int64   // by content, in memory
	awaited []*hold // bodies that are not complete, the oldest first
}

// NewRoom returns a room for so many bytes, where each body has the time wait to arrive.
func NewRoom(bytes int64, wait time.Duration) *Room { return &Room{bytes: bytes, wait: wait} }

// Used is how many bytes are held.
func (r *Room) Used() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used
}

// A Held is a body that was read, as far as it goes.
type Held struct {
	Content []byte
	Whole   bool          // Content is all of it; else it is too long, or was let go
	LetGo   bool          // its rest came too slowly, or found no room
	Again   io.ReadCloser // the body, as if nothing had been read
	Err     error         // it ended early

	release func()
}

// Release gives the room of Content back.
func (h Held) Release() {
	if h.release != nil {
		h.release()
	}
}

// Body reads body up to its end, or until it is longer than limit or has to be let go. The result
// has to be released when its content is not needed any more.
func (r *Room) Body(body io.ReadCloser, limit int64) Held {
	h := &hold{room: r, body: body, limit: limit, ready: make(chan struct{}),
		ended: make(chan struct{})}
	r.mu.Lock()
	r.awaited = append(r.awaited, h)
	r.mu.Unlock()
	go h.read() // ends with the body, or with the read that is under way when it is let go
	late := time.NewTimer(r.wait)
	defer late.Stop()
	select {
	case <-h.ready:
	case <-late.C:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letGo(h)
	held := Held{Again: &heldBody{hold: h}, LetGo: !h.over}
	switch {
	case h.whole:
		held.Content, held.Whole = h.content, true
		held.release = sync.OnceFunc(func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.uncount(h)
		})
	case h.over && h.err != io.EOF:
		held.Err = h.err
	}
	return held
}

// letGo ends the wait for h, if it is awaited still. r.mu is held.
func (r *Room) letGo(h *hold) {
	if i := slices.Index(r.awaited, h); i >= 0 {
		r.awaited = slices.Delete(r.awaited, i, i+1)
		if !h.whole {
			r.uncount(h)
		}
		close(h.ready)
	}
}

func (r *Room) uncount(h *hold) {
	r.used -= h.counted
	h.counted = 0
}

// A hold is a body that is being read, or was. The room's lock guards its content.
type hold struct {
	room  *Room
	body  io.ReadCloser
	limit int64
	ready chan struct{} // closed when it is awaited no more
	ended chan struct{} // closed when nobody reads but its owner

	content []byte
	counted int64 // of the room's bytes
	whole   bool  // content is all of it, and not longer than limit
	over    bool  // it was whole, too long or broken before it was let go
	err     error // that reading ended with
}

const pieceSize = 16 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// read fills content until the body is complete, too long, or let go.
func (h *hold) read() {
	defer close(h.ended)
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	for {
		n, err := h.body.Read(piece[:])
		if !h.take(piece[:n], err) {
			return
		}
	}
}

// take adds a piece, and reports whether to read on.
func (h *hold) take(piece []byte, err error) bool {
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	h.err = err
	awaited := slices.Contains(r.awaited, h)
	h.grow(len(piece))
	h.content = append(h.content, piece...)
	if !awaited {
		return false
	}
	long := int64(len(h.content)) > h.limit
	h.whole = err == io.EOF && !long
	r.used += int64(cap(h.content)) - h.counted
	h.counted = int64(cap(h.content))
	if h.over = err != nil || long; h.over {
		r.letGo(h)
	}
	for r.used > r.bytes && len(r.awaited) > 0 {
		r.letGo(r.awaited[0])
	}
	return slices.Contains(r.awaited, h)
}

// grow makes room for n bytes more, and for no more than the limit where that is enough.
func (h *hold) grow(n int) {
	need := len(h.content) + n
	if need <= cap(h.content) {
		return
	}
	size := max(need, min(2*cap(h.content), int(h.limit)+1))
	h.content = append(make([]byte, 0, size), h.content...)
}

// A heldBody gives the content, then the rest of the body or the error that ended it.
type heldBody struct {
	hold *hold
	read int // of the content
}

// Read implements io.Reader.
func (b *heldBody) Read(p []byte) (int, error) {
	h := b.hold
	for {
		n, over, err := b.next(p)
		switch {
		case n > 0 || len(p) == 0:
			return n, nil
		case !over:
			<-h.ended
		case err != nil:
			return 0, err
		default:
			return h.body.Read(p)
		}
	}
}

// next copies content that has not been read. over is true if there will be no more of it, and err
// is why the body has ended then.
func (b *heldBody) next(p []byte) (n int, over bool, err error) {
	h := b.hold
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	n = copy(p, h.content[b.read:])
	if b.read += n; b.read == len(h.content) {
		h.content, b.read = nil, 0
	}
	select {
	case <-h.ended:
		return n, true, h.err
	default:
		return n, false, nil
	}
}

// Close implements io.Closer.
func (b *heldBody) Close() error { return b.hold.body.Close() }
