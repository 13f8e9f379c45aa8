package redisconn

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/tracing"
)

// An opSpan is the span of an operation, and notes the commands that it sends. All methods may be
// called of a nil opSpan, and do nothing.
type opSpan struct {
	span *tracing.Span

	mu    sync.Mutex
	first string // command, in upper case; "": none yet
	batch int    // commands of a pipeline; 0: it was none
}

type opSpanKey struct{}

// beginSpan begins the span of an operation within the span of ctx; nil where ctx has none that is
// recorded, or there are no traces.
func (c *Conn) beginSpan(ctx context.Context, op string, now time.Time) (context.Context, *opSpan) {
	if !c.traced {
		return ctx, nil
	}
	span := tracing.From(ctx).Child(tracing.Client, op, now)
	if span == nil {
		return ctx, nil
	}
	s := &opSpan{span: span}
	return context.WithValue(ctx, opSpanKey{}, s), s
}

// noteCommands notes the commands that are sent with ctx, without keys and values.
func (c *Conn) noteCommands(ctx context.Context, cmds ...redis.Cmder) {
	if !c.traced || len(cmds) == 0 {
		return
	}
	if s, ok := ctx.Value(opSpanKey{}).(*opSpan); ok {
		if len(cmds) > 1 {
			s.note("PIPELINE", len(cmds))
			return
		}
		s.note(strings.ToUpper(cmds[0].Name()), 0)
	}
}

func (s *opSpan) note(command string, batch int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == "" {
		s.first, s.batch = command, batch
	}
}

// end ends the span, where anything was sent: its name is the command and the operation.
func (s *opSpan) end(c *Conn, op string, err error, now time.Time) {
	if s == nil || errors.Is(err, ErrAway) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	port, _ := strconv.ParseInt(c.redis.Port, 10, 32)
	if c.redis.Host == "" {
		port = 0
	}
	s.span.Name(strings.TrimSpace(s.first + " " + op))
	s.span.Set(
		tracing.String("db.system.name", "redis"), tracing.String("db.operation.name", s.first),
		tracing.Positive("db.operation.batch.size", int64(s.batch)),
		tracing.String("db.namespace", strconv.Itoa(c.db)),
		tracing.String("server.address", c.redis.Host), tracing.Positive("server.port", port),
		tracing.String("sidecar.redis", c.name), tracing.String("sidecar.operation", op),
	)
	if err != nil {
		s.span.Fail(string(Reason(err)))
	}
	s.span.End(now)
}
