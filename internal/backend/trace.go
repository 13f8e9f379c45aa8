package backend

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/tracing"
)

// beginSpan begins the span of a request that is sent under ctx, and makes it, or the span of ctx,
// the parent in the request's fields. Where ctx has no span, it changes nothing, and gives nil.
func (b *Backend) beginSpan(ctx context.Context, out *Request, now time.Time) *tracing.Span {
	around := tracing.From(ctx)
	method := tracing.MethodOf(out.Method)
	span := around.Child(tracing.Client, method.Name, now)
	if span == nil {
		around.Inject(out.Header())
		return nil
	}
	span.Inject(out.Header())
	host, port, err := net.SplitHostPort(b.address)
	if err != nil {
		host, port = b.address, "" // a socket
	}
	number, _ := strconv.ParseInt(port, 10, 32)
	path, _, _ := strings.Cut(out.URL.RequestURI(), "?") // a query may have credentials
	span.Set(
		method.Attr, method.Original,
		tracing.String("server.address", host), tracing.Positive("server.port", number),
		tracing.String("url.full", b.scheme+"://"+b.host+path),
	)
	return span
}

// endSpan ends the span of a request with the head of its answer, or with err. span may be nil.
func endSpan(span *tracing.Span, o Outcome, resp *http.Response, err error, now time.Time) {
	switch {
	case !span.Recorded():
		return
	case resp != nil:
		span.Set(tracing.Int("http.response.status_code", int64(resp.StatusCode)),
			tracing.String("network.protocol.version", protocolOf(resp)))
		if resp.StatusCode >= 400 {
			span.Fail(strconv.Itoa(resp.StatusCode))
		}
	default:
		span.Fail(faultOf(o, err))
	}
	span.End(now)
}

// protocolOf is the version of HTTP, as the conventions write it.
func protocolOf(resp *http.Response) string {
	if resp.ProtoMajor >= 2 {
		return strconv.Itoa(resp.ProtoMajor)
	}
	return strconv.Itoa(resp.ProtoMajor) + "." + strconv.Itoa(resp.ProtoMinor)
}

// faultOf is why there is no answer, from a short list.
func faultOf(o Outcome, err error) string {
	switch {
	case o == Canceled:
		return "canceled"
	case IsUnsent(err):
		return "unsent"
	case errors.Is(err, ErrTimeout):
		return "timeout"
	}
	return o.String()
}
