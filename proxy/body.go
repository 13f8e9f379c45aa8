package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"sidecar/internal/httpfield"
	"sidecar/policy"
)

// takeBody reads the request's body up to its end before the write is announced, so that no slow
// client keeps a tag closed. A body that is too long for that becomes an upload. It reports false,
// and the client has its answer, if the body cannot be read.
func (w *writing) takeBody(out *http.Request) (ok bool) {
	if out.Body == nil || out.Body == http.NoBody {
		return true
	}
	body, err := w.inspectBody(out.Body, out.ContentLength)
	if err != nil {
		w.refuseBody(err)
		return false
	}
	out.Body = body
	return true
}

// inspectBody reads a body of this length (-1: unknown) as far as it may be inspected. It sets sent
// if that is all of it, and upload if not. again is the body to send.
func (w *writing) inspectBody(body io.ReadCloser, length int64) (again io.ReadCloser, err error) {
	again = body
	if length <= w.proxy.MaxInspectBody {
		held := w.proxy.Bodies.Body(body, w.proxy.MaxInspectBody)
		switch {
		case held.Whole:
			w.sent = policy.NewBody(held.Content, httpfield.Header(w.x.r.Header))
			w.release = held.Release
			return held.Again, nil
		case held.Err != nil:
			return nil, held.Err
		}
		again = held.Again
	}
	w.upload = newUpload(again, length, w)
	return w.upload, nil
}

// refuseBody answers for a body that cannot be read.
func (w *writing) refuseBody(err error) {
	var tooLarge *http.MaxBytesError
	if w.x.ctx.Err() != nil || errors.As(err, &tooLarge) {
		w.proxy.backendFailed(w.x, err)
		return
	}
	w.proxy.refuseUnread(w.x)
}

// An upload is a body that is sent on as it comes. Its end is held back until the write has been
// announced: the last bytes if the length is known, else the fact that there are no more. So it
// closes nothing while it comes, and no backend that waits for the whole request commits before
// the write is announced.
type upload struct {
	io.ReadCloser
	writing *writing
	left    int64 // bytes to come; negative: unknown
	ended   bool  // of the one goroutine that reads
}

func newUpload(body io.ReadCloser, length int64, w *writing) *upload {
	if length <= 0 {
		length = -1
	}
	return &upload{ReadCloser: body, writing: w, left: length}
}

// Read implements io.Reader.
func (u *upload) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	atEnd := err == io.EOF
	if u.left >= 0 {
		u.left -= int64(n)
		atEnd = u.left == 0
	}
	if atEnd && !u.ended {
		u.ended = true
		if failed := u.writing.announce(); failed != nil {
			return 0, failed
		}
	}
	return n, err
}

// A lateBody is the body of a write whose client waits to be told to send it (RFC 9110 §10.1.1):
// it is read, and the write is announced, when the backend wants it. The backend has had the head
// of the request by then, and nothing to act upon.
type lateBody struct {
	io.ReadCloser
	writing *writing
	length  int64
	taken   bool // of the one goroutine that reads

	mu     sync.Mutex
	over   bool  // the backend has answered, or failed
	unread error // the body could not be read
}

// Read implements io.Reader.
func (l *lateBody) Read(b []byte) (int, error) {
	if !l.taken {
		l.taken = true
		if err := l.take(); err != nil {
			return 0, err
		}
	}
	return l.ReadCloser.Read(b)
}

func (l *lateBody) take() error {
	w := l.writing
	early := &writing{proxy: w.proxy, x: w.x}
	body, err := early.inspectBody(l.ReadCloser, l.length)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		early.done()
		return errWithheld
	case err != nil:
		l.unread = err
		return err
	}
	w.sent, w.upload, w.release = early.sent, early.upload, early.release
	if l.ReadCloser = body; w.upload != nil {
		w.upload.writing = w
		return nil
	}
	return w.announce()
}

// end is called when the backend has answered or failed. It returns the reason why the body could
// not be read, if that is so.
func (l *lateBody) end() (unread error) {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	return l.unread
}
