package backend

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"sidecar/internal/httpfield"
)

// errNotSwitched means that the backend switched to something else than was asked for.
var errNotSwitched = errors.New("the backend switched to another protocol than WebSocket")

// IsUpgrade reports whether r asks to become a WebSocket (RFC 6455 §4.1), the one upgrade that passes.
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

// AskUpgrade puts back into out, which Outgoing made for a request that IsUpgrade, what makes it one.
func AskUpgrade(out *http.Request) {
	out.Header["Connection"] = []string{"Upgrade"}
	out.Header["Upgrade"] = []string{"websocket"}
}

// Switch completes an upgrade to which the backend has answered 101: it sends head, the answer as the client is to see it, and then
// hands bytes to and fro until one side ends or ctx is done. An error from before anything was sent to the client leaves the
// response to the caller; hijacked says whether that is over.
func (b *Backend) Switch(ctx context.Context, w http.ResponseWriter, resp *http.Response, head http.Header) (hijacked bool, err error) {
	backend, ok := resp.Body.(io.ReadWriteCloser)
	if !ok || !isWebSocket(httpfield.Header(resp.Header)) {
		return false, errNotSwitched
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return false, fmt.Errorf("the client's connection cannot be taken over: %w", err)
	}
	b.sockets.Add(1)
	defer b.sockets.Done()
	defer context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = backend.Close()
	})()
	defer backend.Close()
	defer client.Close()
	if err := writeHead(buffered.Writer, head); err != nil {
		return true, err
	}
	ended := make(chan error, 2)
	go func() { // ends when either connection is closed, which the deferred calls see to
		ended <- pump(backend, buffered.Reader, client)
	}()
	go func() { // likewise
		_, err := io.Copy(client, backend)
		ended <- err
	}()
	err = <-ended
	_ = client.Close()
	_ = backend.Close()
	<-ended
	return true, err
}

// pump sends what the server had already read from the client, and then all that follows.
func pump(to io.Writer, read *bufio.Reader, client net.Conn) error {
	if n := read.Buffered(); n > 0 {
		if _, err := io.CopyN(to, read, int64(n)); err != nil {
			return err
		}
	}
	_, err := io.Copy(to, client)
	return err
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
