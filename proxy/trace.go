package proxy

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/telemetry"
	"sidecar/internal/tracing"
)

// trace begins the span of a request.
func (p *Proxy) trace(x *exchange) {
	if p.Tracer != nil {
		x.span = p.Tracer.Receive(tracing.Server, x.r.Header, x.out.Start)
	}
}

// traced is ctx within the span of the request: contexts of flights and of work behind an answer
// have none.
func (x *exchange) traced(ctx context.Context) context.Context {
	if x.span == nil {
		return ctx
	}
	return tracing.With(ctx, x.span)
}

// behind begins the span of work that goes on behind the answer; nil: the request is not recorded.
func (x *exchange) behind(work string) *tracing.Span {
	span := x.span.Child(tracing.Internal, work, time.Now())
	span.Set(tracing.String("sidecar.route", x.out.Route))
	return span
}

// endSpan ends the span of a request that is over. It has the fields of the access log.
func (p *Proxy) endSpan(x *exchange, now time.Time) {
	if !x.span.Recorded() {
		return
	}
	out, method := &x.out, tracing.MethodOf(x.r.Method)
	out.Trace = x.span.TraceID()
	name, route := method.Name, x.table.Template(x.req.Method, x.req.Path, out.Route)
	if route != "" {
		name += " " + route
	}
	client := x.client()
	scheme, authority := x.sent.Asked()
	host, port := hostOf(authority)
	x.span.Name(name)
	x.span.Set(
		method.Attr, method.Original,
		tracing.String("http.route", route),
		tracing.String("url.scheme", strings.ToLower(scheme)),
		tracing.String("url.path", p.Access.Path(client.Path)),
		tracing.String("network.protocol.version", protocolOf(x.r)),
		tracing.String("server.address", host), tracing.Positive("server.port", port),
		tracing.String("client.address", client.Address),
		tracing.Positive("http.response.status_code", int64(out.Status)),
		tracing.Positive("http.request.body.size", out.BytesIn),
		tracing.Positive("http.response.body.size", out.BytesOut),
		tracing.String("sidecar.route", out.Route),
		tracing.String("sidecar.result", string(result(out))),
		tracing.String("sidecar.reason", string(out.Reason)),
		tracing.String("sidecar.not_stored", string(out.NotStored)),
		tracing.String("sidecar.detail", string(out.Detail)),
		tracing.Flag("sidecar.stored", out.Stored),
		tracing.Flag("sidecar.collapsed", out.Collapsed),
	)
	switch {
	case out.Status >= 500:
		x.span.Fail(strconv.Itoa(out.Status))
	case out.Status == 0 && x.ctx.Err() != nil:
		x.span.Fail("canceled")
	case out.Status == 0:
		x.span.Fail("aborted")
	}
	x.span.End(now)
}

// hostOf are the parts of an authority; port is 0 if it names none.
func hostOf(authority string) (host string, port int64) {
	name, digits, err := net.SplitHostPort(authority)
	if err != nil { // without a port
		return strings.TrimSuffix(strings.TrimPrefix(authority, "["), "]"), 0
	}
	number, _ := strconv.ParseUint(digits, 10, 16)
	return name, int64(number)
}

// result is that of an outcome, as metrics name it.
func result(o *telemetry.Outcome) telemetry.Result {
	if o.Result == "" {
		return telemetry.ResultRefused
	}
	return o.Result
}

// protocolOf is the version of HTTP, as the conventions write it.
func protocolOf(r *http.Request) string {
	if r.ProtoMajor >= 2 {
		return strconv.Itoa(r.ProtoMajor)
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}
