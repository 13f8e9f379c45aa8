package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/peek"
	"sidecar/policy"
)

// takeBody takes the request's body in hand before anything is closed for it, so that no slow
// client keeps a tag closed. One that is longer than may be inspected is sent on as it comes, and
// watched. ok is false, and the client has its answer, if the body cannot be read.
func (w *writing) takeBody(out *http.Request) (slow *slowBody, ok bool) {
	if out.Body == nil || out.Body == http.NoBody {
		return nil, true
	}
	body, sent, slow, err := w.peek(out.Body, out.ContentLength)
	if err != nil {
		w.refuseBody(err)
		return nil, false
	}
	out.Body, w.sent = body, sent
	return slow, true
}

// peek reads a body of this length (-1: unknown) as far as it may be inspected. sent is nil where
// that is not all of it; slow is the body then.
func (w *writing) peek(body io.ReadCloser, length int64) (again io.ReadCloser, sent *policy.Body, slow *slowBody, err error) {
	limit := w.proxy.MaxInspectBody
	if length > limit {
		limit = 0
	}
	content, whole, again, err := peek.Body(body, limit)
	switch {
	case whole:
		return again, policy.NewBody(content, httpfield.Header(w.x.r.Header)), nil, nil
	case err != nil:
		return nil, nil, nil, err
	}
	slow = &slowBody{ReadCloser: again}
	return slow, nil, slow, nil
}

// refuseBody answers for a body that cannot be read.
func (w *writing) refuseBody(err error) {
	var tooLarge *http.MaxBytesError
	if w.x.r.Context().Err() != nil || errors.As(err, &tooLarge) {
		w.proxy.backendFailed(w.x, err)
		return
	}
	w.proxy.refuse(w.x, http.StatusBadRequest, "", "The request's body cannot be read to its end.")
}

// A lateBody is the body of a write whose client waits to be told to send it (RFC 9110 §10.1.1):
// it is taken in hand, and what the write changes is closed, when the backend wants it. The
// backend has had the head of the request by then, and nothing to act upon.
type lateBody struct {
	io.ReadCloser
	writing *writing
	length  int64
	taken   bool // of the one goroutine that reads

	mu          sync.Mutex
	over        bool  // the backend has answered, or failed
	unread      error // the body could not be read
	unannounced bool  // the write may not be sent
}

var errNotSent = errors.New("the write is not sent")

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
	body, sent, slow, err := l.writing.peek(l.ReadCloser, l.length)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return errNotSent
	case err != nil:
		l.unread = err
		return err
	}
	l.ReadCloser, l.writing.sent = body, sent
	if l.unannounced = !l.writing.announce(); l.unannounced {
		return errNotSent
	}
	l.writing.watch(slow)
	return nil
}

// end is called when the backend has answered or failed, with the error of that. ok is false, and
// the client has its answer, if the write was not sent.
func (l *lateBody) end(err error) (ok bool) {
	if l == nil {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	switch {
	case err == nil:
		return true
	case l.unannounced:
		l.writing.refuseUnannounced()
		return false
	case l.unread != nil:
		l.writing.refuseBody(l.unread)
		return false
	}
	return true
}

// The floor rate of a body for which tags are closed, in bytes over a time.
const (
	floorBytes = 16 << 10
	floorTime  = 5 * time.Second
)

var errTooSlow = errors.New("the request's body comes too slowly")

// A slowBody is a body that is sent on as it comes while its tags are closed: below the floor
// rate the request is ended.
type slowBody struct {
	io.ReadCloser
	read atomic.Int64
	// nanoseconds that reads have waited for the client. While none does it is the backend that
	// is slow
	waited  atomic.Int64
	waiting atomic.Int64 // since when one waits, in nanoseconds since 1970; 0: none does
	done    atomic.Bool
}

// Read implements io.Reader.
func (s *slowBody) Read(b []byte) (int, error) {
	began := time.Now().UnixNano()
	s.waiting.Store(began)
	n, err := s.ReadCloser.Read(b)
	s.waiting.Store(0)
	s.waited.Add(time.Now().UnixNano() - began)
	s.read.Add(int64(n))
	if err != nil {
		s.done.Store(true)
	}
	return n, err
}

// watch ends the write with errTooSlow if the body does not come.
func (w *writing) watch(s *slowBody) {
	if s == nil {
		return
	}
	client := http.NewResponseController(w.x.w)
	go func() { // ends with the body, or with the write
		tick := time.NewTicker(floorTime)
		defer tick.Stop()
		for lastRead, lastWaited := int64(0), time.Duration(0); ; {
			select {
			case <-w.ctx.Done():
				return
			case <-tick.C:
			}
			read, waited := s.read.Load(), time.Duration(s.waited.Load())
			if since := s.waiting.Load(); since != 0 {
				waited += time.Since(time.Unix(0, since))
			}
			switch {
			case s.done.Load():
				return
			case read-lastRead < floorBytes && waited-lastWaited > floorTime*3/4:
				w.cancel(errTooSlow)
				_ = client.SetReadDeadline(time.Now()) // who waits for the body holds its lock
				return
			}
			lastRead, lastWaited = read, waited
		}
	}()
}
