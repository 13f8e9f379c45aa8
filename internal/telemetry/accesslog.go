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

// An AccessLog writes one line for each request: at debug, or at warn after a failure between the
// sidecar and the backend. No line has a query, a field or a body. It is safe for concurrent use.
type AccessLog struct {
	log     *slog.Logger
	secrets string
}

// NewAccessLog returns an access log. It cuts paths off after secrets, such as "/_jobs", because a
// job's id may be enough to read its result. "" is no path.
func NewAccessLog(log *slog.Logger, secrets string) *AccessLog {
	return &AccessLog{log: log, secrets: strings.TrimSuffix(secrets, "/")}
}

// Write logs a finished request. path is the target's path, without an authority; a query after it
// is left out.
func (a *AccessLog) Write(ctx context.Context, o *Outcome, path string, now time.Time) {
	level, err := slog.LevelDebug, cause(o.Err)
	if err != nil && !errors.Is(err, context.Canceled) { // the client left
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
	if o.Unfilled != "" {
		attrs = append(attrs, slog.String("template", o.Unfilled))
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
	a.log.LogAttrs(context.WithoutCancel(ctx), level, "request", attrs...)
}

// path returns the part of a request target that may be logged.
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

// cause removes the URL, whose query may hold a credential, from an error of an http.Client.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
