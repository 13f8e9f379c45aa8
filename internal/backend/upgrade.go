package backend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"sidecar/internal/httpfield"
)

// errNotSwitched means that the backend switched to something else than was asked for.
var errNotSwitched = errors.New("the backend switched to another protocol than WebSocket")

// IsUpgrade reports whether r asks to become a WebSocket (RFC 6455 §4.1), the one upgrade that
// passes.
func IsUpgrade(r *http.Request) bool {
	fields := httpfield.Header(r.Header)
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 &&
		has(fields.Values("Connection"), "upgrade") && isWebSocket(fields) && r.ContentLength == 0
}

func isWebSocket(f httpfield.Fields) bool {
	v := f.Values("Upgrade")
	return len(v) == 1 && strings.EqualFold(strings.TrimSpace(v[0]), "websocket")
}

func has(list []string, member string) bool {
	members, _ := httpfield.Members(list)
	for _, m := range members {
		if strings.EqualFold(m, member) {
			return true
		}
	}
	return false
}

// AskUpgrade puts the fields of an upgrade back into out, which Outgoing made for a request that
// IsUpgrade.
func AskUpgrade(out *Request) {
	h := out.Header()
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
}

// upgrades reports whether AskUpgrade was called with out.
func (out *Request) upgrades() bool { return out.Request.Header["Upgrade"] != nil }

// halfOpenTime is how long a direction may be silent once the other one has ended.
const halfOpenTime = time.Minute

// Switch completes an upgrade to which the backend has answered 101: it sends head, the answer as
// the client is to see it, and then hands bytes to and fro. When one side ends its direction, the
// other side may still send: that ends in its own time, or when it is silent for halfOpenTime. All
// ends when ctx is done. An error from before anything was sent to the client leaves the response
// to the caller; hijacked says whether that is over.
func (b *Backend) Switch(ctx context.Context, w http.ResponseWriter, resp *http.Response,
	head http.Header) (hijacked bool, err error) {
	backend, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !has(resp.Header["Connection"], "upgrade") ||
		!isWebSocket(httpfield.Header(resp.Header)) {
		return false, errNotSwitched
	}
	b.sockets.Add(1) // before the server forgets the connection, whose end it no longer awaits then
	defer b.sockets.Done()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false, fmt.Errorf("the client's connection cannot be taken over: %w", err)
	}
	defer context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = backend.Close()
	})()
	defer backend.Close()
	defer client.Close()
	if err := writeHead(buffered.Writer, head); err != nil {
		return true, err
	}
	// The server's buffered bytes come first. The rest is not read through it: at the client's end
	// it would cancel ctx.
	early := io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered()))
	t := &tunnel{client: client, backend: backend}
	return true, t.run(io.MultiReader(early, client))
}

// A tunnel hands bytes between two connections, each direction in a goroutine of its own.
type tunnel struct {
	client, backend io.ReadWriteCloser
	silence         atomic.Pointer[time.Timer] // ends both; nil: both directions are open
}

// run returns when both directions have ended. sent has the client's bytes.
func (t *tunnel) run(sent io.Reader) error {
	ended := make(chan error, 2)
	go func() { ended <- t.pump(t.backend, sent) }()
	go func() { ended <- t.pump(t.client, t.backend) }()
	err := <-ended
	if err != nil {
		t.close()
	}
	err = errors.Join(err, <-ended)
	if timer := t.silence.Load(); timer != nil {
		timer.Stop()
	}
	return err
}

func (t *tunnel) close() {
	_ = t.client.Close()
	_ = t.backend.Close()
}

// pump copies until from ends, and then ends the direction to. It ends when either connection is
// closed.
func (t *tunnel) pump(to io.WriteCloser, from io.Reader) error {
	buffer := make([]byte, tunnelRoom)
	for {
		n, err := from.Read(buffer)
		if timer := t.silence.Load(); timer != nil {
			timer.Reset(halfOpenTime)
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if timer := time.AfterFunc(halfOpenTime,
				t.close); !t.silence.CompareAndSwap(nil, timer) {
				timer.Stop() // the other direction has ended before
			}
			return endWriting(to)
		}
		if err != nil {
			return err
		}
	}
}

// tunnelRoom is how many bytes a direction takes in hand.
const tunnelRoom = 16 << 10

// endWriting ends the write direction of c, or both where one cannot be ended alone.
func endWriting(c io.Closer) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return c.Close()
}

// A switched is the connection after a 101, to be read, written and closed, one way or both.
type switched struct{ *exchange }

func (s *switched) Read(p []byte) (int, error)  { return s.conn.read.Read(p) }
func (s *switched) Write(p []byte) (int, error) { return s.conn.Write(p) }

// Close implements io.Closer.
func (s *switched) Close() error {
	s.end(false)
	return nil
}

// CloseWrite tells the backend that nothing more comes.
func (s *switched) CloseWrite() error {
	if half, ok := s.conn.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func writeHead(w *bufio.Writer, head http.Header) error {
	head["Connection"], head["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	if _, err := io.WriteString(w, "HTTP/1.1 101 Switching Protocols\r\n"); err != nil {
		return err
	}
	if err := head.Write(w); err != nil {
		return err
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	return w.Flush()
}
