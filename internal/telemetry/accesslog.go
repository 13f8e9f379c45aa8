package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"
)

// maxPath bounds a path in the log, in bytes.
const maxPath = 512

// An AccessLog writes one line for each request: at debug, or at warn if something went wrong between the sidecar and
// the backend. No line has a query, a field or a body. It is safe for concurrent use.
type AccessLog struct {
	log     *slog.Logger
	secrets string
}

// NewAccessLog returns an access log. Of a path below secrets, such as "/_jobs", no more than that is written: a job's id may
// be all that it takes to read its result. "" is no path.
func NewAccessLog(log *slog.Logger, secrets string) *AccessLog {
	return &AccessLog{log: log, secrets: strings.TrimSuffix(secrets, "/")}
}

// Write logs a request that is over. path is the target's path, without an authority; a query behind it is left out.
func (a *AccessLog) Write(ctx context.Context, o *Outcome, path string, now time.Time) {
	level, err := slog.LevelDebug, cause(o.Err)
	if err != nil && !errors.Is(err, context.Canceled) { // cancelled: the client left, which is nobody's fault
		level = slog.LevelWarn
	}
	if !a.log.Enabled(ctx, level) {
		return
	}
	_, method := methodLabel(o.Method)
	_, result := resultLabel(o.Result)
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("method", method),
		slog.String("path", a.path(path)),
		slog.String("route", label(o.Route)),
		slog.Int("status", o.Status),
		slog.String("result", result),
		slog.Float64("duration_ms", milliseconds(o.Duration(now))),
		slog.Float64("redis_ms", milliseconds(o.Redis)),
		slog.Int64("bytes_in", o.BytesIn),
		slog.Int64("bytes_out", o.BytesOut),
	)
	if o.Reason != "" {
		attrs = append(attrs, slog.String("reason", string(o.Reason)))
	}
	if o.NotStored != "" {
		attrs = append(attrs, slog.String("not_stored", string(o.NotStored)))
	}
	if o.Detail != "" {
		attrs = append(attrs, slog.String("detail", string(o.Detail)))
	}
	if o.Stored {
		attrs = append(attrs, slog.Bool("stored", true))
	}
	if o.Collapsed {
		attrs = append(attrs, slog.Bool("collapsed", true))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	a.log.LogAttrs(ctx, level, "request", attrs...)
}

// path is what may be written of a request target.
func (a *AccessLog) path(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if a.secrets != "" && strings.HasPrefix(target, a.secrets+"/") {
		return a.secrets + "/…"
	}
	if len(target) > maxPath {
		return strings.ToValidUTF8(target[:maxPath], "") + "…"
	}
	return target
}

// cause takes the URL, whose query may hold a credential, off an error of a http.Client.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
