package backend_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

// The surplus of a backend's answer must not be taken for the answer to any next request.
func TestNoRequestIsGivenTheAnswerOfAnother(t *testing.T) {
	const smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nSet-Cookie: session=another\r\n\r\n" +
		"evil"
	for _, tt := range []struct{ name, answer string }{
		{"more than its Content-Length",
			"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" + smuggled},
		{"content with a 204", "HTTP/1.1 204 No Content\r\n\r\n" + smuggled},
		{"content with a 304", "HTTP/1.1 304 Not Modified\r\n\r\n" + smuggled},
		{"more than its last chunk",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n" +
				smuggled},
	} {
		for _, kind := range []string{"http", "https1"} {
			for _, request := range []struct {
				method, content string
			}{{"POST", "hello"}, {"POST", ""}, {"DELETE", ""}, {"GET", ""}} {
				t.Run(fmt.Sprint(tt.name, ", ", kind, ", ", request.method, " ",
					len(request.content)), func(t *testing.T) {
					api := serve(t, kind, func(w http.ResponseWriter, r *http.Request) {
						conn, _, err := http.NewResponseController(w).Hijack()
						if err != nil {
							t.Error(err)
							return
						}
						_, _ = io.WriteString(conn, tt.answer)
						_, _ = io.Copy(io.Discard, conn) // until the other side has had enough
						_ = conn.Close()
					})
					b := newBackend(t,
						backend.Options{URL: api.url, TLS: api.tls, Timeout: time.Second})
					for range 10 {
						resp, err := b.RoundTrip(t.Context(),
							sending(t, b, request.method, "/", request.content), nil)
						if err != nil {
							t.Fatal(err)
						}
						body, err := io.ReadAll(resp.Body)
						_ = resp.Body.Close()
						if err != nil || string(body) == "evil" ||
							resp.Header["Set-Cookie"] != nil {
							t.Fatalf("%s %q %q, %v", resp.Status, resp.Header, body, err)
						}
					}
				})
			}
		}
	}
}

func TestAConnectionIsUsedAgainAfterContent(t *testing.T) {
	for _, kind := range []string{"http", "https1", "unix"} {
		t.Run(kind, func(t *testing.T) {
			remotes := make(map[string]bool)
			api := serve(t, kind, func(_ http.ResponseWriter, r *http.Request) {
				remotes[r.RemoteAddr] = true
				if body, err := io.ReadAll(r.Body); string(body) != "hello" || err != nil {
					t.Errorf("%q %v", body, err)
				}
			})
			b := newBackend(t, backend.Options{URL: api.url, TLS: api.tls})
			for range 20 {
				resp, err := b.RoundTrip(t.Context(), sending(t, b, "POST", "/", "hello"), nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			// A connection is free again when its upload has ended too, which can be a moment after
			// the answer: the next request then makes another one.
			if len(remotes) > 10 {
				t.Errorf("20 requests on %d connections", len(remotes))
			}
		})
	}
}

// A backend may answer before it has read the content: the answer is there at once, and nothing of
// the content gets into the next request.
func TestAnAnswerMayComeBeforeTheContent(t *testing.T) {
	var requests atomic.Int32
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		if n := requests.Add(1); n == 1 {
			_, _ = c.WriteString("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
			c.AwaitEnd()
			return
		}
		if r.Method != "GET" {
			t.Errorf("%q", r.Head)
		}
		_, _ = c.WriteString(emptyOK)
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	in := httptest.NewRequest("POST", "/", nil)
	reader, writer := io.Pipe()
	in.Body, in.ContentLength = reader, 1<<20
	out, _ := b.Outgoing(in, "")
	resp, err := b.RoundTrip(t.Context(), out, nil)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatal(resp, err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "no" || err != nil {
		t.Errorf("%q %v", body, err)
	}
	_ = resp.Body.Close()
	if status, err := roundTrip(t, t.Context(), b, nil); status != http.StatusOK || err != nil {
		t.Errorf("%d %v", status, err)
	}
	go func() { // the read that waits for it may still be there, or not
		_, _ = writer.Write([]byte("late"))
	}()
	defer reader.Close()
	if status, err := roundTrip(t, t.Context(), b, nil); status != http.StatusOK || err != nil {
		t.Errorf("%d %v", status, err)
	}
}

// Content passes while the answer is already under way.
func TestContentAndAnswerPassAtOnce(t *testing.T) {
	for _, length := range []int64{-1, 12} {
		t.Run(fmt.Sprint("length ", length), func(t *testing.T) {
			// a busy machine may be late to tell that the content has ended
			for range 20 {
				if connections := passBothAtOnce(t, length); connections == 1 {
					return
				}
			}
			t.Error("the connection is never used again")
		})
	}
}

// passBothAtOnce has content and answer pass in turns, and then sends another request. It returns
// how many connections that took.
func passBothAtOnce(t *testing.T, length int64) (connections int) {
	t.Helper()
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		word := make([]byte, 4)
		for {
			if _, err := io.ReadFull(r.Body, word); err != nil {
				break
			}
			_, _ = c.WriteString("4\r\n" + string(word) + "\r\n")
		}
		_, _ = c.WriteString("0\r\n\r\n")
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	in := httptest.NewRequest("POST", "/", nil)
	reader, writer := io.Pipe()
	in.Body, in.ContentLength = reader, length
	out, _ := b.Outgoing(in, "")
	resp, err := b.RoundTrip(t.Context(), out, nil)
	if err != nil {
		t.Fatal(err)
	}
	word := make([]byte, 4)
	for range 3 {
		_, _ = io.WriteString(writer, "ping")
		if _, err := io.ReadFull(resp.Body, word); err != nil || string(word) != "ping" {
			t.Fatalf("%q %v", word, err)
		}
	}
	_ = writer.Close()
	if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	_ = resp.Body.Close()
	if status, err := roundTrip(t, t.Context(), b, nil); status != http.StatusOK || err != nil {
		t.Fatalf("%d %v", status, err)
	}
	return o.Connections()
}

// Content that breaks off must not look complete to the backend.
func TestContentThatBreaksOffEndsTheConnection(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name   string
		length int64
		err    error
		want   error
	}{
		{"chunked", -1, broken, broken},
		{"counted", 10, broken, broken},
		{"shorter than announced", 10, io.EOF, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan error, 1)
			o := origin.Start(t, func(_ *origin.Conn, r *origin.Request) {
				n, err := io.Copy(io.Discard, r.Body)
				if err == nil && n < 10 && tt.length > 0 {
					err = io.ErrUnexpectedEOF
				}
				got <- err
			})
			b := newBackend(t, backend.Options{URL: o.URL()})
			in := httptest.NewRequest("POST", "/", nil)
			reader, writer := io.Pipe()
			in.Body, in.ContentLength = reader, tt.length
			out, _ := b.Outgoing(in, "")
			go func() {
				_, _ = io.WriteString(writer, "hello")
				_ = writer.CloseWithError(tt.err)
			}()
			if _, err := b.RoundTrip(t.Context(), out, nil); !errors.Is(err, tt.want) ||
				!backend.IsUnread(err) {
				t.Error(err)
			}
			if r := b.Report(); r.LastError != "" || r.Answers["canceled"] != 1 {
				t.Errorf("the backend is blamed: %+v", r)
			}
			if err := next(t, got); err == nil {
				t.Error("the backend takes it for complete")
			}
		})
	}
}

// The time for an answer runs from the end of the content: a client may take longer to send it.
func TestTheTimeoutRunsFromTheEndOfTheContent(t *testing.T) {
	const timeout = 100 * time.Millisecond
	answers := make(chan bool, 2)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if <-answers {
			_, _ = c.WriteString(emptyOK)
			return
		}
		c.AwaitEnd()
	})
	b := newBackend(t, backend.Options{URL: o.URL(), Timeout: timeout})
	send := func() error {
		in := httptest.NewRequest("POST", "/", nil)
		reader, writer := io.Pipe()
		in.Body, in.ContentLength = reader, 2
		out, _ := b.Outgoing(in, "")
		go func() {
			_, _ = writer.Write([]byte("a"))
			time.Sleep(3 * timeout) // the client's own pace, which is what is tried
			_, _ = writer.Write([]byte("b"))
			_ = writer.Close()
		}()
		resp, err := b.RoundTrip(t.Context(), out, nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	answers <- true
	if err := send(); err != nil {
		t.Error(err)
	}
	answers <- false
	if err := send(); !errors.Is(err, backend.ErrTimeout) || backend.IsUnsent(err) {
		t.Error(err)
	}
}

// A backend that reads nothing holds its request no longer than it may be silent.
func TestABackendThatTakesNothingIsGivenUp(t *testing.T) {
	o := origin.Start(t, func(*origin.Conn, *origin.Request) { <-t.Context().Done() })
	b := newBackend(t, backend.Options{URL: o.URL(), Timeout: 200 * time.Millisecond})
	in := httptest.NewRequest("POST", "/", nil)
	in.Body, in.ContentLength = io.NopCloser(endless{}), -1
	out, _ := b.Outgoing(in, "")
	if _, err := b.RoundTrip(t.Context(), out, nil); err == nil {
		t.Error("it is answered")
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// Over HTTP/2 it is not known of a GET that its content is empty until it has ended.
func TestContentThatTurnsOutToBeNoneIsNotFramed(t *testing.T) {
	o, got := startRecorder(t)
	b := newBackend(t, backend.Options{URL: o.URL()})
	for _, tt := range []struct {
		method, content string
		coding          int
	}{
		{"GET", "", 0}, {"DELETE", "", 0}, {"GET", "x", 1}, {"POST", "", 1},
	} {
		in := httptest.NewRequest(tt.method, "/", nil)
		in.Body, in.ContentLength = io.NopCloser(strings.NewReader(tt.content)), -1
		out, _ := b.Outgoing(in, "")
		resp, err := b.RoundTrip(t.Context(), out, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if r := next(t, got); r.body != tt.content ||
			len(r.Values("Transfer-Encoding")) != tt.coding || r.Values("Content-Length") != nil {
			t.Errorf("%s %q: %q", tt.method, tt.content, r.Head)
		}
	}
}

func TestTrailersThatWouldSteerARequestDoNotPass(t *testing.T) { // RFC 9110 §6.5.1
	for _, scheme := range []string{"http", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			got := make(chan http.Header, 1)
			api := serve(t, scheme, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				got <- r.Trailer
			})
			address := startRelay(t, newBackend(t, backend.Options{URL: api.url}))
			resp, _ := exchange(t, address,
				"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"+
					"Trailer: X-Sum, X-Forwarded-For, Authorization, Cookie, X_Forwarded_For, Range\r\n\r\n"+
					"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Forwarded-For: 1.2.3.4\r\n"+
					"Authorization: Bearer x\r\nCookie: a=b\r\nX_Forwarded_For: 1.2.3.4\r\n"+
					"Range: bytes=0-\r\n\r\n")
			if resp.StatusCode != http.StatusOK {
				t.Fatal(resp.Status)
			}
			if trailer := next(t, got); len(trailer) != 1 || trailer.Get("X-Sum") != "1" {
				t.Errorf("%q", trailer)
			}
		})
	}
}

func TestInformationalAnswersAreBoundedByEachProtocol(t *testing.T) {
	for _, scheme := range []string{"http", "h2c"} {
		t.Run(scheme, func(t *testing.T) {
			api := serve(t, scheme, func(w http.ResponseWriter, _ *http.Request) {
				for range 101 {
					w.WriteHeader(http.StatusEarlyHints)
				}
			})
			told := 0
			_, err := roundTrip(t, t.Context(), newBackend(t, backend.Options{URL: api.url}),
				func(int, http.Header) { told++ })
			if !errors.Is(err, backend.ErrMalformed) || told != 100 {
				t.Errorf("told %d times, %v", told, err)
			}
		})
	}
}
