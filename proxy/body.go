package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
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
	limit := w.proxy.MaxInspectBody
	if out.ContentLength > limit {
		limit = 0
	}
	content, whole, body, err := peek.Body(out.Body, limit)
	out.Body = body
	var tooLarge *http.MaxBytesError
	switch {
	case whole:
		w.sent = policy.NewBody(content, httpfield.Header(w.x.r.Header))
		return nil, true
	case err == nil:
		slow = &slowBody{ReadCloser: body}
		out.Body = slow
		return slow, true
	case w.x.r.Context().Err() != nil, errors.As(err, &tooLarge):
		w.proxy.backendFailed(w.x, err)
	default:
		w.proxy.refuse(w.x, http.StatusBadRequest, "", "The request's body cannot be read to its end.")
	}
	return nil, false
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

// watch makes *ctx end with errTooSlow if the body does not come. The function that it returns
// ends the watch.
func (s *slowBody) watch(ctx *context.Context, client *http.ResponseController) (end func()) {
	if s == nil {
		return func() {}
	}
	watched, cancel := context.WithCancelCause(*ctx)
	*ctx = watched
	go func() { // ends with the body, or with the write
		tick := time.NewTicker(floorTime)
		defer tick.Stop()
		for lastRead, lastWaited := int64(0), time.Duration(0); ; {
			select {
			case <-watched.Done():
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
				cancel(errTooSlow)
				_ = client.SetReadDeadline(time.Now()) // who waits for the body holds its lock
				return
			}
			lastRead, lastWaited = read, waited
		}
	}()
	return func() { cancel(nil) }
}
