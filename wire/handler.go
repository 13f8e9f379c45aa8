package wire

import (
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Handler passes each request to h, and adds to the server:
//
//   - an answer may begin before the request's content has ended: net/http would else take up to
//     256 KiB of that from whoever is reading it;
//   - content that was not read to its end, and does not come, holds the connection no longer than
//     lateContent;
//   - nothing behind content that could not be read to its end is taken for a request;
//   - a stream of HTTP/2 that does not move is reset;
//   - log tells of the first WebSocket that somebody tries by HTTP/2.
func Handler(h http.Handler, log *slog.Logger) http.Handler {
	var told sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PRI" { // the beginning of HTTP/2 (RFC 9113 §3.4), and the rest was none
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.ProtoMajor == 2 {
			if isWebSocket2(r) {
				told.Do(func() { log.Warn(noWebSocket2, "path", r.URL.Path) })
			}
			s := newStream(w, r)
			defer s.end()
			h.ServeHTTP(s, r)
			return
		}
		own, _ := r.Context().Value(connKey{}).(*conn)
		if own != nil && own.spoilt.Load() { // net/http had it in hand already
			panic(http.ErrAbortHandler)
		}
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		control := http.NewResponseController(w)
		duplex := len(r.Header["Expect"]) == 0 // else content that was not sent may never come
		if duplex {
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
		upgrades := len(r.Header["Upgrade"]) > 0 // the connection may be somebody else's by now
		if duplex && !upgrades && !watched.ended.Load() && r.ContentLength <= maxLateContent {
			watched.drain(control)
		}
		// With full duplex net/http goes on behind content that is malformed.
		if own != nil && duplex && !watched.ended.Load() {
			own.spoilt.Store(true)
		}
	})
}

// drain sends the answer and reads the rest of the content. net/http would read it too, with full
// duplex when it has stopped watching the connection: the end of the content makes it watch again,
// and then it cannot read the next request.
func (b *watchedBody) drain(control *http.ResponseController) {
	if control.Flush() != nil {
		return
	}
	_ = control.SetReadDeadline(time.Now().Add(lateContent))
	_, _ = io.CopyN(io.Discard, b, maxLateContent+1)
}

const noWebSocket2 = "a WebSocket by HTTP/2 (RFC 8441) is not passed on: " +
	"let the ingress speak HTTP/1.1 to the sidecar on the routes of WebSockets"

// isWebSocket2 reports whether the request is a WebSocket of RFC 8441, or one of HTTP/1.1 from
// which an ingress took Connection and Upgrade out.
func isWebSocket2(r *http.Request) bool {
	return r.Method == http.MethodConnect && len(r.Header[":protocol"]) > 0 ||
		len(r.Header["Sec-Websocket-Version"]) > 0
}

const (
	// lateContent is how long content may still come when its request has been answered.
	lateContent = 5 * time.Second
	// maxLateContent is how much of it is read, as in net/http. With more the connection ends.
	maxLateContent = 256 << 10
)

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
