package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"sidecar/internal/socket"
)

// maxInformational is how many 1xx answers may come before an answer.
const maxInformational = 100

// errUnanswered marks a request for which not one byte of an answer came.
var errUnanswered = errors.New("the backend ended the connection without an answer")

// direct sends the request over HTTP/1.1 and reads the answer's head in the caller's goroutine.
// The content of the request, where it has some, is sent by a goroutine of its own (upload).
// connected is false if there was no connection, so that nothing was sent. start is the time.
//
// An idle connection may be ended by the backend while the request is on its way. A GET or HEAD
// without content that got no byte of an answer on a used connection is sent again, once, on a new
// one: it is safe (RFC 9110 §9.2.1, RFC 9112 §9.3.1).
func (b *Backend) direct(ctx context.Context, out *Request, start time.Time,
	told Informational) (resp *http.Response, connected bool, err error) {
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	content := contentOf(out)
	if content != nil && usuallyHasNoContent(out.Method) {
		content, start = probe(content), time.Now() // the client has a time of its own
	}
	head := out.head
	if head == nil {
		buffer := requests.Get().(*[]byte)
		defer putRequest(buffer)
		*buffer, err = appendRequest((*buffer)[:0], out, b.host, content)
		if err != nil {
			return nil, false, err
		}
		if head = *buffer; out.sent {
			out.head = bytes.Clone(head)
		}
		out.sent = true
	}
	for fresh := false; ; {
		x := &exchange{
			idle: b.idle, ctx: ctx, start: start, method: out.Method,
			upgrade: out.upgrades(), timeout: b.options.Timeout,
		}
		checked := true
		if !fresh {
			x.conn, checked = b.idle.get(start, content == nil)
		}
		x.asks = !checked
		reused := x.conn != nil
		if !reused {
			if x.conn, err = b.connect(ctx, x.upgrade); err != nil {
				return nil, connected, err
			}
		}
		if checked {
			x.start = time.Now() // the dial, or the trial, has a time of its own
		}
		if content != nil {
			x.upload = newUpload(x, content)
		}
		resp, err := x.run(head, told)
		if x.asks && errors.Is(err, socket.ErrNotQuiet) { // nothing was sent
			b.idle.discard(x.conn)
			continue
		}
		connected, fresh = true, true
		if err == nil || !reused || content != nil || !isSafeToRepeat(out.Method) ||
			!errors.Is(err, errUnanswered) {
			return resp, true, err
		}
	}
}

func isSafeToRepeat(method string) bool {
	return method == http.MethodGet ||
		method == http.MethodHead
}

// connect opens a connection for HTTP/1.1. Over TLS the backend may choose HTTP/2 instead, unless
// only1 is set: the error is then errHTTP2.
func (b *Backend) connect(ctx context.Context, only1 bool) (*conn, error) {
	if b.tls != nil {
		return b.connectTLS(ctx, only1)
	}
	c, err := b.dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	return newConn(c), nil
}

func (b *Backend) connectTLS(ctx context.Context, only1 bool) (*conn, error) {
	protocols := []string{"h2", "http/1.1"}
	if only1 {
		protocols = protocols[1:]
	}
	c, err := b.dialTLS(ctx, protocols)
	if err != nil {
		return nil, err
	}
	if isHTTP2(c) {
		b.offer(c)
		return nil, errHTTP2
	}
	return newTLSConn(c, c.NetConn()), nil
}

func isHTTP2(c *tls.Conn) bool { return c.ConnectionState().NegotiatedProtocol == "h2" }

// An exchange is one request and its answer on a connection that is nobody else's until it ends.
type exchange struct {
	conn    *conn
	idle    *pool
	ctx     context.Context
	start   time.Time // when the request began to be sent
	method  string
	asks    bool          // conn may not be quiet
	upgrade bool          // the request asks to switch protocols
	timeout time.Duration // from the end of the request to the answer's head; 0: none
	upload  *upload       // of the request's content; nil: it has none
	stop    func() bool   // of context.AfterFunc; nil: the connection is attached to the context
	ended   atomic.Bool
	answer  http.Response // here, as its body is, to be allocated with the rest
	content body          // of the answer
}

// run sends the request and returns the answer's head with a body that reads the rest. The timeout
// is for all until the head is there, as net/http's ResponseHeaderTimeout is: informational
// answers do not prolong it.
func (x *exchange) run(request []byte, told Informational) (*http.Response, error) {
	x.attach()
	switch {
	case x.timeout <= 0:
	case x.upload != nil: // which has deadlines of its own
		x.conn.by = time.Time{}
		_ = x.conn.SetDeadline(time.Now().Add(x.timeout))
	default:
		x.conn.answerBy(x.start, x.timeout)
	}
	head, err := x.head(request, told)
	var f framing
	if err == nil {
		f, err = frame(x.method, &head)
	}
	if err != nil {
		x.end(false)
		return nil, x.cause(err)
	}
	switch {
	case x.upload != nil:
		x.upload.answered()
	case head.status == http.StatusSwitchingProtocols, !x.conn.holds(f):
		x.conn.takeTime()
	}
	return x.response(&head, f), nil
}

// holds reports whether all of an answer has been read from the network.
func (c *conn) holds(f framing) bool {
	return (f.kind == noContent || f.kind == counted) && int64(c.read.Buffered()) >= f.length
}

// An attacher is a context that closes the attached when it is done, in a goroutine of its own:
// context.AfterFunc for less. Detach reports whether that has not begun.
type attacher interface {
	Attach(io.Closer)
	Detach(io.Closer) (untouched bool)
}

// attach has the end of the context break the connection.
func (x *exchange) attach() {
	if a, ok := x.ctx.(attacher); ok {
		a.Attach(x.conn)
		return
	}
	x.stop = context.AfterFunc(x.ctx, func() { _ = x.conn.Close() })
}

// detach undoes that. It reports false if the connection is broken.
func (x *exchange) detach() (untouched bool) {
	if x.stop != nil {
		return x.stop()
	}
	return x.ctx.(attacher).Detach(x.conn)
}

// head sends the request, or begins to where it has content, and reads the head of its answer.
// Informational answers before it are told.
func (x *exchange) head(request []byte, told Informational) (responseHead, error) {
	if x.asks {
		x.conn.ask = request
	} else if _, err := x.conn.Write(request); err != nil {
		return responseHead{}, unanswered(err)
	}
	if x.upload != nil {
		x.upload.start()
	}
	if _, err := x.conn.read.Peek(1); err != nil {
		return responseHead{}, unanswered(err)
	}
	left := maxHead
	for count := 0; ; count++ {
		text, err := x.conn.readHead(&left, 1+maxFields)
		if err != nil {
			return responseHead{}, err
		}
		h, err := parseResponseHead(text)
		switch {
		case err != nil || h.status >= 200:
			return h, err
		case h.status == http.StatusSwitchingProtocols && x.upgrade:
			return h, nil
		case h.status == http.StatusSwitchingProtocols:
			return h, malformed("it switches protocols unasked")
		case count == maxInformational:
			return h, errFlooded
		case h.status == http.StatusContinue && x.upload != nil:
			x.upload.proceed()
		case told != nil && h.status != http.StatusContinue:
			// an informational answer has no content (RFC 9112 §6.3)
			delete(h.fields, "Content-Length")
			delete(h.fields, "Transfer-Encoding")
			told(h.status, h.fields)
		}
		// the connection breaks behind the context, and more may have been read before
		if x.ctx.Err() != nil {
			return h, context.Cause(x.ctx)
		}
	}
}

var errFlooded = malformed("more than %d informational answers", maxInformational)

// unanswered is the error of a connection that broke before the answer began; the error of a silent
// connection stays as it is.
func unanswered(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}

// response is the answer whose head has been read.
func (x *exchange) response(h *responseHead, f framing) *http.Response {
	resp := &x.answer
	*resp = http.Response{
		Status: h.text, StatusCode: h.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: h.minor,
		Header: h.fields, ContentLength: f.length, Close: !f.reusable, Trailer: f.trailer,
	}
	if h.minor == 0 {
		resp.Proto = "HTTP/1.0"
	}
	switch {
	case h.status == http.StatusSwitchingProtocols:
		resp.Body = &switched{x}
		return resp
	case f.kind != noContent:
		resp.Body = x.body(f)
		return resp
	case f.suspect:
		x.content = body{exchange: x, suspect: true, err: io.EOF}
		resp.Body = &x.content
	default:
		resp.Body = http.NoBody
	}
	x.end(f.reusable)
	return resp
}

// end gives the connection up: to the next request if it may be used again and is clean, else it
// is closed. Only the first call counts.
func (x *exchange) end(reusable bool) {
	if !x.ended.CompareAndSwap(false, true) {
		return
	}
	untouched := x.detach()
	surplus := reusable && x.conn.read.Buffered() > 0
	if surplus {
		x.idle.beWary()
	}
	clean := reusable && untouched && !surplus
	if x.upload != nil {
		x.upload.release(clean)
		return
	}
	x.release(clean)
}

func (x *exchange) release(clean bool) {
	if clean {
		x.idle.put(x.conn)
		return
	}
	_ = x.conn.Close()
}

// cause is why the exchange failed: where its context is done, that broke the connection, and
// where the request's content could not be read, that did.
func (x *exchange) cause(err error) error {
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	if x.upload != nil {
		if unread := x.upload.unread(); unread != nil {
			return unread
		}
	}
	return err
}
