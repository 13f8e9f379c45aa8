package wire

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Handler passes each request to h with what the server does not do by itself:
//
//   - an answer may begin before the request's content has ended: net/http would else take up to
//     256 KiB of that from whoever is reading it;
//   - content that was not read to its end, and does not come, holds the connection no longer than
//     lateContent;
//   - a stream of HTTP/2 that does not move is reset.
func Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			s := newStream(w, r)
			defer s.end()
			h.ServeHTTP(s, r)
			return
		}
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		control := http.NewResponseController(w)
		if len(r.Header["Expect"]) == 0 { // else content that was not sent may never come
			_ = control.EnableFullDuplex()
		}
		watched := &watchedBody{ReadCloser: r.Body}
		r.Body = watched
		defer func() {
			if !watched.ended.Load() {
				_ = control.SetReadDeadline(time.Now().Add(lateContent))
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// lateContent is how long content may still come when its request has been answered.
const lateContent = 5 * time.Second

// A watchedBody knows whether it was read to its end.
type watchedBody struct {
	io.ReadCloser
	ended atomic.Bool
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}
