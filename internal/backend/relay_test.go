package backend_test

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

// patience bounds the waits of a test.
const patience = 20 * time.Second

const emptyOK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func newBackend(t *testing.T, o backend.Options) *backend.Backend {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patience
	}
	o.Dial = patience
	b, err := backend.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// startRelay serves b as the sidecar does, without a cache, and returns its address.
func startRelay(t *testing.T, b *backend.Backend, configure ...func(*httptest.Server)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(relay(b))
	s.Config.DisableGeneralOptionsHandler = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, f := range configure {
		f(s)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func relay(b *backend.Backend) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, query, _ := strings.Cut(r.RequestURI, "?")
		out, ok := b.Outgoing(r, query)
		if !ok {
			http.Error(w, "refused by Outgoing", http.StatusBadRequest)
			return
		}
		upgrade := backend.IsUpgrade(r)
		if upgrade {
			backend.AskUpgrade(out)
		}
		resp, err := b.RoundTrip(r.Context(), out, func(status int, fields http.Header) {
			clear(w.Header())
			copyFields(w.Header(), fields)
			w.WriteHeader(status)
			clear(w.Header())
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		if upgrade && resp.StatusCode == http.StatusSwitchingProtocols {
			if hijacked, err := b.Switch(r.Context(), w, resp, resp.Header); !hijacked {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
			return
		}
		copyFields(w.Header(), resp.Header)
		for name := range resp.Trailer {
			w.Header().Add("Trailer", name)
		}
		w.WriteHeader(resp.StatusCode)
		_ = http.NewResponseController(w).Flush()
		if _, err := io.Copy(w, resp.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		copyFields(w.Header(), resp.Trailer)
	}
}

func copyFields(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}

// A client is a raw connection to a relay.
type client struct {
	net.Conn
	read *bufio.Reader
}

func dialTo(t *testing.T, network, address string) *client {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{c, bufio.NewReader(c)}
}

func (c *client) send(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// head reads the head of an answer, which may be informational.
func (c *client) head(t *testing.T) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// answer reads an answer with its body.
func (c *client) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp := c.head(t)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func (c *client) expect(t *testing.T, want string) {
	t.Helper()
	p := make([]byte, len(want))
	if n, err := io.ReadFull(c.read, p); string(p[:n]) != want {
		t.Fatalf("got %q, %v, want %q", p[:n], err, want)
	}
}

// exchange sends the bytes of one request on a connection of its own.
func exchange(t *testing.T, address, raw string) (*http.Response, string) {
	t.Helper()
	c := dialTo(t, "tcp", address)
	c.send(t, raw)
	return c.answer(t)
}

// A seen request is one with its body.
type seen struct {
	*origin.Request
	body string
}

// startRecorder starts an origin that answers everything with 200.
func startRecorder(t *testing.T) (*origin.Origin, <-chan seen) {
	t.Helper()
	got := make(chan seen, 16)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("the body breaks off: %v", err)
		}
		got <- seen{r, string(body)}
		_, _ = c.WriteString(emptyOK)
	})
	return o, got
}

// next is the next value of a channel.
func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// outgoing is b's request for one without fields.
func outgoing(t *testing.T, b *backend.Backend, method, target string) *backend.Request {
	t.Helper()
	return sending(t, b, method, target, "")
}

// sending is b's request for one with this content.
func sending(t *testing.T, b *backend.Backend, method, target, content string) *backend.Request {
	t.Helper()
	out, ok := b.Outgoing(httptest.NewRequest(method, target, strings.NewReader(content)), "")
	if !ok {
		t.Fatalf("%s is refused", target)
	}
	return out
}

// roundTrip sends a GET and closes the answer.
func roundTrip(t *testing.T, ctx context.Context, b *backend.Backend,
	told backend.Informational) (status int, err error) {
	t.Helper()
	resp, err := b.RoundTrip(ctx, outgoing(t, b, "GET", "/"), told)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}
