package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sidecar/test/origin"
)

// nothing is a policies file under which everything passes.
const nothing = "version: 1\n"

// raw sends bytes to base and reads one answer to a request of this method, without a client that
// would put anything right.
func raw(t *testing.T, base, method, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	return resp
}

// ours are the fields that the sidecar adds to a request, and those that end with each connection.
var ours = []string{
	"via", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
	"x-real-ip", "connection",
}

func TestARequestReachesTheBackendAsIfTheSidecarWereNotThere(t *testing.T) {
	t.Parallel()
	got := make(chan *origin.Request, 1)
	bodies := make(chan string, 1)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- r
		bodies <- string(body)
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	s := startBefore(t, o.URL(), policiesFile(t, nothing))
	for _, c := range []struct{ method, target, fields, body string }{
		{"GET", "/", "", ""},
		{"GET", "/a//b", "", ""},
		{"GET", "//a/b", "", ""},
		{"GET", "/a/../b/./c", "", ""},
		{"GET", "/a%2Fb%2e%2E/%41", "", ""},
		{"GET", "/a;b=c/d", "", ""},
		{"GET", "/a?x=%zz&y=1;2", "", ""},
		{"GET", "/a?", "", ""},
		{"GET", "/a?a=1&a=2&&b", "", ""},
		{"GET", "/caf\u00e9", "", ""},
		{"GET", "/a|b^c", "", ""},
		{"OPTIONS", "*", "", ""},
		{"OPTIONS", "/a", "Origin: https://game.example\r\nAccess-Control-Request-Method: PUT\r\n",
			""},
		{"HEAD", "/a", "", ""},
		{"PURGE", "/a", "", ""},
		{"PROPFIND", "/a", "Depth: 1\r\n", ""},
		{"M-SEARCH", "/a", "", ""},
		{"GET", "/a",
			"X-Many: one\r\nX-Many: two\r\nx-many: three, four\r\nX-Empty:\r\n" +
				"Accept-Encoding: br;q=0\r\nUser-Agent: odd/1\r\n", ""},
		{"GET", "/a",
			"If-None-Match: \"x\"\r\nRange: bytes=0-1\r\nCache-Control: no-cache\r\n" +
				"Cookie: a=1; b=\"2\"\r\n", ""},
		{"POST", "/a", "Content-Length: 5\r\nContent-Type: text/x\r\n", "hello"},
		{"POST", "/a", "Content-Length: 0\r\n", ""},
		{"PUT", "/a", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"},
		{"POST", "/a", "Idempotency-Key: 1\r\nContent-Length: 0\r\n", ""},
		{"DELETE", "/a", "Content-Length: 2\r\n", "{}"},
		{"GET", "/a", "Content-Length: 2\r\n", "{}"},
	} {
		request := c.method + " " + c.target + " HTTP/1.1\r\nHost: game.example\r\n" +
			c.fields + "\r\n" + c.body
		resp := raw(t, s.url, c.method, request)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s %s: %d", c.method, c.target, resp.StatusCode)
			continue
		}
		r, body := <-got, <-bodies
		if r.Method != c.method || r.Target != c.target || r.Proto != "HTTP/1.1" {
			t.Errorf("%s %s arrives as %s %s %s", c.method, c.target, r.Method, r.Target, r.Proto)
		}
		var want []origin.Field
		for line := range strings.Lines("Host: game.example\r\n" + c.fields) {
			name, value, _ := strings.Cut(line, ":")
			want = append(want, origin.Field{Name: name, Value: strings.TrimSpace(value)})
		}
		if a, b := comparable(r.Fields), comparable(want); !slices.Equal(a, b) {
			t.Errorf("%s %s %q arrives with\n %q, want\n %q", c.method, c.target, c.fields, a, b)
		}
		plain := strings.TrimSuffix(strings.TrimPrefix(c.body, "5\r\n"), "\r\n0\r\n\r\n")
		if body != plain {
			t.Errorf("%s %s: the body arrives as %q", c.method, c.target, body)
		}
	}
	if resp := raw(t, s.url, "GET",
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a bad escape in the path: %d", resp.StatusCode)
	}
}

// comparable are fields in an order of names, since net/http keeps only that of equal ones, less
// those of the sidecar.
func comparable(fields []origin.Field) []string {
	var out []string
	for _, f := range fields {
		if name := strings.ToLower(f.Name); !slices.Contains(ours, name) {
			out = append(out, name+": "+f.Value)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int {
		x, _, _ := strings.Cut(a, ":")
		y, _, _ := strings.Cut(b, ":")
		return strings.Compare(x, y)
	})
	return out
}

func TestAnAnswerReachesTheClientAsIfTheSidecarWereNotThere(t *testing.T) {
	t.Parallel()
	answers := []struct{ method, answer string }{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/plain\r\n\r\n"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n" +
			"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Other\r\n\r\n" +
			"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"},
		{"GET", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\n" +
			"Set-Cookie: b=2\r\nVary: A\r\nVary: B\r\nX-Empty:\r\n\r\nno"},
		{"GET", "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n"},
		{"GET", "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
			"Server: odd\r\nAge: 7\r\n\r\n"},
		{"GET", "HTTP/1.1 301 Moved\r\nLocation: /there//%2F?x\r\nContent-Length: 0\r\n\r\n"},
		{"GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"},
		{"GET", "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\n" +
			"Content-Length: 2\r\n\r\nab"},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nETag: \"y\"\r\n\r\n"},
		{"OPTIONS", "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\nAllow: GET\r\n" +
			"\r\n"},
		{"POST", "HTTP/1.1 201 Created\r\nLocation: /a/1\r\nContent-Length: 2\r\n\r\n{}"},
		{"POST", "HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"},
	}
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		var i int
		_, _ = fmt.Sscanf(r.Target, "/%d", &i)
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = c.WriteString(answers[i].answer)
	})
	cached := policiesFile(t, "version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared}}\n")
	for name, policies := range map[string]string{
		"passed": policiesFile(t, nothing), "on a cached route": cached,
	} {
		t.Run(name, func(t *testing.T) {
			s := startBefore(t, o.URL(), policies)
			for i, c := range answers {
				request := fmt.Sprintf("%s /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
					c.method, i)
				want, got := readAll(t, raw(t, o.URL(), c.method, request)),
					readAll(t, raw(t, s.url, c.method, request))
				if want != got {
					t.Errorf("%.60q arrives as\n%s\nwant\n%s", c.answer, got, want)
				}
			}
		})
	}
}

// readAll is all of an answer that the sidecar may not change.
func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for name, values := range resp.Header {
		if name != "Cache-Status" {
			lines = append(lines, fmt.Sprintf("%s: %q", name, values))
		}
	}
	for name, values := range resp.Trailer {
		lines = append(lines, fmt.Sprintf("trailer %s: %q", name, values))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%d length %d chunked %v\n%s\n%q", resp.StatusCode, resp.ContentLength,
		resp.TransferEncoding, strings.Join(lines, "\n"), body)
}

func TestWhatABackendBreaksOffNeverLooksComplete(t *testing.T) {
	t.Parallel()
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		switch r.Target {
		case "/length":
			_, _ = c.WriteString(
				"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\nhello")
		case "/chunked":
			_, _ = c.WriteString(
				"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=60\r\n" +
					"\r\n5\r\nhello\r\n")
		case "/garbage":
			_, _ = c.WriteString("what?\r\n\r\n")
		}
		c.Close()
	})
	s := startBefore(t, o.URL(),
		policiesFile(t, "version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared}}\n"))
	for _, path := range []string{"/length", "/chunked"} {
		for range 2 {
			resp := raw(t, s.url, "GET", "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
			body, err := io.ReadAll(resp.Body)
			if err == nil || strings.HasPrefix(resp.Header.Get("Cache-Status"), "sidecar; hit") {
				t.Errorf("%s: %d %q arrives as complete, %q",
					path, resp.StatusCode, body, resp.Header.Get("Cache-Status"))
			}
		}
	}
	for _, path := range []string{"/garbage", "/nothing"} {
		a := do(t, http.MethodGet, s.url+path, nil)
		if a.status != http.StatusBadGateway ||
			a.fields.Get("Content-Type") != "application/problem+json" || a.cache() == "" {
			t.Errorf("%s: %d %v %s", path, a.status, a.fields, a.body)
		}
	}
}

func TestBytesReachTheClientWhenTheBackendSendsThem(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
		<-next
		_, _ = c.WriteString(
			"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n" +
				"\r\n")
		for i := range 3 {
			<-next
			_, _ = c.WriteString(fmt.Sprintf("9\r\ndata: %d\n\n\r\n", i))
		}
		<-next
		_, _ = c.WriteString("0\r\n\r\n")
	})
	s := startBefore(t, o.URL(), policiesFile(t, nothing))
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(conn)
	awaitText := func(end string) string {
		t.Helper()
		var got strings.Builder
		for !strings.HasSuffix(got.String(), end) {
			b, err := r.ReadByte()
			if err != nil {
				t.Fatalf("%q never came after %q: %v", end, got.String(), err)
			}
			got.WriteByte(b)
		}
		return got.String()
	}
	// Each part has to arrive before the next is sent.
	if early := awaitText("\r\n\r\n"); !strings.HasPrefix(early, "HTTP/1.1 103") ||
		!strings.Contains(early, "Link: </a>; rel=preload") {
		t.Errorf("early hints: %q", early)
	}
	next <- struct{}{}
	if head := awaitText("\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.1 200") ||
		strings.Contains(head, "Link:") {
		t.Errorf("head: %q", head)
	}
	for i := range 3 {
		next <- struct{}{}
		awaitText(fmt.Sprintf("data: %d\n\n\r\n", i))
	}
	next <- struct{}{}
	awaitText("0\r\n\r\n")
}

func TestAClientThatLeavesCancelsItsBackendRequest(t *testing.T) {
	t.Parallel()
	came, ended := make(chan struct{}, 1), make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		came <- struct{}{}
		ended <- c.AwaitEnd()
	})
	s := startBefore(t, o.URL(), policiesFile(t, nothing))
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-came
	_ = conn.Close()
	if !<-ended {
		t.Error("the backend's connection stayed open")
	}
}

func TestTheGameThroughTheSidecarIsTheGame(t *testing.T) {
	t.Parallel()
	s := start(t)
	thorin := login(t, s.url, "thorin")
	// Fields that differ from answer to answer.
	passing := []string{
		"Date", "X-Request-Id", "Set-Cookie", "Cache-Status", "Age", "X-Ratelimit-Limit",
		"X-Ratelimit-Remaining", "X-Ratelimit-Reset", "Ratelimit", "Ratelimit-Policy",
	}
	e := readEffects(t)
	paths := append(e.reads, "/nowhere", "/characters/", "/characters//c1", "/characters/c1/../c2",
		"/tavern/teapot", "/characters/none")
	for _, method := range []string{
		http.MethodGet, http.MethodHead, http.MethodOptions, "PROPFIND",
	} {
		for _, path := range paths {
			for _, fields := range [][]string{
				{thorin}, {thorin, "Accept-Encoding: gzip"}, {thorin, "Range: bytes=0-9"},
				{thorin, "Origin: https://game.example", "Access-Control-Request-Method: PUT"},
				{"X-None: 1"},
			} {
				want := do(t, method, s.api+"/api/v1"+path, nil, fields...)
				for range 2 {
					got := do(t, method, s.url+"/api/v1"+path, nil, fields...)
					for _, name := range passing {
						want.fields.Del(name)
						got.fields.Del(name)
					}
					if got.status == http.StatusPartialContent && want.status == http.StatusOK &&
						method == http.MethodGet {
						// A stored body answers a range, which the API itself would not.
						if string(got.body) != string(want.body[:10]) ||
							got.fields.Get("Content-Range") != fmt.Sprintf("bytes 0-9/%d",
								len(want.body)) {
							t.Errorf("%s %s %q: %v %q", method, path, fields[len(fields)-1],
								got.fields, got.body)
						}
						continue
					}
					if got.status != want.status || string(got.body) != string(want.body) ||
						fmt.Sprint(got.fields) != fmt.Sprint(want.fields) {
						t.Errorf("%s %s %q: %d %v %.100q\nthe API itself: %d %v %.100q", method,
							path, fields[len(fields)-1], got.status, got.fields, got.body,
							want.status, want.fields, want.body)
					}
				}
			}
		}
	}
	etag := do(t, http.MethodGet, s.url+"/api/v1/characters/c1", nil, thorin).fields.Get("ETag")
	for range 2 { // from the backend, and from the store
		if a := do(t, http.MethodGet, s.url+"/api/v1/characters/c1", nil, thorin,
			"If-None-Match: "+etag); a.status != http.StatusNotModified || len(a.body) != 0 ||
			a.fields.Get("ETag") != etag {
			t.Errorf("If-None-Match: %d %v", a.status, a.fields)
		}
	}
	world := do(t, http.MethodGet, s.url+"/api/v1/maps/world/image", nil, thorin)
	if direct := do(t, http.MethodGet, s.api+"/api/v1/maps/world/image", nil,
		thorin); world.status != http.StatusOK || !bytes.Equal(world.body, direct.body) ||
		len(world.body) < 20<<20 {
		t.Errorf("the world's map: %d, %d bytes", world.status, len(world.body))
	}
	if rss := s.sidecar.RSS(); rss > 200<<20 {
		t.Errorf("the sidecar has %d MiB after streaming 20", rss>>20)
	}
}

func TestAWebSocketPasses(t *testing.T) {
	t.Parallel()
	roll(t, start(t).url)
}

// roll throws dice over a WebSocket of the game.
func roll(t *testing.T, base string) {
	t.Helper()
	token := strings.TrimPrefix(login(t, base, "thorin"), "Authorization: ")
	url := strings.Replace(base, "http", "ws", 1) + "/api/v1/ws?session=s1"
	ws, resp, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {token}},
	})
	if err != nil {
		t.Fatalf("%v %v", err, resp)
	}
	defer ws.CloseNow()
	if err := ws.Write(t.Context(), websocket.MessageText,
		[]byte(`{"type":"roll","dice":"2d6"}`)); err != nil {
		t.Fatal(err)
	}
	for {
		_, message, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(message), `"roll`) {
			break
		}
	}
}

func TestHTTP2WithoutTLSIsSpokenToClients(t *testing.T) {
	t.Parallel()
	s := start(t)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(s.url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}

// In HTTP/2 a path may have a space, at which a request line of HTTP/1.1 would end: a client could
// ask for a denied path in this way.
func TestATargetThatWouldEndItsLineIsRefused(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	b := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL,
		policiesFile(t,
			"version: 1\nroutes:\n  - {match: /admin, deny: true}\n"+
				"  - {match: GET /x, cache: {scope: shared}}\n"))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for path, want := range map[string]int{"/admin HTTP/1.1": 400, "/admin": 404} {
			req, err := http.NewRequestWithContext(t.Context(), method, s.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.URL.Opaque = path
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s %q: %s", method, path, resp.Status)
			}
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	s := startBefore(t, api, shippedPolicies(t), "MAX_CONNECTIONS=2")
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		return conn
	}
	ask := func(conn net.Conn) <-chan string {
		got := make(chan string, 1)
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		go func() {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			got <- line
		}()
		return got
	}
	first, second, third := dial(), dial(), dial()
	for _, conn := range []net.Conn{first, second} {
		if line := <-ask(conn); !strings.Contains(line, "200") {
			t.Fatalf("%q", line)
		}
	}
	waiting := ask(third)
	select {
	case line := <-waiting:
		t.Errorf("a third connection is served: %q", line)
	case <-time.After(300 * time.Millisecond): // that nothing happens can only be waited for
	}
	_ = first.Close()
	if line := <-waiting; !strings.Contains(line, "200") {
		t.Errorf("when another has gone: %q", line)
	}
}
