package backend

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// maxInformational is how many 1xx answers may come before an answer.
const maxInformational = 100

// errUnanswered marks a request for which not one byte of an answer came.
var errUnanswered = errors.New("the backend ended the connection without an answer")

// isDirect reports whether the request is sent by this package's own client: a GET or HEAD without content over HTTP/1.1 without TLS.
// Of answers to others net/http is the reader.
func (b *Backend) isDirect(out *http.Request) bool {
	return b.idle != nil && (out.Method == http.MethodGet || out.Method == http.MethodHead) &&
		out.ContentLength == 0 && (out.Body == nil || out.Body == http.NoBody) &&
		len(out.Trailer) == 0 && len(out.TransferEncoding) == 0 && out.Header["Upgrade"] == nil &&
		isPlainHost(cmp.Or(out.Host, b.host))
}

// direct sends the request and reads the answer's head, both in the caller's goroutine. connected is false if there was no
// connection, so that nothing was sent.
//
// An idle connection may be ended by the backend while the request is on its way: one that got no byte of an answer on a used
// connection is sent again, once, on a new one. It may be, for it is safe (RFC 9110 §9.2.1, RFC 9112 §9.3.1).
func (b *Backend) direct(ctx context.Context, out *http.Request, told Informational) (resp *http.Response, connected bool, err error) {
	if ctx.Err() != nil {
		return nil, false, context.Cause(ctx)
	}
	buffer := requests.Get().(*[]byte)
	defer putRequest(buffer)
	if *buffer, err = appendRequest((*buffer)[:0], out, b.host); err != nil {
		return nil, false, err
	}
	for c := b.idle.get(); ; c = nil {
		reused := c != nil
		if !reused {
			dialled, err := b.dial(ctx, "", "")
			if err != nil {
				return nil, connected, err
			}
			c = newConn(dialled)
		}
		connected = true
		x := &exchange{conn: c, idle: b.idle, ctx: ctx}
		resp, err := x.run(*buffer, out.Method, b.options.Timeout, told)
		if err == nil || !reused || !errors.Is(err, errUnanswered) {
			return resp, true, err
		}
	}
}

// A conn is a connection to the backend, with what has been read of it and not been used.
type conn struct {
	net.Conn
	read  *bufio.Reader
	room  []byte      // for the next head
	quiet func() bool // reports whether nothing has come, neither bytes nor the end; does not wait
	since time.Time   // when it became idle
}

func newConn(c net.Conn) *conn {
	return &conn{Conn: c, read: bufio.NewReaderSize(c, bufferSize), quiet: quietOf(c)}
}

// An exchange is one request and its answer on a connection that is nobody else's until it ends.
type exchange struct {
	conn  *conn
	idle  *pool
	ctx   context.Context
	stop  func() bool // from now on the context does not break the connection; false if it has
	ended atomic.Bool
}

// run sends the request and returns the answer's head with a body that reads the rest. timeout is for all until the head is there, as net/http's
// ResponseHeaderTimeout is: informational answers do not prolong it. 0: none.
func (x *exchange) run(request []byte, method string, timeout time.Duration, told Informational) (*http.Response, error) {
	x.stop = context.AfterFunc(x.ctx, func() { _ = x.conn.Close() })
	if timeout > 0 {
		_ = x.conn.SetDeadline(time.Now().Add(timeout))
	}
	head, err := x.head(request, told)
	var f framing
	if err == nil {
		f, err = frame(method, &head)
	}
	if err != nil {
		x.end(false)
		return nil, x.cause(err)
	}
	if timeout > 0 {
		_ = x.conn.SetDeadline(time.Time{})
	}
	return x.response(&head, f), nil
}

// head sends the request and reads the head of its answer. Informational answers before it are told.
func (x *exchange) head(request []byte, told Informational) (responseHead, error) {
	if _, err := x.conn.Write(request); err != nil {
		return responseHead{}, unanswered(err)
	}
	if _, err := x.conn.read.Peek(1); err != nil {
		return responseHead{}, unanswered(err)
	}
	left := maxHead
	for range maxInformational + 1 {
		text, err := x.conn.readHead(&left, 1+maxFields)
		if err != nil {
			return responseHead{}, err
		}
		h, err := parseResponseHead(text)
		switch {
		case err != nil || h.status >= 200:
			return h, err
		case h.status == http.StatusSwitchingProtocols:
			return h, malformed("it switches protocols unasked")
		case told != nil && h.status != http.StatusContinue:
			delete(h.fields, "Content-Length") // an informational answer has no content (RFC 9112 §6.3)
			delete(h.fields, "Transfer-Encoding")
			told(h.status, h.fields)
		}
		if x.ctx.Err() != nil { // the connection breaks behind the context, and more may have been read before
			return h, context.Cause(x.ctx)
		}
	}
	return responseHead{}, malformed("more than %d informational answers", maxInformational)
}

// unanswered is the error of a connection that broke before the answer began; one that was merely silent stays what it is.
func unanswered(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnanswered, err)
}

// response is the answer of which the head has been read.
func (x *exchange) response(h *responseHead, f framing) *http.Response {
	resp := &http.Response{
		Status: h.text, StatusCode: h.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: h.minor,
		Header: h.fields, ContentLength: f.length, Close: !f.reusable, Trailer: f.trailer,
	}
	if h.minor == 0 {
		resp.Proto = "HTTP/1.0"
	}
	switch {
	case f.kind != noContent:
		resp.Body = newBody(x, f, resp)
		return resp
	case f.suspect:
		resp.Body = &body{exchange: x, suspect: true, err: io.EOF}
	default:
		resp.Body = http.NoBody
	}
	x.end(f.reusable)
	return resp
}

// end gives the connection up: to the next request if it may be used again and is clean, else it is closed. Only the first call counts.
func (x *exchange) end(reusable bool) {
	if !x.ended.CompareAndSwap(false, true) {
		return
	}
	untouched := x.stop()
	if reusable && untouched && x.conn.read.Buffered() == 0 {
		x.idle.put(x.conn)
		return
	}
	_ = x.conn.Close()
}

// cause is why the exchange failed: where its context is done, that broke the connection.
func (x *exchange) cause(err error) error {
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	return err
}
