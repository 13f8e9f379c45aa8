package proxy

import (
	"errors"
	"net/http"

	"sidecar/internal/backend"
)

// errSwitched means that the backend switched protocols without being asked to.
var errSwitched = errors.New("the backend switched protocols unasked")

// upgrade forwards a request to become a WebSocket, and then its bytes in both directions.
func (p *Proxy) upgrade(x *exchange) {
	out, ok := p.outgoing(x)
	if !ok {
		return
	}
	backend.AskUpgrade(out)
	resp, err := p.Backend.RoundTrip(x.r.Context(), out, x.informational)
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
	hijacked, err := p.Backend.Switch(x.r.Context(), x.w, resp, head)
	if !hijacked {
		p.backendFailed(x, err)
		return
	}
	x.w.status = http.StatusSwitchingProtocols
}
