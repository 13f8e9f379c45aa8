package backend_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

func TestIsUpgrade(t *testing.T) {
	for _, tt := range []struct {
		name, start string
		fields      []string
		want        bool
	}{
		{"a WebSocket", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket"}, true},
		{"in any case", "GET / HTTP/1.1",
			[]string{"connection: upgrade", "upgrade: WebSocket"}, true},
		{"among other options", "GET / HTTP/1.1",
			[]string{"Connection: keep-alive, Upgrade", "Upgrade: websocket"}, true},
		{"on another line", "GET / HTTP/1.1",
			[]string{"Connection: keep-alive", "Connection: Upgrade", "Upgrade: websocket"}, true},
		{"length 0", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0"}, true},
		{"a plain request", "GET / HTTP/1.1", nil, false},
		{"without Connection", "GET / HTTP/1.1", []string{"Upgrade: websocket"}, false},
		{"without Upgrade", "GET / HTTP/1.1", []string{"Connection: Upgrade"}, false},
		{"Connection names something like it", "GET / HTTP/1.1",
			[]string{"Connection: Upgrades, X-Upgrade", "Upgrade: websocket"}, false},
		{"to something else", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: h2c"}, false},
		{"to a choice", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket, h2c"}, false},
		{"to a choice on two lines", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"}, false},
		{"by POST", "POST / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket"}, false},
		{"by get", "get / HTTP/1.1", []string{"Connection: Upgrade", "Upgrade: websocket"}, false},
		{"by HTTP/1.0", "GET / HTTP/1.0",
			[]string{"Connection: Upgrade", "Upgrade: websocket"}, false},
		{"with a body", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket", "Content-Length: 1"}, false},
		{"with a chunked body", "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked"},
			false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := strings.Join(append([]string{tt.start, "Host: a"}, tt.fields...), "\r\n") +
				"\r\n\r\n"
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
			if err != nil {
				t.Fatal(err)
			}
			if got := backend.IsUpgrade(r); got != tt.want {
				t.Error(got)
			}
		})
	}
}

const (
	handshake = "GET /chat?x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, upgrade\r\n" +
		"Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"
	switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"
)

// awaitBytes reads these bytes from the other side.
func awaitBytes(t *testing.T, c *origin.Conn, want string) {
	p := make([]byte, len(want))
	if n, err := io.ReadFull(c, p); string(p[:n]) != want {
		t.Errorf("the backend got %q, %v, want %q", p[:n], err, want)
	}
}

func TestSwitchedConnectionCarriesBytesBothWays(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 16<<10)
	ended := make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		if r.Method != "GET" || r.Target != "/chat?x" {
			t.Errorf("%q", r.Head)
		}
		for name, want := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "k",
			"Sec-WebSocket-Version": "13",
		} {
			if got := r.Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %q", name, got)
			}
		}
		_, _ = c.WriteString(switched + "early")
		awaitBytes(t, c, "at once")
		_, _ = c.WriteString("pong")
		awaitBytes(t, c, "ping"+big)
		_, _ = c.WriteString(big)
		ended <- c.AwaitEnd()
	})
	c := dialTo(t, "tcp", startRelay(t, newBackend(t, backend.Options{URL: o.URL()})))
	c.send(t, handshake+"at once")
	resp := c.head(t)
	if resp.StatusCode != http.StatusSwitchingProtocols ||
		resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Connection") != "Upgrade" ||
		resp.Header.Get("Sec-Websocket-Accept") != "a" {
		t.Fatalf("%s %q", resp.Status, resp.Header)
	}
	c.expect(t, "early"+"pong")
	c.send(t, "ping"+big)
	c.expect(t, big)
	_ = c.Close()
	if !next(t, ended) {
		t.Error("the backend does not see the client's end")
	}
}

// The timeout is for the answer's head: a WebSocket may be silent for longer.
func TestSwitchedConnectionOutlastsTheTimeout(t *testing.T) {
	const timeout = 200 * time.Millisecond
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(switched)
		time.Sleep(timeout + timeout/2)
		_, _ = c.WriteString("late")
		awaitBytes(t, c, "later")
	})
	b := newBackend(t, backend.Options{URL: o.URL(), Timeout: timeout})
	c := dialTo(t, "tcp", startRelay(t, b))
	c.send(t, handshake)
	c.head(t)
	c.expect(t, "late")
	c.send(t, "later")
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(c.read); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestSwitchedConnectionEndsForBothSides(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(c *client, o chan<- bool, cancel context.CancelFunc)
	}{
		{"when the client closes", func(c *client, _ chan<- bool, _ context.CancelFunc) {
			_ = c.Close()
		}},
		{"when the client closes one way", func(c *client, _ chan<- bool, _ context.CancelFunc) {
			_ = c.Conn.(*net.TCPConn).CloseWrite()
		}},
		{"when the backend closes", func(_ *client, o chan<- bool, _ context.CancelFunc) {
			close(o)
		}},
		{"when the context is done", func(_ *client, _ chan<- bool, cancel context.CancelFunc) {
			cancel()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			mayClose, ended := make(chan bool), make(chan bool, 1)
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				_, _ = c.WriteString(switched)
				stop := make(chan bool)
				go func() {
					defer close(stop)
					select {
					case <-mayClose:
						_ = c.CloseWrite()
					case <-t.Context().Done():
					}
				}()
				ended <- c.AwaitEnd()
				cancel()
				<-stop
			})
			b := newBackend(t, backend.Options{URL: o.URL()})
			relay := startRelay(t, b, func(s *httptest.Server) {
				s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
			})
			c := dialTo(t, "tcp", relay)
			c.send(t, handshake)
			if resp := c.head(t); resp.StatusCode != http.StatusSwitchingProtocols {
				t.Fatal(resp.Status)
			}
			closed := make(chan bool, 1)
			go func() {
				b.Close()
				closed <- true
			}()
			select {
			case <-closed:
				t.Error("Close does not wait for the connection")
			case <-time.After(20 * time.Millisecond):
			}
			tt.end(c, mayClose, cancel)
			if n, err := c.read.WriteTo(io.Discard); n > 0 ||
				err != nil && tt.name != "when the client closes" {
				t.Errorf("the client reads %d bytes and then %v", n, err)
			}
			_ = c.Close()
			if !next(t, ended) {
				t.Error("the backend does not see the end")
			}
			next(t, closed)
		})
	}
}

func TestWhatOneSideSendsAfterTheOtherHasEndedArrives(t *testing.T) {
	last := strings.Repeat("last", 256<<10)
	end := make(chan bool)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = c.WriteString(switched)
		if r.Target == "/backend" { // it ends first
			_ = c.CloseWrite()
			awaitBytes(t, c, last)
			end <- c.AwaitEnd()
			return
		}
		c.AwaitEnd()
		_, _ = c.WriteString(last)
	})
	address := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	t.Run("the client ends first", func(t *testing.T) {
		c := dialTo(t, "tcp", address)
		c.send(t, strings.Replace(handshake, "/chat?x", "/client", 1))
		c.head(t)
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		if rest, err := io.ReadAll(c.read); string(rest) != last || err != nil {
			t.Errorf("%d bytes, %v", len(rest), err)
		}
	})
	t.Run("the backend ends first", func(t *testing.T) {
		c := dialTo(t, "tcp", address)
		c.send(t, strings.Replace(handshake, "/chat?x", "/backend", 1))
		c.head(t)
		if rest, err := io.ReadAll(c.read); len(rest) > 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		c.send(t, last)
		_ = c.Close()
		if !next(t, end) {
			t.Error("the backend does not see the end")
		}
	})
}

func TestSwitchToSomethingElseIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, fields string }{
		{"another protocol", "Connection: Upgrade\r\nUpgrade: h2c\r\n"},
		{"two protocols", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"},
		{"no protocol", "Connection: Upgrade\r\n"},
		{"no Connection", "Upgrade: websocket\r\n"},
		{"nothing", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan bool, 1)
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				_, _ = c.WriteString("HTTP/1.1 101 Switching Protocols\r\n" + tt.fields + "\r\n")
				ended <- c.AwaitEnd()
			})
			resp, body := exchange(t, startRelay(t, newBackend(t, backend.Options{URL: o.URL()})),
				handshake)
			if resp.StatusCode != http.StatusBadGateway ||
				body != "the backend switched to another protocol than WebSocket\n" {
				t.Errorf("%s %q", resp.Status, body)
			}
			if !next(t, ended) {
				t.Error("the connection stays open")
			}
		})
	}
}

func TestRefusalToSwitchPasses(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
	})
	if resp, body := exchange(t, startRelay(t, newBackend(t, backend.Options{URL: o.URL()})),
		handshake); resp.StatusCode != http.StatusUpgradeRequired || body != "no" {
		t.Errorf("%s %q", resp.Status, body)
	}
}

func TestSwitchLeavesAClientThatCannotBeTakenOverToTheCaller(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(switched)
		c.AwaitEnd()
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	out := outgoing(t, b, "GET", "/")
	backend.AskUpgrade(out)
	resp, err := b.RoundTrip(t.Context(), out, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w := httptest.NewRecorder()
	if hijacked, err := b.Switch(t.Context(), w, resp, resp.Header); hijacked || err == nil ||
		len(w.Header()) > 0 {
		t.Errorf("%v %v %q", hijacked, err, w.Header())
	}
}

func TestUpgradeGoesByHTTP1ToABackendThatCanDoHTTP2(t *testing.T) {
	api := serve(t, "https", func(w http.ResponseWriter, r *http.Request) {
		if !backend.IsUpgrade(r) {
			_, _ = io.WriteString(w, r.Proto)
			return
		}
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = both.WriteString(switched + "early")
		_ = both.Flush()
		_, _ = io.CopyN(conn, both, 4)
	})
	b := newBackend(t, backend.Options{URL: api.url, TLS: api.tls})
	relay := startRelay(t, b)
	// that connection is kept
	if resp, body := exchange(t, relay, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); body != "HTTP/2.0" {
		t.Fatal(resp.Status, body)
	}
	c := dialTo(t, "tcp", relay)
	c.send(t, handshake)
	if resp := c.head(t); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp.Status)
	}
	c.expect(t, "early")
	c.send(t, "ping")
	c.expect(t, "ping")
}
