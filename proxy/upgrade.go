package proxy

import (
	"context"
	"errors"
	"net/http"

	"sidecar/internal/backend"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

// errSwitched means that the backend switched protocols without being asked to.
var errSwitched = errors.New("the backend switched protocols unasked")

// upgrade forwards a request to become a WebSocket, and then its bytes in both directions.
func (p *Proxy) upgrade(x *exchange) {
	out, err := p.outgoing(x)
	if err != nil {
		p.backendFailed(x, err)
		return
	}
	backend.AskUpgrade(out)
	resp, err := p.Backend.RoundTrip(x.ctx, out, x.informational)
	if err != nil {
		p.backendFailed(x, err)
		return
	}
	defer resp.Body.Close()
	p.answered()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		p.send(x, resp)
		return
	}
	head := http.Header{}
	copyHead(head, resp)
	p.finishHead(x, head)
	ctx, cancel := context.WithCancel(x.ctx)
	defer cancel()
	if p.Streams != nil {
		defer context.AfterFunc(p.Streams, cancel)()
	}
	hijacked, err := p.Backend.Switch(ctx, &x.w, resp, head)
	if !hijacked {
		p.backendFailed(x, err)
		return
	}
	x.w.status = http.StatusSwitchingProtocols
}

// boundStream ends an event stream with Streams: the stream itself never does. It looks broken off
// then, and its client connects again.
func (p *Proxy) boundStream(x *exchange, resp *http.Response) {
	if p.Streams == nil || !httpcache.IsEventStream(httpfield.Header(resp.Header)) {
		return
	}
	body := resp.Body // relay may put another in its place
	stop := context.AfterFunc(p.Streams, func() { _ = body.Close() })
	context.AfterFunc(x.ctx, func() { stop() })
}
