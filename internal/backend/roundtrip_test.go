package backend_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

func TestBodyIsNotSentBeforeTheBackendContinues(t *testing.T) {
	for _, eager := range []bool{false, true} {
		t.Run(fmt.Sprintf("client sends without waiting %v", eager), func(t *testing.T) {
			var continued atomic.Bool
			o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
				if expect := r.Values("Expect"); !slices.Equal(expect, []string{"100-continue"}) {
					t.Errorf("Expect: %q", expect)
				}
				if !c.Silent(100 * time.Millisecond) {
					t.Error("the body is sent at once")
				}
				continued.Store(true)
				_, _ = c.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
				if body, err := io.ReadAll(r.Body); string(body) != "hello" {
					t.Errorf("the body is %q, %v", body, err)
				}
				_, _ = c.WriteString(emptyOK)
			})
			c := dialTo(t, "tcp", startRelay(t, newBackend(t, backend.Options{URL: o.URL()})))
			c.send(t, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"+
				"\r\n")
			if eager {
				c.send(t, "hello")
			}
			if resp := c.head(t); resp.StatusCode != http.StatusContinue {
				t.Fatal(resp.Status)
			}
			if !continued.Load() {
				t.Error("the client is told to continue before the backend said so")
			}
			if !eager {
				c.send(t, "hello")
			}
			if resp := c.head(t); resp.StatusCode != http.StatusOK {
				t.Error(resp.Status)
			}
		})
	}
}

func TestFinalStatusWithoutContinuePasses(t *testing.T) {
	for _, status := range []string{"417 Expectation Failed", "401 Unauthorized", "200 OK"} {
		t.Run(status, func(t *testing.T) {
			rest := make(chan string, 1)
			o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
				_, _ = c.WriteString("HTTP/1.1 " + status + "\r\nContent-Length: 2\r\n\r\nno")
				body, _ := io.ReadAll(r.Body)
				rest <- string(body)
			})
			c := dialTo(t, "tcp", startRelay(t, newBackend(t, backend.Options{URL: o.URL()})))
			c.send(t, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"+
				"\r\n")
			resp, body := c.answer(t)
			if resp.StatusCode == http.StatusContinue {
				// Go's transport may ask for the body all the same, to keep the connection to the
				// backend.
				resp, body = c.answer(t)
			}
			if resp.Status != status || body != "no" {
				t.Errorf("%s %q", resp.Status, body)
			}
			_ = c.Close()
			if body := next(t, rest); body != "" {
				t.Errorf("the backend got %q", body)
			}
		})
	}
}

func TestBodyIsSentAfterAWhileToABackendThatNeverContinues(t *testing.T) {
	o, got := startRecorder(t)
	c := dialTo(t, "tcp", startRelay(t, newBackend(t, backend.Options{URL: o.URL()})))
	c.send(t, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if resp := c.head(t); resp.StatusCode != http.StatusContinue {
		t.Fatal(resp.Status)
	}
	c.send(t, "hello")
	if resp := c.head(t); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if r := next(t, got); r.body != "hello" {
		t.Errorf("%q", r.body)
	}
}

// informational are an origin's lines before its answer, and told those that are passed on.
const informational = "HTTP/1.1 100 Continue\r\n\r\n" +
	"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nX-A: 1\r\n\r\n" +
	"HTTP/1.1 102 Processing\r\n\r\n" +
	"HTTP/1.1 103 Early Hints\r\nLink: </c>\r\n\r\n" +
	"HTTP/1.1 104 Upload Resumption Supported\r\n\r\n" +
	"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n" +
	"\r\nHTTP/1.1 102 Processing\r\n\r\n"

var told = []string{
	"103 [</a>; rel=preload </b>] [1]", "102 [] []", "103 [</c>] []", "104 [] []", "102 [] []",
	"102 [] []", "102 [] []", "102 [] []",
}

func hint(status int, fields http.Header) string {
	return fmt.Sprint(status, " ", fields["Link"], " ", fields["X-A"])
}

func TestInformationalAnswersAreToldBeforeTheAnswer(t *testing.T) {
	var got []string
	seen := make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(informational)
		select { // the answer comes when the last of them has been told
		case <-seen:
		case <-t.Context().Done():
		}
		_, _ = c.WriteString(emptyOK)
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	status, err := roundTrip(t, t.Context(), b, func(status int, fields http.Header) {
		if got = append(got, hint(status, fields)); len(got) == len(told) {
			seen <- true
		}
		fields["Link"] = []string{"mine"}
	})
	if err != nil || status != http.StatusOK {
		t.Errorf("%d %v", status, err)
	}
	if !slices.Equal(got, told) {
		t.Errorf("told %q, want %q", got, told)
	}
}

func TestInformationalAnswersReachTheClient(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(informational + emptyOK)
	})
	c := dialTo(t, "tcp", startRelay(t, newBackend(t, backend.Options{URL: o.URL()})))
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	var got []string
	resp := c.head(t)
	for ; resp.StatusCode < 200; resp = c.head(t) {
		got = append(got, hint(resp.StatusCode, resp.Header))
	}
	if resp.StatusCode != http.StatusOK || resp.Header["Link"] != nil || !slices.Equal(got, told) {
		t.Errorf("%s after %q", resp.Status, got)
	}
}

func TestInformationalAnswersMayBeOfNoInterest(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(informational + emptyOK)
	})
	if status, err := roundTrip(t, t.Context(), newBackend(t, backend.Options{URL: o.URL()}),
		nil); err != nil || status != http.StatusOK {
		t.Errorf("%d %v", status, err)
	}
}

func TestNothingIsToldOnceRoundTripHasReturned(t *testing.T) {
	ended := make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		var err error
		for err == nil { // until the connection is closed
			_, err = c.WriteString(
				"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" +
					"HTTP/1.1 103 Early Hints\r\n\r\n")
		}
		ended <- true
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var returned, late atomic.Bool
		_, err := roundTrip(t, ctx, b, func(int, http.Header) {
			if returned.Load() {
				late.Store(true)
			}
			cancel()
		})
		returned.Store(true)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		next(t, ended)
		if late.Load() {
			t.Fatal("told after RoundTrip returned")
		}
	}
}

func TestClosedPortIsRefused(t *testing.T) {
	for _, tt := range []struct{ name, url string }{
		{"http", "http://" + closedPort(t)},
		{"https", "https://" + closedPort(t)},
		{"h2c", "h2c://" + closedPort(t)},
		{"unix", "unix://" + t.TempDir() + "/s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := roundTrip(t, t.Context(), newBackend(t, backend.Options{URL: tt.url}), nil)
			if !backend.IsUnsent(err) || errors.Is(err, backend.ErrTimeout) {
				t.Error(err)
			}
		})
	}
}

func TestConnectionThatTakesTooLongIsRefusedAndATimeout(t *testing.T) {
	b, err := backend.New(backend.Options{URL: "http://127.0.0.1:1", Dial: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = roundTrip(t, t.Context(), b, nil); !backend.IsUnsent(err) ||
		!errors.Is(err, backend.ErrTimeout) {
		t.Error(err)
	}
}

func TestConnectionThatBreaksAfterTheRequestIsNotRefused(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		for _, how := range breakings {
			t.Run(method+" "+how.name, func(t *testing.T) {
				o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) { how.end(c) })
				b := newBackend(t, backend.Options{URL: o.URL()})
				_, err := b.RoundTrip(t.Context(), outgoing(t, b, method, "/"), nil)
				if err == nil || backend.IsUnsent(err) || errors.Is(err, backend.ErrTimeout) {
					t.Error(err)
				}
				if o.Requests() != 1 {
					t.Errorf("it is sent %d times", o.Requests())
				}
			})
		}
	}
}

func TestRetriedRequestWhoseSecondConnectionIsRefusedMayHaveArrived(t *testing.T) {
	var count atomic.Int32
	closed := make(chan func(), 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		if count.Add(1) == 2 {
			(<-closed)()
			_ = c.Close()
			return
		}
		_, _ = c.WriteString(emptyOK)
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	if _, err := roundTrip(t, t.Context(), b, nil); err != nil {
		t.Fatal(err)
	}
	closed <- o.Refuse
	if _, err := roundTrip(t, t.Context(), b, nil); err == nil || backend.IsUnsent(err) {
		t.Error(err)
	}
}

func TestErrorsOfSilentBackends(t *testing.T) {
	expired := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, 20*time.Millisecond)
	}
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		context func(context.Context) (context.Context, context.CancelFunc)
		is, not error
	}{
		{"the backend's time is over", 20 * time.Millisecond, context.WithCancel,
			backend.ErrTimeout, context.Canceled},
		{"the caller's time is over", patience, expired, context.DeadlineExceeded,
			backend.ErrTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ended := make(chan bool, 1)
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) { ended <- c.AwaitEnd() })
			ctx, cancel := tt.context(t.Context())
			defer cancel()
			_, err := roundTrip(t, ctx,
				newBackend(t, backend.Options{URL: o.URL(), Timeout: tt.timeout}), nil)
			if !errors.Is(err, tt.is) || errors.Is(err, tt.not) || backend.IsUnsent(err) {
				t.Error(err)
			}
			if !next(t, ended) {
				t.Error("the backend does not see the end")
			}
		})
	}
}

func TestTimeoutOverHTTP2(t *testing.T) {
	for _, kind := range []string{"https", "h2c"} {
		t.Run(kind, func(t *testing.T) {
			api := serve(t, kind, func(_ http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
			})
			_, err := roundTrip(t, t.Context(),
				newBackend(t, backend.Options{
					URL: api.url, TLS: api.tls, Timeout: 50 * time.Millisecond,
				}), nil)
			if !errors.Is(err, backend.ErrTimeout) || backend.IsUnsent(err) {
				t.Error(err)
			}
		})
	}
}

func TestTimeoutIsOfTheHeadAlone(t *testing.T) {
	const timeout = 50 * time.Millisecond
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
		if !c.Silent(3 * timeout) {
			t.Error("the exchange ends within the body")
		}
		_, _ = c.WriteString("x")
	})
	b := newBackend(t, backend.Options{URL: o.URL(), Timeout: timeout})
	resp, err := b.RoundTrip(t.Context(), outgoing(t, b, "GET", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "x" {
		t.Errorf("%q %v", body, err)
	}
}

func TestCancelledContextEndsTheExchange(t *testing.T) {
	for _, tt := range []struct{ name, written string }{
		{"before the answer", ""},
		{"after an informational answer", "HTTP/1.1 103 Early Hints\r\n\r\n"},
		{"within the body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			arrived, ended := make(chan bool, 1), make(chan bool, 1)
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				_, _ = c.WriteString(tt.written)
				arrived <- true
				ended <- c.AwaitEnd()
			})
			b := newBackend(t, backend.Options{URL: o.URL()})
			result := make(chan error, 1)
			head := make(chan bool, 1)
			out := outgoing(t, b, "GET", "/")
			go func() {
				resp, err := b.RoundTrip(ctx, out, nil)
				head <- err == nil
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				result <- err
			}()
			next(t, arrived)
			if tt.name == "within the body" && !next(t, head) {
				t.Error("no head")
			}
			cancel()
			if err := next(t, result); !errors.Is(err, context.Canceled) ||
				errors.Is(err, backend.ErrTimeout) || backend.IsUnsent(err) {
				t.Error(err)
			}
			if !next(t, ended) {
				t.Error("the backend does not see the end")
			}
		})
	}
}

func TestClientThatGoesAwayEndsTheExchange(t *testing.T) {
	arrived, ended := make(chan bool, 1), make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		arrived <- true
		ended <- c.AwaitEnd()
	})
	c := dialTo(t, "tcp", startRelay(t, newBackend(t, backend.Options{URL: o.URL()})))
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	next(t, arrived)
	_ = c.Close()
	if !next(t, ended) {
		t.Error("the backend does not see the end")
	}
}
