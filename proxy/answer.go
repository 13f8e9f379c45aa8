package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"time"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// A reply is the part of an entry that is sent to one request. Its body is known to be there before
// anything is sent.
type reply struct {
	httpcache.Reply
	entry *entry.Entry
	body  *store.Body // nil: none is sent
}

// open makes an entry ready to be sent. lost is not empty where its body cannot be: then nothing is
// stored for this request, for this reason.
func (p *Proxy) open(x *exchange, e *entry.Entry, decided httpcache.Reply) (
	r reply, lost reason.Reason,
) {
	r = reply{Reply: decided, entry: e}
	if !r.Content {
		return r, ""
	}
	spans := []store.Span{{End: e.Size()}}
	if len(r.Parts) > 0 {
		spans = spans[:0]
		for _, part := range r.Parts {
			spans = append(spans, r.span(part))
		}
	}
	var err error
	switch r.body, err = p.Store.Open(x.ctx, x.budget, e, spans...); {
	case errors.Is(err, store.ErrBodyLost):
		lost = reason.BodyLost
	case err != nil:
		lost = redisconn.Reason(err)
	}
	return r, lost
}

// span is where a part lies in the entry's body, which may be a part itself.
func (r reply) span(p httpcache.Part) store.Span {
	return store.Span{First: p.First - r.entry.Offset, End: p.Last + 1 - r.entry.Offset}
}

// answerHit answers from the store, and starts the refresh of a stale entry behind the answer. lost
// is not empty where the body cannot be sent; nothing is answered then.
func (p *Proxy) answerHit(x *exchange, found store.Found, d httpcache.Decision) (
	lost reason.Reason,
) {
	r, lost := p.open(x, found.Entry, d.Reply)
	if lost == "" {
		p.sendHit(x, found, d, r)
	}
	return lost
}

// sendHit is answerHit with a reply that is open.
func (p *Proxy) sendHit(x *exchange, found store.Found, d httpcache.Decision, r reply) {
	x.out.Result, x.out.TTL, x.out.Detail = telemetry.ResultHit, d.TTL, reason.InRedis
	if d.Refresh {
		x.out.Result = telemetry.ResultStale
	}
	if found.Memory {
		x.out.Detail = reason.InMemory
	}
	p.answerEntry(x, r, age(d.Reuse))
	switch {
	case d.Refresh:
		p.refresh(x, found.Key, found.Entry)
	case x.plan.Read.Cache.Verify != nil:
		p.verify(x, found)
	}
}

// age is the Age field of a response from the store (RFC 9111 §5.1).
func age(use httpcache.Reuse) []string {
	return []string{strconv.FormatInt(int64(use.Age/time.Second), 10)}
}

// maxLines is how many bytes the head of an entry may have if its lines stay with a plan that is
// kept: they hold all of it.
const maxLines = 4 << 10

// answerEntry sends a reply. Where a chunk of the body is lost in the middle, the answer ends so
// that it cannot be taken for complete. age is the Age field; none for a response that the
// backend has just validated (RFC 9111 §5.1).
func (p *Proxy) answerEntry(x *exchange, r reply, age []string) {
	h, boundary := x.w.Header(), ""
	if x.lines = r.entry.AddTo(h, x.lines); len(r.entry.Head()) > maxLines {
		x.lines = nil
	}
	if len(age) > 0 {
		h["Age"] = age
	}
	if len(r.Parts) > 1 {
		boundary = rand.Text()
	}
	r.WriteHead(h, boundary)
	p.finishHead(x, h)
	x.w.WriteHeader(r.Status)
	if r.body != nil {
		abort(r.writeBody(x, boundary))
	}
}

// writeBody sends the whole body, one part of it, or several as multipart/byteranges
// (RFC 9110 §14.6). An error means that not all of it was sent.
func (r reply) writeBody(x *exchange, boundary string) error {
	switch len(r.Parts) {
	case 0:
		return r.writeSpan(x, store.Span{End: r.entry.Size()})
	case 1:
		return r.writeSpan(x, r.span(r.Parts[0]))
	}
	inner := httpfield.First(r.entry, "Content-Type")
	for i, part := range r.Parts {
		if _, err := x.w.Write(r.PartHead(boundary, inner, i)); err != nil {
			return err
		}
		if err := r.writeSpan(x, r.span(part)); err != nil {
			return err
		}
	}
	_, err := x.w.Write(httpcache.MultipartTail(boundary))
	return err
}

func (r reply) writeSpan(x *exchange, s store.Span) error {
	return r.body.WriteRange(x.ctx, &x.w, s.First, s.End)
}

// answerUnchanged answers 304 to a client that has the content that the backend just sent.
func (p *Proxy) answerUnchanged(x *exchange, resp *http.Response) {
	x.out.FwdStatus = resp.StatusCode
	h := x.w.Header()
	copyHead(h, resp)
	httpcache.DropRepresentation(h)
	p.finishHead(x, h)
	x.w.WriteHeader(http.StatusNotModified)
}
