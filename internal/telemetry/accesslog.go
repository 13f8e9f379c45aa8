package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"
)

// maxPath bounds a path in the log, in bytes.
const maxPath = 512

// maxText bounds every other text of a client in the log, in bytes.
const maxText = 128

// An AccessMode says which requests have a line (ACCESS_LOG). The zero value: the errors.
type AccessMode struct {
	Off   bool
	Share float64 // of the requests that are no errors: 0 to 1
}

// slow is from when on a request counts as an error.
const slow = time.Second

// An AccessLog writes a line for each request that its mode selects: at warn after a failure
// between the sidecar and the backend, else at info. At LOG_LEVEL debug all others have a line too,
// unless it is off. No line has a query, a credential or a body. It is safe for concurrent use.
type AccessLog struct {
	log     *slog.Logger
	mode    AccessMode
	secrets string
}

// NewAccessLog returns an access log. It cuts paths off after secrets, such as "/_jobs", because a
// job's id may be enough to read its result. "" is no path.
func NewAccessLog(log *slog.Logger, mode AccessMode, secrets string) *AccessLog {
	return &AccessLog{log: log, mode: mode, secrets: strings.TrimSuffix(secrets, "/")}
}

// Level is the level of a finished request's line. ok is false if it has none.
func (a *AccessLog) Level(ctx context.Context, o *Outcome,
	now time.Time) (level slog.Level, ok bool) {
	err := cause(o.Err)
	failed := err != nil && !errors.Is(err, context.Canceled) // else the client left
	switch {
	case a.mode.Off:
		return level, false
	case failed:
		level = slog.LevelWarn
	case o.isError() || o.Duration(now) > slow:
		level = slog.LevelInfo
	case a.mode.Share == 0 || a.mode.Share < 1 && rand.Float64() >= a.mode.Share:
		level = slog.LevelDebug
	}
	return level, a.log.Enabled(ctx, level)
}

// isError reports whether a request ended by an error of the backend or of the sidecar.
func (o *Outcome) isError() bool {
	switch o.Result {
	case "", ResultRefused, ResultDeny:
		return true
	}
	return o.Status >= 500
}

// A Client describes the client in the log. Its texts are the client's own.
type Client struct {
	Address   string // "" if unknown
	Host      string // that was asked
	Path      string // of the target, without an authority; a query after it is left out
	RequestID string // X-Request-Id; "" if there is none
	Trace     string // traceparent; "" if there is none
}

// Write logs a finished request at the level that Level gave.
func (a *AccessLog) Write(ctx context.Context, level slog.Level, o *Outcome,
	c Client, now time.Time) {
	err := cause(o.Err)
	_, method := methodLabel(o.Method)
	_, result := resultLabel(o.Result)
	attrs := make([]slog.Attr, 0, 24)
	attrs = append(attrs,
		slog.String("method", method),
		slog.String("path", a.Path(c.Path)),
		slog.String("route", label(o.Route)),
		slog.Int("status", o.Status),
		slog.String("result", result),
		slog.Float64("duration_ms", milliseconds(o.Duration(now))),
		slog.Float64("redis_ms", milliseconds(o.Redis)),
		slog.Int64("bytes_in", o.BytesIn),
		slog.Int64("bytes_out", o.BytesOut),
	)
	for _, text := range []struct{ name, value string }{
		{"client", c.Address}, {"host", c.Host}, {"request_id", c.RequestID},
		{"trace_id", traceID(c.Trace)},
	} {
		if text.value != "" {
			attrs = append(attrs, slog.String(text.name, bounded(text.value, maxText)))
		}
	}
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

// Path is the part of a request target that may be logged.
func (a *AccessLog) Path(target string) string {
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if a.secrets != "" && strings.HasPrefix(target, a.secrets+"/") {
		return a.secrets + "/…"
	}
	return bounded(target, maxPath)
}

// bounded is s, cut off after limit bytes.
func bounded(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// traceID is the trace-id of a traceparent (W3C Trace Context §3.2); "" if it has none.
func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" ||
		strings.Trim(parts[1], "0") == "" {
		return ""
	}
	return parts[1]
}

// cause removes the URL, whose query may hold a credential, from an error of an http.Client.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
