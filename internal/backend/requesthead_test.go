package backend

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestARequestIsWrittenAsNetHTTPWritesIt(t *testing.T) {
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
		{"fields by name", "GET", "/", "a",
			http.Header{
				"X-B": {"2", "1"}, "X-A": {""}, "Accept": {" a\t"}, "Cookie": {"a=1; b=\"\xe4\""},
			}},
		{"User-Agent in front", "GET", "/", "a",
			http.Header{"User-Agent": {"x/1 (y)", "z"}, "Accept": {"*/*"}}},
		{"an empty User-Agent", "GET", "/", "a", http.Header{"User-Agent": {""}}},
		{"a key to idempotency, which net/http is not to see", "GET", "/", "a",
			http.Header{"Idempotency-Key": {"1"}, "Zeta": {"1"}}},
		{"fields that frame", "GET", "/", "a",
			http.Header{"Content-Length": {"0"}, "Trailer": {"X-A"}, "Expect": {"100-continue"}}},
		{"through another sidecar", "GET", "/", "a",
			http.Header{"Sidecar-Passed": {"sidecar-0"}, "Via": {"1.1 b"}}},
		{"more fields than are expected", "GET", "/", "a", many(100)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, via := range []bool{true, false} {
				b, err := New(Options{URL: "http://127.0.0.1:3000", Via: via})
				if err != nil {
					t.Fatal(err)
				}
				in := httptest.NewRequest(tt.method, "/", nil)
				in.RequestURI, in.Host = tt.target, tt.host
				if tt.fields != nil {
					in.Header = tt.fields
				}
				_, query, _ := strings.Cut(tt.target, "?")
				out, ok := b.Outgoing(in, query)
				if !ok {
					t.Fatal("it is refused")
				}
				got, err := appendRequest(nil, out, b.host, contentOf(out))
				out.Header() // from now on the head is made of them
				var want bytes.Buffer
				if err := out.Write(&want); err != nil {
					t.Fatal(err)
				}
				if err != nil || string(got) != want.String() {
					t.Errorf("%v\n%q, by net/http\n%q", err, got, want.String())
				}
				got, err = appendRequest(nil, out, b.host, contentOf(out))
				if err != nil || string(got) != want.String() {
					t.Errorf("%v\n%q of its Header, by net/http\n%q", err, got, want.String())
				}
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
			out.Header()
			tt.change(out.Request)
			if got, err := appendRequest(nil, out, b.host,
				contentOf(out)); err == nil {
				t.Errorf("%q", got)
			}
			if _, err := b.RoundTrip(t.Context(), out, nil); !IsUnsent(err) {
				t.Errorf("it is not said that nothing was sent: %v", err)
			}
		})
	}
}
