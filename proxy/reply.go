package proxy

import (
	"errors"
	"net/http"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
)

// A reply is what an entry comes to for one request (RFC 9110 §13.2.2, §14.2, §9.3.2): decided, and the body that it needs known to be there, before anything of it is sent.
type reply struct {
	entry     *entry.Entry
	unchanged bool // 304: the client has it
	ranges    httpcache.RangeDecision
	body      *store.Body // nil: none is sent
}

// reply decides what is sent of e. Why is not empty where it cannot be sent: then nothing is stored for this request, for this reason.
func (p *Proxy) reply(x *exchange, req httpfield.Request, e *entry.Entry) (r reply, why reason.Reason) {
	size := e.Size()
	r.entry = e
	if r.unchanged = httpcache.Conditional(req, stored(e)); r.unchanged {
		return r, ""
	}
	r.ranges = httpcache.Ranges(req, stored(e), size)
	if r.ranges.Answer == httpcache.RangeUnsatisfiable || x.r.Method == http.MethodHead || size == 0 {
		return r, ""
	}
	parts := []store.Span{{End: size}}
	if r.ranges.Answer == httpcache.RangePartial {
		parts = parts[:0]
		for _, part := range r.ranges.Parts {
			parts = append(parts, spanOf(e, part))
		}
	}
	var err error
	switch r.body, err = p.Store.Open(x.r.Context(), x.budget, e, parts...); {
	case errors.Is(err, store.ErrBodyLost):
		why = reason.BodyLost
	case err != nil:
		why = redisconn.Reason(err)
	}
	return r, why
}
