package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/internal/tracing"
)

// ErrTimeout means that the backend did not begin its answer in time.
var ErrTimeout = errors.New("the backend did not answer in time")

// errUnsent marks a request that never left, since there was no connection for it.
var errUnsent = errors.New("no connection to the backend")

// IsUnsent reports whether the request never got to the backend, which can then have changed
// nothing.
func IsUnsent(err error) bool { return errors.Is(err, errUnsent) }

// errUnread marks a request whose content could not be read from the client.
var errUnread = errors.New("the request's content cannot be read to its end")

// IsUnread reports whether the request failed because its content could not be read. The backend
// was not let take it for complete.
func IsUnread(err error) bool { return errors.Is(err, errUnread) }

// Informational is told of a 1xx answer but 100 and 101. It is never called once RoundTrip has
// returned. The fields are its own.
type Informational func(status int, fields http.Header)

// RoundTrip sends out, which Outgoing made, once, and returns the answer's head. The answer's body
// has to be closed; when ctx is done the exchange ends wherever it is. told may be nil.
//
// 100 is not told: net/http sends it to the client by itself when the transport, having got it,
// begins to read the body.
func (b *Backend) RoundTrip(ctx context.Context, out *Request,
	told Informational) (*http.Response, error) {
	resp, _, err := b.TimedRoundTrip(ctx, out, told)
	return resp, err
}

// A Timing is when a request was sent and when the head of its answer, or an error, came
// (RFC 9111 §4.2.3).
type Timing struct{ Sent, Came time.Time }

// TimedRoundTrip is RoundTrip, and says when that was.
func (b *Backend) TimedRoundTrip(ctx context.Context, out *Request,
	told Informational) (*http.Response, Timing, error) {
	at := Timing{Sent: time.Now()}
	var span *tracing.Span
	if b.options.Traced {
		span = b.beginSpan(ctx, out, at.Sent)
	}
	resp, err := b.roundTrip(ctx, out, at.Sent, told)
	at.Came = time.Now()
	outcome := outcomeOf(ctx, resp, err)
	endSpan(span, outcome, resp, err, at.Came)
	b.record.note(outcome, at.Sent, at.Came, err)
	if b.options.Observe != nil {
		b.options.Observe(outcome, at.Came.Sub(at.Sent), span.TraceID())
	}
	return resp, at, err
}

// roundTrip is RoundTrip without a record of it.
func (b *Backend) roundTrip(ctx context.Context, out *Request, start time.Time,
	told Informational) (*http.Response, error) {
	resp, connected, err := b.send(ctx, out, start, told)
	if err == nil {
		return resp, nil
	}
	if !connected {
		err = fmt.Errorf("%w: %w", errUnsent, err)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && ctx.Err() == nil &&
		!IsUnread(err) {
		err = fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return nil, err
}

// send sends out by the protocol that the backend speaks.
func (b *Backend) send(ctx context.Context, out *Request, start time.Time,
	told Informational) (resp *http.Response, connected bool, err error) {
	switch {
	case b.idle == nil:
		return b.transported(ctx, out, told)
	case b.tls == nil || out.upgrades(): // that goes by HTTP/1.1 alone
		return b.direct(ctx, out, start, told)
	}
	if b.speaks2.Load() {
		body := out.Body
		if body != nil && body != http.NoBody {
			out.Body = io.NopCloser(body) // the transport closes it even if there is no connection
		}
		resp, connected, err = b.transported(ctx, out, told)
		out.Body = body
		if connected || !errors.Is(err, errHTTP1) {
			return resp, connected, err
		}
		b.speaks2.Store(false)
	}
	resp, connected, err = b.direct(ctx, out, start, told)
	if connected || !errors.Is(err, errHTTP2) {
		return resp, connected, err
	}
	b.speaks2.Store(true)
	return b.transported(ctx, out, told)
}

// transported is direct by net/http.
func (b *Backend) transported(ctx context.Context, request *Request,
	told Informational) (resp *http.Response, connected bool, err error) {
	var got atomic.Bool
	relay := relay1xx{told: told}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:        func(httptrace.GotConnInfo) { got.Store(true) },
		Got1xxResponse: relay.got,
	})
	request.Header()
	out := request.WithContext(ctx)
	if out.Body != nil && out.Body != http.NoBody {
		out.Body = markedBody{out.Body}
	}
	resp, err = b.transport.RoundTrip(out)
	if relay.end() && err != nil {
		err = errFlooded
	}
	return resp, got.Load(), err
}

// A markedBody is a request's content whose errors are errUnread.
type markedBody struct{ io.ReadCloser }

// Read implements io.Reader.
func (b markedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %w", errUnread, err)
	}
	return n, err
}

// relay1xx hands informational answers on until the exchange is over: the transport may find one
// when RoundTrip has already given up, and somebody else is then writing to the client.
type relay1xx struct {
	told Informational

	mu    sync.Mutex
	count int // of informational answers, up to one too many
	over  bool
}

func (r *relay1xx) got(status int, fields textproto.MIMEHeader) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count++; r.count > maxInformational {
		return errFlooded
	}
	if !r.over && r.told != nil && status != http.StatusContinue {
		r.told(status, http.Header(fields))
	}
	return nil
}

// end reports whether more came than may.
func (r *relay1xx) end() (flooded bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.count > maxInformational
}
