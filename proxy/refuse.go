package proxy

import (
	"context"
	"errors"
	"net/http"

	"sidecar/internal/backend"
	"sidecar/internal/problem"
	"sidecar/internal/reason"
)

// refuse answers with an error of the sidecar's own. Nothing has been sent to the client yet.
func (p *Proxy) refuse(x *exchange, status int, why reason.Reason, detail string) {
	if why != "" {
		x.out.Reason = why
	}
	if s := x.out.CacheStatus(p.CacheStatus); s != "" {
		x.w.Header()["Cache-Status"] = []string{s}
	}
	problem.Write(&x.w, status, detail)
}

// backendFailed answers for a backend that did not: 504 if it took too long, else 502. A client
// that has left gets nothing.
func (p *Proxy) backendFailed(x *exchange, err error) {
	x.out.Err = err
	var tooLarge *http.MaxBytesError
	switch {
	case x.r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	case errors.As(err, &tooLarge):
		p.refuse(x, http.StatusRequestEntityTooLarge, "", "The request is too large.")
	case errors.Is(err, backend.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		p.refuse(x, http.StatusGatewayTimeout, "", "The API did not answer in time.")
	default:
		p.refuse(x, http.StatusBadGateway, "", "The API did not answer.")
	}
}
