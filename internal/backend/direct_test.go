package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

func TestConnectionsAreUsedAgain(t *testing.T) { // RFC 9112 §9.3
	for _, tt := range []struct {
		name, method, answer string
		again                bool
	}{
		{"after counted content", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true},
		{"after no content", "GET", emptyOK, true},
		{"after chunked content", "GET",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},
		{"after trailers", "GET",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: 1\r\n" +
				"\r\n", true},
		{"after a HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true},
		{"after a 304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", true},
		{"after informational answers", "GET", "HTTP/1.1 103 E\r\n\r\n" + emptyOK, true},
		{"not after HTTP/1.0", "GET",
			"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", false},
		{"not after Connection: close", "GET",
			"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", false},
		{"not after more than the content", "GET", emptyOK + emptyOK, false},
		{"not after content of a HEAD", "HEAD",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
		{"not after content of a 204", "GET",
			"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", false},
		{"not after content of a 304", "GET", "HTTP/1.1 304 Not Modified\r\n\r\nhello", false},
		{"not after two framings", "GET",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				_, _ = c.WriteString(tt.answer)
			})
			b := newBackend(t, backend.Options{URL: o.URL()})
			for range 3 {
				resp, err := b.RoundTrip(t.Context(), outgoing(t, b, tt.method, "/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Error(err)
				}
				_ = resp.Body.Close()
			}
			if n := o.Connections(); tt.again && n != 1 || !tt.again && n != 3 {
				t.Errorf("3 requests on %d connections", n)
			}
		})
	}
}

func TestARequestIsSentAgainOnlyWhereNothingCame(t *testing.T) { // RFC 9112 §9.3.1
	keep := func(c *origin.Conn) { _, _ = c.WriteString(emptyOK) }
	say := func(what string, then func(*origin.Conn)) func(*origin.Conn) {
		return func(c *origin.Conn) {
			_, _ = c.WriteString(what)
			then(c)
		}
	}
	end := func(c *origin.Conn) { _ = c.Close() }
	silent := func(c *origin.Conn) { c.AwaitEnd() }
	for _, tt := range []struct {
		name               string
		fates              []func(*origin.Conn) // of the requests, as they come
		calls              int
		ok                 bool
		requests           int
		connections        int
		timeout, cancelled bool
	}{
		{"a used connection ends", []func(*origin.Conn){keep, end, keep}, 2, true,
			3, 2, false, false},
		{"a used connection is reset", []func(*origin.Conn){keep, (*origin.Conn).Reset, keep}, 2,
			true, 3, 2, false, false},
		{"the new one ends too", []func(*origin.Conn){keep, end, end, keep}, 2, false,
			3, 2, false, false},
		{"a new connection ends", []func(*origin.Conn){end, keep}, 1, false, 1, 1, false, false},
		{"a new connection is reset", []func(*origin.Conn){(*origin.Conn).Reset, keep}, 1, false,
			1, 1, false, false},
		{"a used connection ends after a byte", []func(*origin.Conn){keep, say("H", end), keep}, 2,
			false, 2, 1, false, false},
		{"a used connection ends after an informational answer",
			[]func(*origin.Conn){keep, say("HTTP/1.1 103 E\r\n\r\n", end), keep}, 2, false,
			2, 1, false, false},
		{"a used connection says what cannot be read",
			[]func(*origin.Conn){keep, say("what?\r\n\r\n", end), keep}, 2, false,
			2, 1, false, false},
		{"a used connection is silent too long", []func(*origin.Conn){keep, silent, keep}, 2, false,
			2, 1, true, false},
		{"a used connection is silent until the client leaves",
			[]func(*origin.Conn){keep, silent, keep}, 2, false, 2, 1, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var requests atomic.Int32
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				n := requests.Add(1)
				if tt.cancelled && n == 2 {
					cancel()
				}
				tt.fates[n-1](c)
			})
			options := backend.Options{URL: o.URL()}
			if tt.timeout {
				options.Timeout = 50 * time.Millisecond
			}
			b := newBackend(t, options)
			var err error
			for range tt.calls {
				if err != nil {
					t.Fatal(err)
				}
				_, err = roundTrip(t, ctx, b, nil)
			}
			if (err == nil) != tt.ok || backend.IsUnsent(err) ||
				errors.Is(err, backend.ErrTimeout) != tt.timeout ||
				errors.Is(err, context.Canceled) != tt.cancelled {
				t.Error(err)
			}
			if int(requests.Load()) != tt.requests || o.Connections() != tt.connections {
				t.Errorf("%d requests on %d connections", requests.Load(), o.Connections())
			}
		})
	}
}

func TestFloodsEnd(t *testing.T) {
	for _, tt := range []struct{ name, begin, more string }{
		{"of fields", "HTTP/1.1 200 OK\r\n", "X-A: 1\r\n"},
		{"of one field", "HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("a", 1<<10)},
		{"of folded lines", "HTTP/1.1 200 OK\r\nX-A: 1\r\n", " 1\r\n"},
		{"of a status line", "HTTP/1.1 200 ", strings.Repeat("a", 1<<10)},
		{"of informational answers", "", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"of continuations", "", "HTTP/1.1 100 Continue\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan bool, 1)
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				_, err := c.WriteString(tt.begin)
				for err == nil {
					_, err = c.WriteString(tt.more)
				}
				ended <- true
			})
			_, err := roundTrip(t, t.Context(), newBackend(t, backend.Options{URL: o.URL()}),
				func(int, http.Header) {})
			if !errors.Is(err, backend.ErrMalformed) || errors.Is(err, backend.ErrTimeout) ||
				backend.IsUnsent(err) {
				t.Error(err)
			}
			next(t, ended)
		})
	}
}

func TestInformationalAnswersDoNotProlongTheTimeout(t *testing.T) {
	ended := make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		var err error
		for err == nil && c.Silent(20*time.Millisecond) {
			_, err = c.WriteString("HTTP/1.1 102 Processing\r\n\r\n")
		}
		ended <- true
	})
	_, err := roundTrip(t, t.Context(),
		newBackend(t, backend.Options{URL: o.URL(), Timeout: 200 * time.Millisecond}), nil)
	if !errors.Is(err, backend.ErrTimeout) || backend.IsUnsent(err) {
		t.Error(err)
	}
	next(t, ended)
}

func TestACancelledContextEndsABodyOfWhichSomeIsThere(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		c.AwaitEnd()
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	ctx, cancel := context.WithCancelCause(t.Context())
	resp, err := b.RoundTrip(ctx, outgoing(t, b, "GET", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if n, err := resp.Body.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	why := errors.New("no longer wanted")
	cancel(why)
	for range 2 {
		if n, err := resp.Body.Read(make([]byte, 2)); n != 0 || !errors.Is(err, why) {
			t.Error(n, err)
		}
	}
}

func TestClosingABody(t *testing.T) {
	for _, tt := range []struct {
		name, answer string
		read         int
		again        bool // the connection
	}{
		{"of which the rest is there",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 2, true},
		{"that was read to its length",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5, true},
		{"of which the rest is not there",
			"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 2, false},
		{"of a connection that ends",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 2, false},
		{"that ends with the connection", "HTTP/1.1 200 OK\r\n\r\nhello", 2, false},
		{"of chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 2,
			false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
				_, _ = c.WriteString(tt.answer)
			})
			b := newBackend(t, backend.Options{URL: o.URL()})
			for range 2 {
				resp, err := b.RoundTrip(t.Context(), outgoing(t, b, "GET", "/"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.ReadFull(resp.Body, make([]byte, tt.read)); err != nil {
					t.Error(n, err)
				}
				for range 2 {
					if err := resp.Body.Close(); err != nil {
						t.Error(err)
					}
				}
				if n, err := resp.Body.Read(make([]byte, 8)); n != 0 || err == nil {
					t.Errorf("a closed body gives %d bytes, %v", n, err)
				}
			}
			if n := o.Connections(); tt.again && n != 1 || !tt.again && n != 2 {
				t.Errorf("2 requests on %d connections", n)
			}
		})
	}
}

func TestAResetWithinABodyIsNoEnd(t *testing.T) {
	for _, head := range []string{"", "Content-Length: 6\r\n", "Transfer-Encoding: foo\r\n"} {
		read := make(chan bool, 1)
		o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
			_, _ = c.WriteString("HTTP/1.1 200 OK\r\n" + head + "\r\nhello")
			<-read // a reset takes back unread bytes
			c.Reset()
		})
		b := newBackend(t, backend.Options{URL: o.URL()})
		resp, err := b.RoundTrip(t.Context(), outgoing(t, b, "GET", "/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			t.Fatal(n, err)
		}
		read <- true
		if n, err := resp.Body.Read(make([]byte, 8)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("%q: %d, %v", head, n, err)
		}
		_ = resp.Body.Close()
	}
}

func TestConnectionsAreUsedByManyAtOnce(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = c.WriteString(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
			len(r.Target), r.Target))
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	const clients = 16
	results := make(chan error, clients)
	for i := range clients {
		go func() {
			results <- func() error {
				for j := range 200 {
					target := fmt.Sprintf("/%d/%s", i, strings.Repeat("a", j*i))
					ctx, cancel := context.WithCancel(t.Context())
					resp, err := b.RoundTrip(ctx, outgoing(t, b, "GET", target), nil)
					if err != nil {
						cancel()
						return err
					}
					if j%5 == 0 { // one that leaves
						go cancel()
						_, _ = resp.Body.Read(make([]byte, 3))
						_ = resp.Body.Close()
						continue
					}
					body, err := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					cancel()
					if err != nil || string(body) != target {
						return fmt.Errorf("%q, %w", body, err)
					}
				}
				return nil
			}()
		}()
	}
	for range clients {
		if err := next(t, results); err != nil {
			t.Error(err)
		}
	}
}

func TestAnIdleConnectionHasNoGoroutine(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) { _, _ = c.WriteString(emptyOK) })
	b := newBackend(t, backend.Options{URL: o.URL()})
	if _, err := roundTrip(t, t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, name := range []string{"persistConn", "internal/backend.(*"} {
		if strings.Contains(string(stacks), name) {
			t.Errorf("%s runs:\n%s", name, stacks)
		}
	}
}

func TestCloseEndsIdleConnections(t *testing.T) {
	ended := make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(emptyOK)
		ended <- c.AwaitEnd()
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	if _, err := roundTrip(t, t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if !next(t, ended) {
		t.Error("the connection stays open")
	}
}

// A request that is sent again is the same: the third time its head is not made anew.
func TestARequestMayBeSentAgain(t *testing.T) {
	heads := make(chan string, 1)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		heads <- string(r.Head)
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	out := outgoing(t, b, "GET", "/again")
	first := ""
	for i := range 4 {
		resp, err := b.RoundTrip(t.Context(), out, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if head := <-heads; i == 0 {
			first = head
		} else if head != first {
			t.Errorf("the %d. time %q is sent, at first %q", i+1, head, first)
		}
	}
	if !strings.HasPrefix(first, "GET /again HTTP/1.1\r\n") {
		t.Errorf("%q", first)
	}
}
