package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/httpfield"
	"sidecar/internal/telemetry"
	"sidecar/policy"
)

// write forwards a request that may change something, and invalidates what it changed after the backend has answered and before
// the client hears of it. A GET that comes after the client's answer then finds nothing older than the write.
func (p *Proxy) write(x *exchange, req httpfield.Request) {
	if x.out.Result == "" {
		x.out.Result = telemetry.ResultWrite
	}
	plan := x.plan.Write
	ctx := x.r.Context()
	if x.plan.Route != "" {
		// What a policy matched as a write is carried through when its client leaves: the backend may have begun.
		ctx = context.WithoutCancel(ctx)
	}
	out, ok := p.outgoing(x)
	if !ok {
		return
	}
	sent := func() policy.Body { return policy.Body{Complete: !req.HasBody} }
	if plan.NeedsRequestBody && req.HasBody {
		tee := newTeeBody(out.Body, p.MaxInspectBody, out.ContentLength, x.r.Header.Get("Content-Encoding"))
		out.Body, sent = tee, tee.body
	}
	resp, _, err := p.roundTrip(x, ctx, out)
	if err != nil {
		if !backend.IsRefused(err) { // refused: it never got there, and changed nothing
			p.invalidate(x, plan.Unknown(sent()))
		}
		p.backendFailed(x, err)
		return
	}
	defer resp.Body.Close()

	body := policy.Body{}
	if plan.NeedsResponseBody {
		body = p.inspect(resp)
	}
	tags := plan.Tags(sent(), resp.StatusCode, httpfield.Header(resp.Header), body)
	p.invalidate(x, tags)
	p.head(x, resp)
	err = x.relay(resp, watcher{complete: func() {
		if resp.ContentLength < 0 && !body.Complete {
			// The backend went on working while it answered: what it changed since is invalidated before the end is seen.
			p.invalidate(x, tags)
		}
	}})
	if err != nil {
		p.invalidate(x, tags)
	}
	abort(err)
	trailers(x.w, resp)
}

// invalidate makes everything that carries one of the tags dead. Where Redis does not take it, the protocol keeps
// the tags and nothing is read from Redis until they are gone; the write is answered all the same.
func (p *Proxy) invalidate(x *exchange, tags []cachekeys.Tag) {
	if len(tags) == 0 {
		return
	}
	err := p.Keyspace.Invalidate(context.WithoutCancel(x.r.Context()), x.budget, tags, x.table.Guards(tags))
	p.Metrics.Invalidated(x.plan.Route, len(tags), err)
}

// inspect reads the answer's body as far as templates may look, and puts it back. A stream of events is not waited for.
func (p *Proxy) inspect(resp *http.Response) policy.Body {
	coding := httpfield.First(httpfield.Header(resp.Header), "Content-Encoding")
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") || resp.ContentLength > p.MaxInspectBody {
		return policy.Body{Coding: coding}
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, p.MaxInspectBody+1))
	resp.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(content), failing{err}, resp.Body), Closer: resp.Body}
	return policy.Body{Content: content, Coding: coding, Complete: err == nil && int64(len(content)) <= p.MaxInspectBody}
}

// replayed is a body of which a part has been read already.
type replayed struct {
	io.Reader
	io.Closer
}

// failing gives its error where there is one, and else ends at once.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}
