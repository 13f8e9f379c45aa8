package backend

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

var errTarget = errors.New("the request target cannot be passed on as it is")

// Replay sends in, a request as a server received it, as if its client had just sent it:
// RequestURI is the target. It follows no redirect. The answer's body has to be closed.
func (b *Backend) Replay(ctx context.Context, in *http.Request) (*http.Response, error) {
	_, query, _ := strings.Cut(in.RequestURI, "?")
	out, ok := b.Outgoing(in, query)
	if !ok {
		return nil, errTarget
	}
	return b.RoundTrip(ctx, out, nil)
}
