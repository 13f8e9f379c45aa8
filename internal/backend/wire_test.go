package backend

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// A wire is a connection on which the answer has already come, and ends.
type wire struct {
	io.Reader
	sent   bytes.Buffer
	closed atomic.Bool
}

func (w *wire) Write(b []byte) (int, error)      { return w.sent.Write(b) }
func (w *wire) Close() error                     { w.closed.Store(true); return nil }
func (w *wire) LocalAddr() net.Addr              { return nil }
func (w *wire) RemoteAddr() net.Addr             { return nil }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// A reading is the result of reading an answer's bytes.
type reading struct {
	resp   *http.Response
	body   string
	err    error // of the head, or of the body
	reused bool  // the connection waits for another request
	told   []int
}

// read reads an answer to a request of this method, its bytes in pieces of at most so many; 0: as
// they are.
func read(method, answer string, piece int) (r reading) {
	source := io.Reader(strings.NewReader(answer))
	if piece > 0 {
		source = &pieces{source, piece}
	}
	idle := &pool{}
	defer idle.Close()
	x := &exchange{
		conn: newConn(&wire{Reader: source}), idle: idle, ctx: context.Background(), method: method,
	}
	r.resp, r.err = x.run([]byte("GET / HTTP/1.1\r\n\r\n"),
		func(status int, _ http.Header) { r.told = append(r.told, status) })
	if r.err == nil {
		var body []byte
		body, r.err = io.ReadAll(r.resp.Body)
		r.body = string(body)
	}
	r.reused = len(idle.idle) > 0
	return r
}

// pieces passes its input on in pieces.
type pieces struct {
	io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }
