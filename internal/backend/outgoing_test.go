package backend_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

// targets are requests and the target that the backend has to see.
var targets = []struct{ method, sent, want string }{
	{"GET", "/", "/"},
	{"GET", "/?", "/?"},
	{"GET", "/??", "/??"},
	{"GET", "//a//b", "//a//b"},
	{"GET", "//", "//"},
	{"GET", "///", "///"},
	{"GET", "//a?", "//a?"},
	{"GET", "//h%2F?q", "//h%2F?q"},
	{"GET", "//a%2fb%41", "//a%2fb%41"},
	{"GET", "//user@host:80/x;y=[1]", "//user@host:80/x;y=[1]"},
	{"GET", "/a%2Fb", "/a%2Fb"},
	{"GET", "/a%2fb%41", "/a%2fb%41"},
	{"GET", "/a/../b", "/a/../b"},
	{"GET", "/a/./b/", "/a/./b/"},
	{"GET", "/a;b", "/a;b"},
	{"GET", "/a?x=%zz", "/a?x=%zz"},
	{"GET", "/a?b;c", "/a?b;c"},
	{"GET", "/a?x=1&x=&&=", "/a?x=1&x=&&="},
	{"GET", "/a?u=http://h/b?c", "/a?u=http://h/b?c"},
	{"GET", "/a+b?c+d", "/a+b?c+d"},
	{"GET", "/%E4", "/%E4"},
	{"GET", "/\xe4?\xe4", "/\xe4?\xe4"},
	{"GET", "/a|b{c}\"^`<>?|{}\"^`<>", "/a|b{c}\"^`<>?|{}\"^`<>"},
	{"GET", "/a#b", "/a#b"},
	{"GET", "/a:b://c", "/a:b://c"},
	{"GET", "/*", "/*"},
	{"OPTIONS", "*", "*"},
	{"OPTIONS", "/*", "/*"},
	{"GET", "http://api.example", "/"},
	{"GET", "http://api.example/", "/"},
	{"GET", "http://api.example?q", "/?q"},
	{"GET", "http://api.example/a%2Fb/../c?x=%zz", "/a%2Fb/../c?x=%zz"},
	{"GET", "http://api.example//a", "//a"},
	{"GET", "HTTPS://api.example/?u=http://h/", "/?u=http://h/"},
}

func TestTargetsPassByteByByte(t *testing.T) {
	o, got := startRecorder(t)
	relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	for _, tt := range targets {
		t.Run(tt.method+" "+tt.sent, func(t *testing.T) {
			resp, body := exchange(t, relay,
				tt.method+" "+tt.sent+" HTTP/1.1\r\nHost: api.example\r\n\r\n")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			r := next(t, got)
			if line, _, _ := strings.Cut(string(r.Head), "\r\n"); line != tt.method+" "+
				tt.want+" HTTP/1.1" {
				t.Errorf("the backend sees %q", line)
			}
			if host := r.Values("Host"); !slices.Equal(host, []string{"api.example"}) {
				t.Errorf("Host: %q", host)
			}
		})
	}
}

func TestTargetsPassByteByByteOverHTTP2(t *testing.T) {
	got := make(chan string, 1)
	api := serve(t, "h2c", func(_ http.ResponseWriter, r *http.Request) { got <- r.RequestURI })
	relay := startRelay(t, newBackend(t, backend.Options{URL: api.url}))
	for _, tt := range targets {
		t.Run(tt.method+" "+tt.sent, func(t *testing.T) {
			resp, body := exchange(t, relay,
				tt.method+" "+tt.sent+" HTTP/1.1\r\nHost: api.example\r\n\r\n")
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			if target := next(t, got); target != tt.want {
				t.Errorf("the backend sees %q", target)
			}
		})
	}
}

func TestTargetThatCannotPassAsItIsIsRefused(t *testing.T) {
	o, _ := startRecorder(t)
	relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	for _, target := range []string{
		"//\xe4", "//a|b", "//a{b}", `//a"b`, "//a^b", "//a`b", "//<a>", "//a#b",
		"http://api.example//a|b",
		// absolute, and without an authority
		"http:/a", "http:a", "mailto:x", "http:/a?u=://h/b", "x:a://h/b",
	} {
		t.Run(target, func(t *testing.T) {
			resp, body := exchange(t, relay, "GET "+target+" HTTP/1.1\r\nHost: api.example\r\n\r\n")
			if resp.StatusCode != http.StatusBadRequest || body != "refused by Outgoing\n" {
				t.Errorf("%s: %q", resp.Status, body)
			}
		})
	}
	if o.Requests() != 0 {
		t.Errorf("the backend got %d requests", o.Requests())
	}
}

func TestQueryIsReplacedByTheOneGiven(t *testing.T) {
	o, got := startRecorder(t)
	b := newBackend(t, backend.Options{URL: o.URL()})
	for _, tt := range []struct{ target, query, want string }{
		{"/a?x=1&y=2", "y=2", "/a?y=2"},
		{"/a?x=1", "", "/a"},
		{"/a?", "", "/a?"},
		{"//a?x=1", "%zz", "//a?%zz"},
		{"/a", "", "/a"},
	} {
		in := httptest.NewRequest("GET", tt.target, nil)
		out, ok := b.Outgoing(in, tt.query)
		if !ok {
			t.Fatal(tt.target)
		}
		resp, err := b.RoundTrip(t.Context(), out, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if r := next(t, got); r.Target != tt.want {
			t.Errorf("%s with the query %q is sent as %s", tt.target, tt.query, r.Target)
		}
	}
}

func TestMethodsPassInTheirSpelling(t *testing.T) {
	o, got := startRecorder(t)
	relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	for _, method := range []string{
		"GET", "PURGE", "PROPFIND", "get", "Post", "QUERY", "TRACE", "M-SEARCH", "!#$%&'*+-.^_`|~",
	} {
		t.Run(method, func(t *testing.T) {
			if resp, body := exchange(t, relay,
				method+" / HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			if r := next(t, got); r.Method != method {
				t.Errorf("the backend sees %s", r.Method)
			}
		})
	}
}

// isForwarding reports whether the sidecar adds the field for a client that did not send it.
func isForwarding(name string) bool {
	return name == "Sidecar-Passed" || name == "Forwarded" || name == "X-Real-Ip" ||
		strings.HasPrefix(name, "X-Forwarded-")
}

func TestFields(t *testing.T) {
	o, got := startRecorder(t)
	relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	for _, tt := range []struct {
		name string
		sent []string
		want []string // sorted by name, without Host and forwarding fields
	}{
		{"nothing is invented", nil, nil},
		{"repeated ones stay apart and in order",
			[]string{"X-A: 2", "x-b: 1", "x-a: 1", "X-A: 3, 4"},
			[]string{"X-A: 2", "X-A: 1", "X-A: 3, 4", "X-B: 1"}},
		{"empty values pass", []string{"X-A:", "X-A: 1", "X-A: ", "Accept-Encoding:"},
			[]string{"Accept-Encoding: ", "X-A: ", "X-A: 1", "X-A: "}},
		{"User-Agent and Accept-Encoding are the client's",
			[]string{"User-Agent: x/1 (y)", "Accept-Encoding: br;q=1, *;q=0"},
			[]string{"Accept-Encoding: br;q=1, *;q=0", "User-Agent: x/1 (y)"}},
		{"bytes over 127 pass", []string{"X-A: \xe4\xf6 ü"}, []string{"X-A: \xe4\xf6 ü"}},
		{
			"hop-by-hop fields end here",
			[]string{
				"Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Upgrade: h2c",
				"Connection: keep-alive, Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk",
				"Proxy-Authorization: Basic eDp5", "TE: gzip",
				"Authorization: Basic eDp5", "Trailer: X-T",
			},
			[]string{"Authorization: Basic eDp5"},
		},
		{"what Connection names ends here, in any case and line",
			[]string{"Connection: x-a", "X-A: 1", "X-B: 1", "Connection: close, USER-AGENT",
				"User-Agent: x", "X-C: 1"}, []string{"X-B: 1", "X-C: 1"}},
		{"of TE only trailers passes",
			[]string{"TE: gzip;q=0.5, trailers", "TE: deflate", "Connection: TE"},
			[]string{"Te: trailers"}},
		{"a Connection that names itself", []string{"Connection: Connection, Host"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := "GET / HTTP/1.1\r\nHost: API.example:8080\r\n"
			for _, f := range tt.sent {
				raw += f + "\r\n"
			}
			if resp, body := exchange(t, relay, raw+"\r\n"); resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			r := next(t, got)
			fields := slices.DeleteFunc(r.Fields,
				func(f origin.Field) bool { return isForwarding(f.Name) })
			slices.SortStableFunc(fields, func(a, b origin.Field) int {
				return strings.Compare(a.Name, b.Name)
			})
			var lines []string
			for _, f := range fields {
				if f.Name != "Host" {
					lines = append(lines, f.Name+": "+f.Value)
				}
			}
			if !slices.Equal(lines, tt.want) {
				t.Errorf("the backend sees %q, want %q", lines, tt.want)
			}
			if host := r.Values("Host"); !slices.Equal(host, []string{"API.example:8080"}) {
				t.Errorf("Host: %q", host)
			}
		})
	}
}

func TestOutgoingDoesNotChangeTheRequest(t *testing.T) {
	b := newBackend(t, backend.Options{URL: "http://127.0.0.1:1", Via: true})
	in := httptest.NewRequest("POST", "/a?b", strings.NewReader("x"))
	in.Header = http.Header{
		"Connection": {"x-a"}, "X-A": {"1"}, "Te": {"trailers"}, "X-Forwarded-For": {"1.1.1.1"},
		"Idempotency-Key": {"k"},
		"Via":             append(make([]string, 0, 4), "1.0 a"),
	}
	before, via := in.Header.Clone(), in.Header["Via"]
	if _, ok := b.Outgoing(in, "c"); !ok {
		t.Fatal("refused")
	}
	if len(in.Header) != len(before) || in.RequestURI != "/a?b" || in.URL.RawQuery != "b" ||
		via[:2][1] != "" {
		t.Errorf("%+v", in)
	}
	for name, values := range before {
		if !slices.Equal(in.Header[name], values) {
			t.Errorf("%s is %q", name, in.Header[name])
		}
	}
}

func TestViaNamesTheProtocolThatTheRequestCameBy(t *testing.T) { // RFC 9110 §7.6.3
	got := make(chan []string, 1)
	api := serve(t, "http", func(_ http.ResponseWriter, r *http.Request) { got <- r.Header["Via"] })
	for _, tt := range []struct {
		name   string
		on     bool
		proto  string
		fields string
		want   []string
	}{
		{"off", false, "HTTP/1.1", "", nil},
		{"off, the client's passes", false, "HTTP/1.1", "Via: 1.0 a\r\n", []string{"1.0 a"}},
		{"on", true, "HTTP/1.1", "", []string{"1.1 sidecar-"}},
		{"on, after the client's", true, "HTTP/1.1", "Via: 1.0 a\r\nVia: 1.1 b\r\n",
			[]string{"1.0 a", "1.1 b", "1.1 sidecar-"}},
		{"on, HTTP/1.0", true, "HTTP/1.0", "", []string{"1.0 sidecar-"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			relay := startRelay(t, newBackend(t, backend.Options{URL: api.url, Via: tt.on}))
			exchange(t, relay, "GET / "+tt.proto+"\r\nHost: a\r\n"+tt.fields+"\r\n")
			if via := withoutToken(next(t, got)); !slices.Equal(via, tt.want) {
				t.Errorf("%q, want %q", via, tt.want)
			}
		})
	}
	t.Run("on, HTTP/2", func(t *testing.T) {
		var h2c http.Protocols
		h2c.SetUnencryptedHTTP2(true)
		relay := startRelay(t, newBackend(t, backend.Options{URL: api.url, Via: true}),
			func(s *httptest.Server) { s.Config.Protocols = &h2c })
		transport := &http.Transport{Protocols: &h2c}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("http://" + relay)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if via := withoutToken(next(t, got)); !slices.Equal(via, []string{"2.0 sidecar-"}) {
			t.Errorf("%q", via)
		}
	})
}

// withoutToken takes the random part out of this process's name.
func withoutToken(via []string) []string {
	for i, v := range via {
		if at := strings.Index(v, "sidecar-"); at >= 0 {
			via[i] = v[:at+len("sidecar-")]
		}
	}
	return via
}

func TestARequestThatComesBackIsKnown(t *testing.T) {
	for _, via := range []bool{true, false} {
		b := newBackend(t, backend.Options{URL: "http://a", Via: via})
		another := newBackend(t, backend.Options{URL: "http://a", Via: via})
		in := httptest.NewRequest("GET", "/", nil)
		in.Header["Via"] = []string{"1.1 proxy, 1.0 sidecar-0123456789abcdef"}
		if b.HasPassed(in) {
			t.Error("a request that has passed somebody else")
		}
		for range 2 { // straight back, and then by way of another sidecar
			out, _ := b.Outgoing(in, "")
			in = httptest.NewRequest("GET", "/", nil)
			in.Header = out.Header()
			if !b.HasPassed(in) || another.HasPassed(in) {
				t.Fatalf("%q", in.Header)
			}
			out, _ = another.Outgoing(in, "")
			in.Header = out.Header()
			if !b.HasPassed(in) || !another.HasPassed(in) {
				t.Fatalf("%q", in.Header)
			}
			b = newBackend(t, backend.Options{URL: "http://a", Via: via})
			another = newBackend(t, backend.Options{URL: "http://a", Via: via})
		}
	}
}

func TestRequestBodiesPassInTheirFraming(t *testing.T) {
	o, got := startRecorder(t)
	relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	big := strings.Repeat("0123456789abcdef", 64<<10)
	for _, tt := range []struct {
		name, method, fields, content string
		length, coding                []string
		want                          string
	}{
		{"length", "POST", "Content-Length: 5", "hello", []string{"5"}, nil, "hello"},
		{"length, much", "PUT", "Content-Length: 1048576", big, []string{"1048576"}, nil, big},
		{"length 0", "POST", "Content-Length: 0", "", []string{"0"}, nil, ""},
		{"length with GET", "GET", "Content-Length: 5", "hello", []string{"5"}, nil, "hello"},
		{"length with an unusual method", "PURGE", "Content-Length: 5", "hello",
			[]string{"5"}, nil, "hello"},
		{"chunked", "POST", "Transfer-Encoding: chunked", "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
			nil, []string{"chunked"}, "hello"},
		{"chunked, much", "POST", "Transfer-Encoding: chunked",
			"100000\r\n" + big + "\r\n0\r\n\r\n", nil, []string{"chunked"}, big},
		{"chunked and empty", "POST", "Transfer-Encoding: chunked", "0\r\n\r\n", nil,
			[]string{"chunked"}, ""},
		{"chunked with DELETE", "DELETE", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n",
			nil, []string{"chunked"}, "hello"},
		{"none", "GET", "X-A: 1", "", nil, nil, ""},
		{"none with DELETE", "DELETE", "X-A: 1", "", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := exchange(t, relay,
				tt.method+" / HTTP/1.1\r\nHost: a\r\n"+tt.fields+"\r\n\r\n"+tt.content)
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s", resp.Status, body)
			}
			r := next(t, got)
			if length := r.Values("Content-Length"); !slices.Equal(length, tt.length) {
				t.Errorf("Content-Length: %q", length)
			}
			if coding := r.Values("Transfer-Encoding"); !slices.Equal(coding, tt.coding) {
				t.Errorf("Transfer-Encoding: %q", coding)
			}
			if r.body != tt.want {
				t.Errorf("a body of %d bytes, want %d", len(r.body), len(tt.want))
			}
		})
	}
}

func TestRequestTrailersPass(t *testing.T) {
	o, got := startRecorder(t)
	relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
	resp, body := exchange(t, relay,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-More\r\n"+
			"\r\n"+
			"5\r\nhello\r\n0\r\nx-sum: 1\r\nX-More: a\r\nX-More: b\r\n\r\n")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", resp.Status, body)
	}
	r := next(t, got)
	if r.body != "hello" || !slices.Equal(r.Values("Trailer"), []string{"X-More,X-Sum"}) {
		t.Errorf("%q, Trailer: %q", r.body, r.Values("Trailer"))
	}
	if want := []origin.Field{
		{Name: "X-More", Value: "a"}, {Name: "X-More", Value: "b"}, {Name: "X-Sum", Value: "1"},
	}; !slices.Equal(r.Trailers, want) {
		t.Errorf("trailers %q", r.Trailers)
	}
}

func TestAnswersPassInTheirFramingAndWithTrailers(t *testing.T) {
	for _, tt := range []struct {
		name, head, content string
		length              int64
		body                string
		trailer             http.Header
	}{
		{"length", "Content-Length: 5", "hello", 5, "hello", nil},
		{"chunked", "Transfer-Encoding: chunked", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
			-1, "hello", nil},
		{"trailers", "Transfer-Encoding: chunked\r\nTrailer: X-Sum",
			"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n", -1, "hello",
			http.Header{"X-Sum": {"1", "2"}}},
		{"coded", "Content-Encoding: gzip\r\nContent-Length: 3", "abc", 3, "abc", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
				_, _ = c.WriteString("HTTP/1.1 200 OK\r\n" + tt.head + "\r\n\r\n" + tt.content)
			})
			resp, body := exchange(t, startRelay(t, newBackend(t, backend.Options{URL: o.URL()})),
				"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if resp.ContentLength != tt.length || body != tt.body ||
				len(resp.Trailer) != len(tt.trailer) {
				t.Errorf("%d, %q, %q", resp.ContentLength, body, resp.Trailer)
			}
			for name, values := range tt.trailer {
				if !slices.Equal(resp.Trailer[name], values) {
					t.Errorf("%s: %q", name, resp.Trailer[name])
				}
			}
		})
	}
}

func TestTrailersThatWereNotAnnouncedAreThereAfterTheBody(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString(
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
	})
	b := newBackend(t, backend.Options{URL: o.URL()})
	resp, err := b.RoundTrip(t.Context(), outgoing(t, b, "GET", "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil || resp.Trailer.Get("X-Sum") != "1" {
		t.Errorf("%q %v", resp.Trailer, err)
	}
}

// breakings are the ways in which a connection ends under a request.
var breakings = []struct {
	name string
	end  func(*origin.Conn)
}{
	{"close", func(c *origin.Conn) { _ = c.Close() }},
	{"reset", (*origin.Conn).Reset},
}

func TestRequestsOnAKeptAliveConnectionThatBreaks(t *testing.T) {
	for _, tt := range []struct {
		name, method, fields string
		status               int
		requests             int // with the one that opened the connection
	}{
		{"a POST is sent once", "POST", "", 502, 2},
		{"a POST with Idempotency-Key is sent once", "POST", "Idempotency-Key: k\r\n", 502, 2},
		{"a POST with idempotency-key is sent once", "POST", "idempotency-key: k\r\n", 502, 2},
		{"a POST with X-Idempotency-Key is sent once", "POST", "X-Idempotency-Key: k\r\n", 502, 2},
		{"a POST with both is sent once", "POST",
			"Idempotency-Key: k\r\nX-Idempotency-Key: k\r\n", 502, 2},
		{"a DELETE with Idempotency-Key is sent once", "DELETE", "Idempotency-Key: k\r\n", 502, 2},
		{"an unknown method with Idempotency-Key is sent once", "PURGE",
			"Idempotency-Key: k\r\n", 502, 2},
		{"a GET is sent again", "GET", "", 200, 3},
		{"a HEAD is sent again", "HEAD", "", 200, 3},
	} {
		for _, how := range breakings {
			t.Run(tt.name+" after a "+how.name, func(t *testing.T) {
				var count atomic.Int32
				keys := make(chan []string, 4)
				o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
					keys <- append(r.Values("Idempotency-Key"), r.Values("X-Idempotency-Key")...)
					if count.Add(1) == 2 {
						how.end(c)
						return
					}
					_, _ = c.WriteString(emptyOK)
				})
				relay := startRelay(t, newBackend(t, backend.Options{URL: o.URL()}))
				exchange(t, relay, tt.method+" / HTTP/1.1\r\nHost: a\r\n\r\n")
				next(t, keys)
				c := dialTo(t, "tcp", relay)
				c.send(t, tt.method+" / HTTP/1.1\r\nHost: a\r\n"+tt.fields+"\r\n")
				if resp := c.head(t); resp.StatusCode != tt.status {
					t.Errorf("answered with %s", resp.Status)
				}
				if o.Requests() != tt.requests || o.Connections() != tt.requests-1 {
					t.Errorf("%d requests on %d connections", o.Requests(), o.Connections())
				}
				if sent := next(t, keys); len(sent) != strings.Count(tt.fields, "k\r\n") {
					t.Errorf("the backend sees the keys %q", sent)
				}
			})
		}
	}
}
