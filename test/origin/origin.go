// Package origin is a scripted HTTP/1.1 server for tests: it sees requests as they are on the wire,
// and answers with the bytes of a test, at its moment, or breaks the connection.
package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds how long a connection lives, so that a test that waits in vain fails and does not
// hang.
const patience = 30 * time.Second

// An Origin listens on a port of its own until the test ends. It is safe for concurrent use.
type Origin struct {
	t                     testing.TB
	listener              net.Listener
	handle                func(*Conn, *Request)
	running               sync.WaitGroup
	requests, connections atomic.Int64
	open                  atomic.Int64
}

// Start starts an origin that calls handle for each request, one after another on each connection.
// When handle returns, the rest of the body is read and the next request awaited, unless handle has
// closed the connection. A handle that waits for the test has to give up with t.Context().
func Start(t testing.TB, handle func(*Conn, *Request)) *Origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &Origin{t: t, listener: l, handle: handle}
	o.running.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			o.connections.Add(1)
			o.running.Go(func() { o.serve(&Conn{tcp: c.(*net.TCPConn), read: bufio.NewReader(c)}) })
		}
	})
	t.Cleanup(func() {
		o.Refuse()
		o.running.Wait()
	})
	return o
}

// Addr is where it listens, host:port.
func (o *Origin) Addr() string { return o.listener.Addr().String() }

// URL is http:// and Addr.
func (o *Origin) URL() string { return "http://" + o.Addr() }

// Refuse stops listening: from now on connections are refused.
func (o *Origin) Refuse() { _ = o.listener.Close() }

// Requests is how many heads of requests have come.
func (o *Origin) Requests() int { return int(o.requests.Load()) }

// Connections is how many connections have been accepted.
func (o *Origin) Connections() int { return int(o.connections.Load()) }

// Open is how many connections the other side has not ended, nor the handler.
func (o *Origin) Open() int { return int(o.open.Load()) }

func (o *Origin) serve(c *Conn) {
	o.open.Add(1)
	defer o.open.Add(-1)
	defer context.AfterFunc(o.t.Context(), func() { _ = c.tcp.Close() })()
	defer c.tcp.Close()
	_ = c.tcp.SetDeadline(time.Now().Add(patience))
	for {
		r, err := readRequest(c.read)
		if err != nil {
			return
		}
		o.requests.Add(1)
		o.handle(c, r)
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
	}
}

// A Conn is the origin's end of a connection. Writes go out at once.
type Conn struct {
	tcp  *net.TCPConn
	read *bufio.Reader
}

// Read reads the bytes after the request's head, for tests that switch protocols. Request.Body
// reads a body.
func (c *Conn) Read(p []byte) (int, error) { return c.read.Read(p) }

// WriteString sends these bytes and nothing else.
func (c *Conn) WriteString(s string) (int, error) { return io.WriteString(c.tcp, s) }

// Close ends the connection after the bytes written.
func (c *Conn) Close() error {
	err := c.tcp.Close()
	c.read.Reset(c.tcp) // buffered requests are not answered
	return err
}

// CloseWrite ends the sending direction; reading goes on.
func (c *Conn) CloseWrite() error { return c.tcp.CloseWrite() }

// Reset breaks the connection: the other side gets an RST.
func (c *Conn) Reset() {
	_ = c.tcp.SetLinger(0)
	_ = c.Close()
}

// Silent reports whether nothing comes from the other side for so long, neither a byte nor the end.
// Nothing is consumed.
func (c *Conn) Silent(d time.Duration) bool {
	_ = c.tcp.SetReadDeadline(time.Now().Add(d))
	_, err := c.read.Peek(1)
	_ = c.tcp.SetReadDeadline(time.Now().Add(patience))
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// AwaitEnd discards input until the other side ends the connection, and reports whether it did.
func (c *Conn) AwaitEnd() bool {
	_, err := io.Copy(io.Discard, c.read)
	return !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed)
}

// A Field is a field line with the spelling that it had.
type Field struct{ Name, Value string }

// A Request is one request as it came.
type Request struct {
	Head                  []byte // with the empty line
	Method, Target, Proto string
	Fields                []Field
	Body                  io.Reader // read from the connection when it is read
	Trailers              []Field   // there when Body has ended
}

// Values are those of the field in any spelling, in their order.
func (r *Request) Values(name string) (values []string) {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

func readRequest(from *bufio.Reader) (*Request, error) {
	head, err := from.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	method, rest, _ := strings.Cut(strings.TrimSuffix(string(head), "\r\n"), " ")
	target, proto, _ := strings.Cut(rest, " ")
	fields, raw, err := readFields(from)
	if err != nil {
		return nil, err
	}
	r := &Request{
		Head: append(head, raw...), Method: method, Target: target, Proto: proto, Fields: fields,
		Body: strings.NewReader(""),
	}
	if r.Values("Transfer-Encoding") != nil {
		r.Body = &chunks{Reader: httputil.NewChunkedReader(from), from: from, request: r}
	} else if length := r.Values("Content-Length"); length != nil {
		n, _ := strconv.ParseInt(length[0], 10, 64)
		r.Body = io.LimitReader(from, n)
	}
	return r, nil
}

// readFields reads field lines and the empty line after them.
func readFields(from *bufio.Reader) (fields []Field, raw []byte, err error) {
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return nil, nil, err
		}
		raw = append(raw, line...)
		if line = strings.TrimSuffix(line, "\r\n"); line == "" {
			return fields, raw, nil
		}
		name, value, _ := strings.Cut(line, ":")
		fields = append(fields, Field{name, strings.Trim(value, " \t")})
	}
}

// chunks is a chunked body. Its trailers end up in request.
type chunks struct {
	io.Reader
	from    *bufio.Reader
	request *Request
}

func (c *chunks) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF && c.from != nil {
		if c.request.Trailers, _, err = readFields(c.from); err != nil {
			return n, io.ErrUnexpectedEOF
		}
		c.from, err = nil, io.EOF
	}
	return n, err
}
