package hostile

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/origin"
)

// An API that sends more than its answer holds gives nobody the rest, and the log does not show
// it.
func TestNobodyIsGivenWhatWasLeftOfAnothersAnswer(t *testing.T) {
	const rest = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nSet-Cookie: session=geheim\r\n\r\ngeheim"
	var requests atomic.Int32
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1)%2 == 0 {
			_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood" + rest)
		} else {
			_, _ = c.WriteString("HTTP/1.1 204 No Content\r\n\r\n" + rest)
		}
	})
	p, address := start(t, o.URL())
	var running sync.WaitGroup
	var given, broken atomic.Int32
	for range 8 {
		running.Go(func() {
			for i := range 60 {
				request, err := http.NewRequestWithContext(t.Context(),
					[]string{"POST", "PUT", "GET", "DELETE"}[i%4],
					"http://"+address+"/x", strings.NewReader(strings.Repeat("x", i%2)))
				if err != nil {
					t.Error(err)
					return
				}
				resp, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if strings.Contains(string(body), "geheim") || resp.Header["Set-Cookie"] != nil {
					given.Add(1)
				}
				if resp.StatusCode >= 500 {
					broken.Add(1)
				}
			}
		})
	}
	running.Wait()
	if given.Load() > 0 {
		t.Errorf("%d of 480 got the answer of another", given.Load())
	}
	if broken.Load() > 240 {
		t.Errorf("%d of 480 failed", broken.Load())
	}
	for _, line := range p.Lines() {
		if !strings.HasPrefix(line, "{") || strings.Contains(line, "geheim") {
			t.Errorf("the log has %q", line)
		}
	}
}

// Three APIs that write unasked bytes behind every answer, the last two some time later.
func TestNoneOfThousandsIsGivenWhatComesBehindAnAnswer(t *testing.T) {
	for _, after := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond} {
		if given, failed := surplus(t, 1504, after); given+failed > 0 {
			t.Errorf("after %v: %d of 1504 got the answer of another, %d failed",
				after, given, failed)
		}
	}
}

// surplus sends requests to an API that writes unasked bytes some time after its answer.
func surplus(t *testing.T, requests int, after time.Duration) (given, failed int32) {
	const rest = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ngeheim"
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
		if after > 0 {
			time.Sleep(after)
		}
		_, _ = c.WriteString(rest)
	})
	_, address := start(t, o.URL())
	var running sync.WaitGroup
	var wrong, broken atomic.Int32
	for range 8 {
		running.Go(func() {
			c := dial(t, address)
			for range requests / 8 {
				_, _ = io.WriteString(c,
					"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
				resp, err := http.ReadResponse(c.read, nil)
				if err != nil {
					broken.Add(1)
					return
				}
				body, _ := io.ReadAll(resp.Body)
				switch string(body) {
				case "good":
				case "geheim":
					wrong.Add(1)
				default:
					broken.Add(1)
				}
			}
		})
	}
	running.Wait()
	return wrong.Load(), broken.Load()
}

func TestABackendThatLeadsBackIsALoop(t *testing.T) {
	for _, via := range []string{"true", "false"} {
		t.Run("VIA="+via, func(t *testing.T) {
			var round atomic.Int32
			var address atomic.Pointer[string]
			o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
				round.Add(1)
				head := strings.Replace(string(r.Head), "\r\n\r\n",
					"\r\nConnection: close\r\n\r\n", 1)
				_, _ = c.WriteString(exchange(t, *address.Load(), head))
				_ = c.Close()
			})
			_, at := start(t, o.URL(), "VIA="+via)
			address.Store(&at)
			for _, target := range []string{"/c/1", "/x"} {
				round.Store(0)
				answer := exchange(t, at, "GET "+target+
					" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if status(answer) != "HTTP/1.1 508 Loop Detected" || round.Load() != 1 {
					t.Errorf("%s: %q after %d rounds", target, answer, round.Load())
				}
			}
		})
	}
}

func TestAHeadThatTwoReadersReadInTwoWaysIsRefused(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = c.WriteString(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s",
			len(r.Target), r.Target))
	})
	_, address := start(t, o.URL())
	for name, tt := range map[string]struct{ request, want string }{
		"obs-fold": {"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n",
			"HTTP/1.1 400 Bad Request"},
		"a bare LF": {"GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"two framings": {
			"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" +
				"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
			"HTTP/1.1 200 OK",
		},
		"Transfer-Encoding in HTTP/1.0": {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"0\r\n\r\n", "HTTP/1.1 400 Bad Request"},
	} {
		if answer := exchange(t, address, tt.request); status(answer) != tt.want ||
			strings.Contains(answer, "smuggled") {
			t.Errorf("%s: %q", name, answer)
		}
	}
}

// The end of the content is not known: the client is told, the API never takes the request
// for complete, and nothing behind the content is taken for a request.
func TestContentThatCannotBeReadIsRefused(t *testing.T) {
	var complete atomic.Int32
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		complete.Add(1)
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	_, address := start(t, o.URL())
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, content := range map[string]string{
		"a size that is none":       "1\r\na\r\nZ\r\na\r\n0\r\n\r\n",
		"a chunk that is too long":  "1\r\nab\r\n0\r\n\r\n",
		"a bare LF":                 "1\na\n0\n\n",
		"a trailer without a colon": "1\r\na\r\n0\r\nX-A\r\n",
	} {
		for _, head := range []string{"POST /x", "PUT /c/1", "POST /job", "GET /c/1", "DELETE /x"} {
			answer := exchange(t, address, head+" HTTP/1.1\r\nHost: a\r\n"+
				"Transfer-Encoding: chunked\r\n\r\n"+content+smuggled)
			if status(answer) != "HTTP/1.1 400 Bad Request" ||
				strings.Count(answer, "HTTP/1.1") != 1 ||
				!strings.Contains(answer, "\r\nConnection: close\r\n") ||
				!strings.Contains(answer, "cannot be read to its end") {
				t.Errorf("%s, %s: %q", name, head, answer)
			}
		}
	}
	if n := complete.Load(); n > 0 {
		t.Errorf("the API took %d requests for complete", n)
	}
}
