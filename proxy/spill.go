package proxy

import (
	"io"
	"net/http"
	"sync"

	"sidecar/cachekeys"
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// A spilling is the rest of a body that is too long to be held in hand. Its one reader takes it from the backend at the client's pace, and what passes is stored in
// pieces meanwhile. Whatever becomes of the pieces, the reader goes on.
type spilling struct {
	body    io.ReadCloser // the backend's
	resp    *http.Response
	limit   int64
	keeping *keeping
	pieces  *store.Spill

	mu   sync.Mutex // the reader may be closed while it reads
	size int64      // of what has come
	over bool       // the answer is kept, or given up
}

// spill takes over from the tail, with what has come so far and the error that came with the last of it. Why says why nothing is stored. Those who wait for the answer are let go: it comes at the pace of one
// client now.
func (k *keeping) spill(resp *http.Response, body io.ReadCloser, content []byte, err error) (rest io.ReadCloser, why reason.Reason) {
	pieces := k.fill.Spill(k.entry, content, k.proxy.RedisTimeout)
	if pieces == nil {
		return nil, reason.StoreBusy
	}
	k.fill.Alone()
	k.fill.Abandon()
	k.flight.Land(store.Landing{})
	s := &spilling{body: body, resp: resp, limit: k.x.plan.Read.Cache.MaxBody, keeping: k, pieces: pieces, size: int64(len(content))}
	k.spilling = s
	s.passed(nil, err)
	return s, ""
}

// run writes the pieces, until the body is complete or given up. It does nothing on a nil spilling.
func (s *spilling) run() {
	if s == nil {
		return
	}
	s.pieces.Run()
	if why := s.pieces.Wait(); why != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.drop(why)
	}
}

// Read implements io.Reader. The answer is on its way into the store before the reader can see that it is complete.
func (s *spilling) Read(b []byte) (int, error) {
	n, err := s.body.Read(b)
	s.passed(b[:n], err)
	return n, err
}

func (s *spilling) passed(b []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.size += int64(len(b))
	switch {
	case s.size > s.limit:
		s.drop(reason.TooLarge)
	case err != nil && err != io.EOF:
		s.drop(reason.Incomplete)
	case err == nil && (s.size != s.resp.ContentLength || s.resp.ProtoMajor != 1):
		s.pieces.Write(b)
	case len(s.resp.Trailer) > 0: // nobody announced them
		s.drop(reason.Trailers)
	default:
		s.pieces.Write(b)
		s.over = true
		s.keep()
	}
}

// keep stores the complete answer behind its pieces.
func (s *spilling) keep() {
	k := s.keeping
	k.entry.Chunks = s.pieces.Finish()
	k.fill.Keep(k.entry, k.retain,
		func() ([]cachekeys.Tag, reason.Reason) { return k.given, s.pieces.Wait() },
		func(why reason.Reason) {
			if why != "" {
				s.pieces.Discard(why)
			}
			k.kept(why)
		})
}

// drop gives up an answer that was to be kept. mu is held.
func (s *spilling) drop(why reason.Reason) {
	if !s.over {
		s.over = true
		s.pieces.Discard(why)
		s.keeping.kept(why)
	}
}

// Close says that the reader is gone: what it has not read is not stored.
func (s *spilling) Close() error {
	s.mu.Lock()
	s.drop(reason.Incomplete)
	s.mu.Unlock()
	return s.body.Close()
}
