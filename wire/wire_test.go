package wire_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sidecar/wire"
)

// patience bounds the waits of a test.
const patience = 20 * time.Second

// serve starts a server as the data plane has it.
func serve(t *testing.T, o wire.Options, h http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(wire.Handler(h, slog.New(slog.DiscardHandler)))
	s.Listener = wire.Listen(s.Listener, o)
	s.Config.ConnContext, s.Config.ConnState = wire.ConnContext, wire.ConnState
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A client is a raw connection.
type client struct {
	*net.TCPConn
	read   *bufio.Reader
	closes bool // the last answer says that it is the last
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{TCPConn: c.(*net.TCPConn), read: bufio.NewReader(c)}
}

func (c *client) send(t *testing.T, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// answer reads an answer with its body.
func (c *client) answer(t *testing.T) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// ended reports whether the server has ended the connection.
func (c *client) ended() bool {
	_, err := c.read.ReadByte()
	return err != nil && !isTimeout(err)
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// echo answers with the method, the target and the content.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+string(body))
}

func TestHeadsThatCouldBeReadInTwoWaysAreRefused(t *testing.T) { // RFC 9112 §2.2, §5.2, §6.1
	address := serve(t, wire.Options{}, echo)
	for name, head := range map[string]string{
		"a bare LF behind the request line": "GET / HTTP/1.1\nHost: a\r\n\r\n",
		"a bare LF behind a field":          "GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n",
		"a bare LF at the end":              "GET / HTTP/1.1\r\nHost: a\r\n\n",
		"nothing but bare LFs":              "GET / HTTP/1.1\nHost: a\n\n",
		"obs-fold by a blank": "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n" +
			"\r\n",
		"obs-fold by a tab": "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\t2\r\n" +
			"\r\n",
		"obs-fold of Transfer-Encoding": "POST / HTTP/1.1\r\nHost: a\r\n" +
			"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"obs-fold before the first field": "GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n",
		"Transfer-Encoding in HTTP/1.0": "POST / HTTP/1.0\r\nHost: a\r\n" +
			"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two lengths": "POST / HTTP/1.1\r\nHost: a\r\n" +
			"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a length with a sign": "POST / HTTP/1.1\r\nHost: a\r\n" +
			"Content-Length: +1\r\n\r\na",
		"an empty length": "POST / HTTP/1.1\r\nHost: a\r\n" +
			"Content-Length:\r\n\r\n",
		"white space before the colon":           "GET / HTTP/1.1\r\nHost: a\r\nX-A : 1\r\n\r\n",
		"a bare CR":                              "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r2\r\n\r\n",
		"a bare LF on a connection that is used": "GET / HTTP/1.1\r\nHost: a\r\nX: 1\n\r\n",
	} {
		for _, before := range []string{
			"", "POST /before HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
		} {
			t.Run(name, func(t *testing.T) {
				c := dial(t, address)
				c.send(t, before+head)
				if before != "" {
					if resp, body := c.answer(t); body != "POST /before hi" {
						t.Fatalf("%s %q", resp.Status, body)
					}
				}
				if resp, body := c.answer(t); resp.StatusCode != http.StatusBadRequest {
					t.Errorf("%s %q", resp.Status, body)
				}
				if !c.ended() {
					t.Error("the connection goes on")
				}
			})
		}
	}
}

// The first line of HTTP/2 does not end the strict reading, unless HTTP/2 follows it.
func TestWhatOnlyBeginsLikeHTTP2IsRefused(t *testing.T) { // RFC 9113 §3.4
	address := serve(t, wire.Options{}, echo)
	const after = "GET /a HTTP/1.1\r\nHost: a\nX: a bare LF\r\n\r\n"
	for name, request := range map[string]string{
		"a field behind it":   "PRI * HTTP/2.0\r\nHost: a\r\n\r\n" + after,
		"another second line": "PRI * HTTP/2.0\r\n\r\nSM\r\n\n" + after,
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, address)
			c.send(t, request)
			// Bytes that the server has not read may reset the connection before the 400 is read.
			if got, err := io.ReadAll(c.read); isTimeout(err) ||
				strings.Contains(string(got), "200 OK") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	t.Run("behind a request", func(t *testing.T) {
		c := dial(t, address)
		c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		c.answer(t)
		if resp, _ := c.answer(t); resp.StatusCode != http.StatusBadRequest {
			t.Error(resp.Status)
		}
	})
}

func TestAWebSocketMaySayThatItHasNoContent(t *testing.T) {
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		c, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		said, _ := buffered.ReadString('!')
		_, _ = io.WriteString(c, said)
	})
	c := dial(t, address)
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Content-Length: 0\r\n\r\nhello\n!")
	if got, _ := io.ReadAll(c.read); !strings.HasSuffix(string(got), "hello\n!") {
		t.Errorf("%q", got)
	}
}

func TestRequestsPassThatCanBeReadInOneWay(t *testing.T) {
	address := serve(t, wire.Options{}, echo)
	long := strings.Repeat("x", 5000)
	for name, tt := range map[string]struct{ request, want string }{
		"no content": {"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a "},
		"a long line": {"GET /" + long + " HTTP/1.1\r\nHost: a\r\nCookie: " + long +
			"\r\n\r\n", "GET /" + long + " "},
		"counted": {"POST /b HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\n\n\n x\n",
			"POST /b \n\n x\n"},
		"counted twice": {"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n" +
			"Content-Length: 1\r\n\r\nx", "POST /b x"},
		"counted, none": {"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
			"POST /b "},
		"chunked": {"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n" +
			"\r\n3\r\nabc\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\n\r\n", "PUT /c abc0123456789"},
		"chunked and trailers": {"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" +
			"Trailer: X-A\r\n\r\n1\r\na\r\n0\r\nX-A: 1\r\n\r\n", "PUT /c a"},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			t.Run(name, func(t *testing.T) {
				c := dial(t, address)
				both := tt.request + tt.request
				go func() { // ends with the request, or the connection
					for len(both) > 0 {
						n := min(piece, len(both))
						if _, err := io.WriteString(c, both[:n]); err != nil {
							return
						}
						both = both[n:]
					}
				}()
				for range 2 {
					if resp, body := c.answer(t); resp.StatusCode != http.StatusOK ||
						body != tt.want {
						t.Fatalf("%s %q", resp.Status, body)
					}
				}
			})
		}
	}
}

// What comes behind such content is never read as a request, and the client is told. The first
// ones are refused by the scanner, the last ones by net/http alone.
func TestContentThatCannotBeReadForCertainEndsTheConnection(t *testing.T) { // RFC 9112 §7.1
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Early"] != nil {
			_, _ = io.WriteString(w, "early")
			_ = http.NewResponseController(w).Flush()
		}
		_, err := io.Copy(io.Discard, r.Body)
		switch {
		case err == nil:
			_, _ = io.WriteString(w, "complete: "+r.RequestURI)
		case r.Context().Err() != nil:
			_, _ = io.WriteString(w, "the client has left")
		case r.Header["Early"] == nil:
			http.Error(w, "what?", http.StatusBadRequest)
		}
	})
	for name, content := range map[string]string{
		"a bare LF behind a size":        "1\na\r\n0\r\n\r\n",
		"a bare LF behind an extension":  "1;x\na\r\n0\r\n\r\n",
		"a bare LF behind a chunk":       "1\r\na\n0\r\n\r\n",
		"a bare CR behind a chunk":       "1\r\na\r0\r\n\r\n",
		"a size that is none":            "x\r\na\r\n0\r\n\r\n",
		"a second size that is none":     "1\r\na\r\nx\r\n0\r\n\r\n",
		"no size":                        "\r\n0\r\n\r\n",
		"a size with a sign":             "+1\r\na\r\n0\r\n\r\n",
		"a size with 0x":                 "0x1\r\na\r\n0\r\n\r\n",
		"a huge size":                    "fffffffffffffffff\r\na\r\n0\r\n\r\n",
		"a chunk that is too long":       "1\r\nab\r\n0\r\n\r\n",
		"a bare CR in an extension":      "1;a\rb\r\na\r\n0\r\n\r\n",
		"a long extension":               "1;" + strings.Repeat("x", 5000) + "\r\na\r\n0\r\n\r\n",
		"obs-fold in the trailers":       "1\r\na\r\n0\r\nX-A: 1\r\n 2\r\n\r\n",
		"obs-fold before the trailers":   "1\r\na\r\n0\r\n X-A: 1\r\n\r\n",
		"a bare LF in the trailers":      "1\r\na\r\n0\r\nX-A: 1\n\r\n",
		"a bare LF in place of trailers": "1\r\na\r\n0\r\n\n",
		"a bare LF at the end":           "1\r\na\r\n0\r\nX-A: 1\r\n\n",
		"a trailer without a colon":      "1\r\na\r\n0\r\nX-A\r\n",
		"a trailer without a name":       "1\r\na\r\n0\r\n: 1\r\n",
		"a little content in many chunks": strings.Repeat(
			"1;"+strings.Repeat("x", 99)+"\r\na\r\n", 300),
		"trailers that are too long": "0\r\nX-A: " + strings.Repeat("x", 9000) + "\r\n",
	} {
		for _, early := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, early answer %v", name, early), func(t *testing.T) {
				head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
				if early {
					head += "Early: 1\r\n"
				}
				c := dial(t, address)
				c.send(t, head+"\r\n"+content+
					strings.Repeat("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 3))
				resp, body := c.answer(t)
				if early && body != "early" || !early && resp.StatusCode != http.StatusBadRequest {
					t.Errorf("%s %q", resp.Status, body)
				}
				if rest, err := io.ReadAll(c.read); err != nil || len(rest) > 0 {
					t.Errorf("then %q, %v", rest, err)
				}
			})
		}
	}
}

func TestTwoFramingsEndTheConnection(t *testing.T) { // RFC 9112 §6.1
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
		select { // the client has not left: nobody listens to the rest
		case <-r.Context().Done():
			t.Error("the request is cancelled")
		case <-time.After(50 * time.Millisecond):
		}
		echo(w, r)
	})
	for _, fields := range []string{
		"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n",
		"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n",
	} {
		c := dial(t, address)
		c.send(t, "POST / HTTP/1.1\r\nHost: a\r\n"+fields+
			"\r\n2\r\nhi\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, body := c.answer(t)
		if body != "POST / hi" || !resp.Close {
			t.Errorf("%s %q, close %v", resp.Status, body, resp.Close)
		}
		if !c.ended() {
			t.Error("the connection goes on")
		}
	}
}

func TestAClientThatEndsItsSideIsAnswered(t *testing.T) {
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		arrived, go1 := make(chan context.Context, 1), make(chan bool)
		address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			arrived <- r.Context()
			<-go1
			_, _ = io.WriteString(w, "done")
		})
		c := dial(t, address)
		c.send(t, request)
		ctx := <-arrived
		_ = c.CloseWrite()
		select {
		case <-ctx.Done():
			t.Error("the request is cancelled")
		case <-time.After(100 * time.Millisecond):
		}
		go1 <- true
		if resp, body := c.answer(t); body != "done" {
			t.Errorf("%s %q", resp.Status, body)
		}
		if !c.ended() {
			t.Error("the connection stays open")
		}
	}
}

// The end may come with the next request, or in the middle of it, while a write is being answered.
func TestTheEndBehindAnotherRequestCancelsNoWrite(t *testing.T) {
	const write = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	for name, request := range map[string]string{
		"a read":                  write + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n",
		"the beginning of a read": write + "GET /ne",
		"a read and a beginning":  write + "GET /next HTTP/1.1\r\nHost: a\r\n\r\nGE",
	} {
		t.Run(name, func(t *testing.T) {
			arrived, proceed := make(chan context.Context, 1), make(chan bool)
			address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.URL.Path == "/" {
					arrived <- r.Context()
					<-proceed
				}
				_, _ = io.WriteString(w, r.URL.Path)
			})
			client := dial(t, address)
			client.send(t, request)
			_ = client.CloseWrite()
			ctx := <-arrived
			select {
			case <-ctx.Done():
				t.Error("the request is cancelled")
			case <-time.After(100 * time.Millisecond):
			}
			close(proceed)
			if resp, body := client.answer(t); body != "/" {
				t.Fatalf("%s %q", resp.Status, body)
			}
			if strings.Contains(request, "/next") {
				if resp, body := client.answer(t); body != "/next" {
					t.Errorf("the next: %s %q", resp.Status, body)
				}
			}
			if rest, err := io.ReadAll(client.read); err != nil {
				t.Errorf("the connection stays open: %v, %q", err, rest)
			}
		})
	}
}

// A write that has been answered no longer keeps the end of its connection from the next request.
func TestTheEndBehindAReadCancelsItAlsoAfterAWrite(t *testing.T) {
	const read = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, early := range map[string]int{
		"that comes later": 0,
		"that begins while the handler of the write still runs": 1,
	} {
		t.Run(name, func(t *testing.T) {
			cancelled, proceed := make(chan bool, 1), make(chan bool)
			address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "GET" {
					select {
					case <-r.Context().Done():
						cancelled <- true
					case <-time.After(patience):
						cancelled <- false
					}
					return
				}
				w.Header().Set("Content-Length", "5")
				_, _ = io.WriteString(w, "write")
				_ = http.NewResponseController(w).Flush()
				<-proceed
			})
			client := dial(t, address)
			client.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
			if _, body := client.answer(t); body != "write" {
				t.Fatal(body)
			}
			client.send(t, read[:early])
			time.Sleep(20 * time.Millisecond) // so that the server has read the beginning
			close(proceed)
			client.send(t, read[early:])
			_ = client.CloseWrite()
			if !<-cancelled {
				t.Error("the client has left, and its request goes on")
			}
		})
	}
}

func TestAClientThatIsGoneCancelsItsRequest(t *testing.T) {
	for _, tt := range []struct {
		name, request string
		end           func(*client)
	}{
		{"a GET, closed", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", func(c *client) { _ = c.Close() }},
		{"a POST, reset", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
			func(c *client) {
				_ = c.SetLinger(0)
				_ = c.Close()
			}},
		{"a POST, reset after its end", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
			func(c *client) {
				_ = c.CloseWrite()
				time.Sleep(20 * time.Millisecond) // so that the end is seen first
				_ = c.SetLinger(0)
				_ = c.Close()
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			arrived, cancelled := make(chan bool, 1), make(chan bool, 1)
			address := serve(t, wire.Options{}, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				arrived <- true
				select {
				case <-r.Context().Done():
					cancelled <- true
				case <-time.After(patience):
					cancelled <- false
				}
			})
			c := dial(t, address)
			c.send(t, tt.request)
			<-arrived
			tt.end(c)
			if !<-cancelled {
				t.Error("it goes on")
			}
		})
	}
}

func TestAnAnswerMayBeginBeforeTheContentHasEnded(t *testing.T) {
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
		reading := make(chan string)
		go func() {
			all, _ := io.ReadAll(r.Body)
			reading <- string(all)
		}()
		_, _ = io.WriteString(w, "early ")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, <-reading)
	})
	c := dial(t, address)
	c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
	resp, err := http.ReadResponse(c.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 6)
	if _, err := io.ReadFull(resp.Body, first); string(first) != "early " {
		t.Fatalf("%q %v", first, err)
	}
	c.send(t, "cd")
	if rest, err := io.ReadAll(resp.Body); string(rest) != "abcd" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

// net/http reads the rest of such content when it has stopped watching the connection, and then
// cannot read the next request.
func TestARequestWhoseContentNobodyReadsLeavesItsConnectionInOrder(t *testing.T) {
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			_, _ = io.ReadFull(r.Body, make([]byte, 2))
		}
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "no")
	})
	for name, content := range map[string]string{
		"with its length": "Content-Length: 7\r\n\r\na sword",
		"in chunks":       "Transfer-Encoding: chunked\r\n\r\n7\r\na sword\r\n0\r\n\r\n",
	} {
		for _, path := range []string{"/none", "/half"} {
			t.Run(name+path, func(t *testing.T) {
				c := dial(t, address)
				for range 3 {
					c.send(t, "POST "+path+" HTTP/1.1\r\nHost: a\r\n"+content)
					resp, body := c.answer(t)
					if resp.StatusCode != http.StatusNotFound || body != "no" {
						t.Fatalf("%d %q", resp.StatusCode, body)
					}
				}
			})
		}
	}
}

func TestAnAnswerDoesNotWaitForContentThatNobodyReads(t *testing.T) {
	address := serve(t, wire.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "no")
	})
	c := dial(t, address)
	c.send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\na s")
	if resp, body := c.answer(t); resp.StatusCode != http.StatusOK || body != "no" {
		t.Fatalf("%d %q", resp.StatusCode, body)
	}
	c.send(t, "wordPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	if resp, body := c.answer(t); resp.StatusCode != http.StatusOK || body != "no" {
		t.Fatalf("the next: %d %q", resp.StatusCode, body)
	}
}

func TestAClientThatTakesNothingIsLetGo(t *testing.T) {
	result := make(chan error, 1)
	address := serve(t, wire.Options{Stall: 200 * time.Millisecond},
		func(w http.ResponseWriter, _ *http.Request) {
			_, err := w.Write(make([]byte, 32<<20))
			result <- err
		})
	c := dial(t, address)
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if err := <-result; err == nil {
		t.Error("all was written")
	}
}

// A client that is slow is served for longer than one beside it is, who takes nothing.
func TestAClientThatIsSlowIsServed(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	content := make([]byte, size)
	slow, takesNothing := make(chan error, 1), make(chan error, 1)
	address := serve(t, wire.Options{Stall: 2 * time.Second},
		func(w http.ResponseWriter, r *http.Request) {
			_, err := w.Write(content)
			if r.URL.Path == "/slow" {
				slow <- err
			} else {
				takesNothing <- err
			}
		})
	c := dial(t, address)
	_ = c.SetReadBuffer(64 << 10)
	c.send(t, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	dial(t, address).send(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	beside := true
	for got := 0; got < size; {
		n, err := io.CopyN(io.Discard, c.read, 512<<10)
		if got += int(n); err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		select {
		case err := <-takesNothing:
			if beside = false; err == nil {
				t.Error("the other one took all")
			}
		default:
			if beside {
				<-pace.C
			}
		}
	}
	if err := <-slow; err != nil {
		t.Error(err)
	}
	if beside {
		t.Error("it was not slow, or the other one is not let go")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	address := serve(t, wire.Options{Connections: 1}, echo)
	first, second := dial(t, address), dial(t, address)
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	first.send(t, request)
	first.answer(t)
	second.send(t, request)
	_ = second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := second.read.Peek(1); !isTimeout(err) {
		t.Error("the second is served beside the first")
	}
	_ = second.SetReadDeadline(time.Now().Add(patience))
	_ = first.Close()
	second.answer(t)
}
