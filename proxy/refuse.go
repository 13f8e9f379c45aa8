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

// errTarget marks a request target that cannot be sent to the backend as it came.
var errTarget = errors.New("the request target cannot be passed on")

// backendFailed answers for a backend that did not: 504 if it took too long, 502, or a 4xx where
// the request is why. A client that has left gets nothing.
func (p *Proxy) backendFailed(x *exchange, err error) {
	x.out.Err = err
	if x.ctx.Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	}
	status, detail := http.StatusBadGateway, "The API did not answer."
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errTarget):
		status, detail = http.StatusBadRequest, "The request target cannot be passed on as it is."
	case errors.As(err, &tooLarge):
		status, detail = http.StatusRequestEntityTooLarge, "The request is too large."
	case backend.IsUnread(err):
		p.refuseUnread(x)
		return
	case errors.Is(err, backend.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		status, detail = http.StatusGatewayTimeout, "The API did not answer in time."
	}
	p.refuse(x, status, "", detail)
}

// refuseUnread answers a request whose body cannot be read to its end. Where the next request would
// begin on the connection is unknown.
func (p *Proxy) refuseUnread(x *exchange) {
	if x.r.ProtoMajor == 1 {
		x.w.Header()["Connection"] = []string{"close"}
	}
	p.refuse(x, http.StatusBadRequest, "", "The request's body cannot be read to its end.")
}
