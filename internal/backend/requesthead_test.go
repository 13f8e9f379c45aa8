package backend

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestARequestIsWrittenAsNetHTTPWritesIt(t *testing.T) {
	b, err := New(Options{URL: "http://127.0.0.1:3000", Via: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, target, host string
		fields                     http.Header
	}{
		{"nothing but a target", "GET", "/", "api.example", nil},
		{"HEAD", "HEAD", "/a?b", "api.example:8080", nil},
		{"a target that is not clean", "GET", "//a/..%2F;x?%zz&&=", "api.example", nil},
		{"an empty query", "GET", "/a?", "api.example", nil},
		{"no Host, as by HTTP/1.0", "GET", "/", "", nil},
		{"an address of IPv6", "GET", "/", "[::1]:80", nil},
		{"fields by name", "GET", "/", "a", http.Header{"X-B": {"2", "1"}, "X-A": {""}, "Accept": {" a\t"}, "Cookie": {"a=1; b=\"\xe4\""}}},
		{"User-Agent in front", "GET", "/", "a", http.Header{"User-Agent": {"x/1 (y)", "z"}, "Accept": {"*/*"}}},
		{"an empty User-Agent", "GET", "/", "a", http.Header{"User-Agent": {""}}},
		{"a key to idempotency, which net/http is not to see", "GET", "/", "a", http.Header{"Idempotency-Key": {"1"}, "Zeta": {"1"}}},
		{"fields that frame", "GET", "/", "a", http.Header{"Content-Length": {"0"}, "Trailer": {"X-A"}, "Expect": {"100-continue"}}},
		{"more fields than are expected", "GET", "/", "a", many(100)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := httptest.NewRequest(tt.method, "/", nil)
			in.RequestURI, in.Host = tt.target, tt.host
			if tt.fields != nil {
				in.Header = tt.fields
			}
			_, query, _ := strings.Cut(tt.target, "?")
			out, ok := b.Outgoing(in, query)
			if !ok || !b.isDirect(out) {
				t.Fatal("it is not sent directly")
			}
			var want bytes.Buffer
			if err := out.Write(&want); err != nil {
				t.Fatal(err)
			}
			got, err := appendRequest(nil, out, b.host)
			if err != nil || string(got) != want.String() {
				t.Errorf("%v\n%q, by net/http\n%q", err, got, want.String())
			}
		})
	}
}

func many(n int) http.Header {
	h := http.Header{}
	for i := range n {
		h.Set("X-"+strings.Repeat("a", 1+i%50)+strings.Repeat("b", i/50), "1")
	}
	return h
}

func TestWhatCouldBeReadAsAnotherRequestIsNotSent(t *testing.T) {
	b, err := New(Options{URL: "http://127.0.0.1:3000"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
	}{
		{"a line in a value", func(r *http.Request) { r.Header["X-A"] = []string{"1\r\nX-B: 2"} }},
		{"a CR", func(r *http.Request) { r.Header["X-A"] = []string{"1\r"} }},
		{"an LF", func(r *http.Request) { r.Header["X-A"] = []string{"ok", "1\n2"} }},
		{"NUL", func(r *http.Request) { r.Header["User-Agent"] = []string{"\x00"} }},
		{"a name with a colon", func(r *http.Request) { r.Header["X-A:"] = []string{"1"} }},
		{"an empty name", func(r *http.Request) { r.Header[""] = []string{"1"} }},
		{"a line in the target", func(r *http.Request) { r.URL.Opaque = "/ HTTP/1.1\r\nX-B: 2" }},
		{"a DEL in the query", func(r *http.Request) { r.URL.RawQuery = "\x7f" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := b.Outgoing(httptest.NewRequest("GET", "/", nil), "")
			tt.change(out)
			if got, err := appendRequest(nil, out, b.host); err == nil {
				t.Errorf("%q", got)
			}
			if _, err := b.RoundTrip(t.Context(), out, nil); !IsRefused(err) {
				t.Errorf("it is not said that nothing was sent: %v", err)
			}
		})
	}
}

func TestARequestByHTTP2WithoutContentIsSentDirectly(t *testing.T) {
	b, err := New(Options{URL: "http://a"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		fields http.Header
		direct bool
	}{
		{"its stream has ended", http.Header{}, true},
		{"its stream goes on, with a length that cannot be read", http.Header{"Content-Length": {"x"}}, false},
	} {
		in := httptest.NewRequest("GET", "/", nil)
		in.Body, in.ContentLength, in.Header = io.NopCloser(strings.NewReader("")), 0, tt.fields // as net/http hands it over
		if out, _ := b.Outgoing(in, ""); b.isDirect(out) != tt.direct {
			t.Errorf("%s: %v", tt.name, b.isDirect(out))
		}
	}
}

func TestRequestsThatNetHTTPSends(t *testing.T) {
	for _, tt := range []struct {
		name, url, method, body string
		change                  func(*http.Request)
		direct                  bool
	}{
		{"a GET", "http://a", "GET", "", nil, true},
		{"a HEAD", "http://a", "HEAD", "", nil, true},
		{"over a socket", "unix:///s", "GET", "", nil, true},
		{"over TLS", "https://a", "GET", "", nil, false},
		{"by HTTP/2", "h2c://a", "GET", "", nil, false},
		{"a POST", "http://a", "POST", "", nil, false},
		{"another method", "http://a", "get", "", nil, false},
		{"with content", "http://a", "GET", "x", nil, false},
		{"with an upgrade", "http://a", "GET", "", AskUpgrade, false},
		{"with a host that is to be translated", "http://a", "GET", "", func(r *http.Request) { r.Host = "b\u00fccher.example" }, false},
		{"with a zone that is to be taken out", "http://a", "GET", "", func(r *http.Request) { r.Host = "[fe80::1%25eth0]" }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := New(Options{URL: tt.url})
			if err != nil {
				t.Fatal(err)
			}
			out, ok := b.Outgoing(httptest.NewRequest(tt.method, "/", strings.NewReader(tt.body)), "")
			if tt.change != nil {
				tt.change(out)
			}
			if !ok || b.isDirect(out) != tt.direct {
				t.Error(b.isDirect(out))
			}
		})
	}
}
