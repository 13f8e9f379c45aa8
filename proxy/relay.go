package proxy

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"sidecar/internal/httpfield"
)

// chunk is how many bytes of a body are in hand at once.
const chunk = 32 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// A body that is known to be longer has longChunk bytes in hand, which fewer system calls move. A
// slow client holds its piece for long: there are no more than maxLong of these in the process.
const (
	longChunk = 128 << 10
	maxLong   = 64
)

var (
	longChunks = sync.Pool{New: func() any { return new([longChunk]byte) }}
	longUsed   atomic.Int32
)

// takeLong counts a piece of longChunk bytes, if there may be another one.
func takeLong() (ok bool) {
	if longUsed.Add(1) <= maxLong {
		return true
	}
	longUsed.Add(-1)
	return false
}

// relay sends an answer's body and trailers on as they come. It flushes each piece but the last of
// a body of known length, so that the client sees the backend's timing. complete, which may be nil,
// is called once when the body is complete, before the client can know. An error means that the
// body ended early, or that the client went away: the answer must then not look complete.
func (x *exchange) relay(resp *http.Response, complete func()) error {
	if resp.ContentLength > chunk && takeLong() {
		defer longUsed.Add(-1)
		buf := longChunks.Get().(*[longChunk]byte)
		defer longChunks.Put(buf)
		return x.relayBy(buf[:], resp, complete)
	}
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	return x.relayBy(buf[:], resp, complete)
}

// relayBy is relay with room for a piece.
func (x *exchange) relayBy(buf []byte, resp *http.Response, complete func()) error {
	done := func() {}
	if complete != nil {
		done = sync.OnceFunc(complete)
	}
	control := http.NewResponseController(&x.w)
	if resp.ContentLength < 0 {
		if err := control.Flush(); err != nil {
			return err
		}
	}
	for got := int64(0); ; {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			got += int64(n)
			last := got == resp.ContentLength
			if last {
				done()
			}
			if _, werr := x.w.Write(buf[:n]); werr != nil {
				return werr
			}
			if !last {
				if ferr := control.Flush(); ferr != nil {
					return ferr
				}
			}
		}
		switch {
		case err == io.EOF:
			done()
			trailers(&x.w, resp)
			return nil
		case err != nil:
			return err
		}
	}
}

// trailers sends the trailer fields, which are known now that the body has been read: also those
// that nobody announced.
func trailers(w http.ResponseWriter, resp *http.Response) {
	h := w.Header()
	httpfield.KeepTrailers(resp.Trailer)
	for name, values := range resp.Trailer {
		if slices.Contains(h["Trailer"], name) {
			h[name] = values
		} else {
			h[http.TrailerPrefix+name] = values
		}
	}
}

// abort ends an answer that is under way so that the client cannot take it for complete.
func abort(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		panic(http.ErrAbortHandler)
	}
}
