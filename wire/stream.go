package wire

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the memory that the streams of one connection of HTTP/2 hold while their client takes
// nothing.
const (
	heldBytes   = 32 << 20        // beyond it,
	heldTime    = 5 * time.Second // a stream may stand still no longer than this
	streamPiece = 16 << 10        // the largest frame that every client has to take (RFC 9113 §4.2)
)

// held is how many bytes the streams of a connection have in hand to write.
type held struct{ bytes atomic.Int64 }

// A stream is the ResponseWriter of a stream of HTTP/2. A client opens a window for each stream,
// and may open none: the answer would then wait for good, in memory.
type stream struct {
	http.ResponseWriter
	held  *held
	stall time.Duration

	mu    sync.Mutex
	timer *time.Timer // runs while something is written; nil before the first time
	waits bool        // something is being written
	long  bool        // the timer has run for heldTime
	wrote bool
}

func newStream(w http.ResponseWriter, r *http.Request) *stream {
	s := &stream{ResponseWriter: w, stall: Stall, held: &held{}}
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		s.held, s.stall = &c.held, c.stall
	}
	return s
}

// Write implements io.Writer. Each piece has its own time to go out.
func (s *stream) Write(p []byte) (n int, err error) {
	s.held.bytes.Add(int64(len(p)))
	defer s.held.bytes.Add(-int64(len(p)))
	for {
		piece := p[n:min(n+streamPiece, len(p))]
		s.watch()
		took, err := s.ResponseWriter.Write(piece)
		s.moved()
		s.wrote = true
		if n += took; err != nil || n >= len(p) {
			return n, err
		}
	}
}

// FlushError is for http.ResponseController.
func (s *stream) FlushError() error {
	s.watch()
	defer s.moved()
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// watch starts the time in which something has to move.
func (s *stream) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits, s.long = true, false
	if s.timer == nil {
		s.timer = time.AfterFunc(s.firstTime(), s.standsStill)
		return
	}
	s.timer.Reset(s.firstTime())
}

// moved ends that time.
func (s *stream) moved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = false
	s.timer.Stop()
}

func (s *stream) firstTime() time.Duration { return min(heldTime, s.stall) }

// standsStill resets the stream, unless it has more time. It runs in the timer's goroutine.
func (s *stream) standsStill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.waits {
		return
	}
	if left := s.stall - s.firstTime(); !s.long && left > 0 && s.held.bytes.Load() <= heldBytes {
		s.long = true
		s.timer.Reset(left)
		return
	}
	_ = http.NewResponseController(s.ResponseWriter).SetWriteDeadline(time.Unix(1, 0))
}

// end is called when the handler has ended: the server still writes its buffer.
func (s *stream) end() {
	if s.wrote {
		_ = http.NewResponseController(s.ResponseWriter).SetWriteDeadline(time.Now().Add(s.stall))
	}
}
