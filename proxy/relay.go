package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// chunk is how many bytes of a body are in hand at once.
const chunk = 32 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// watcher is told about a body as it passes. Both functions may be nil.
type watcher struct {
	each func([]byte) // every piece, before the client gets it
	// once, when the body is complete and before the client can know that it is
	complete func()
}

// relay sends an answer's body on as it comes. It flushes each piece but the last of a body of
// known length, so that the client sees the backend's timing. An error means that the body ended
// early, or that the client went away: the answer must then not look complete.
func (x *exchange) relay(resp *http.Response, watch watcher) error {
	buf := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buf)
	done := sync.OnceFunc(func() {
		if watch.complete != nil {
			watch.complete()
		}
	})
	control := http.NewResponseController(&x.w)
	if resp.ContentLength < 0 {
		if err := control.Flush(); err != nil {
			return err
		}
	}
	for got := int64(0); ; {
		n, err := resp.Body.Read(buf[:])
		if n > 0 {
			got += int64(n)
			if watch.each != nil {
				watch.each(buf[:n])
			}
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
			return nil
		case err != nil:
			return err
		}
	}
}

// abort ends an answer that is under way so that the client cannot take it for complete.
func abort(err error) {
	if err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		panic(http.ErrAbortHandler)
	}
}
