package backend

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// canned answers every request on a connection with the same bytes, and costs as little as can be.
func canned(b *testing.B, answer []byte) (url string) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener, and each connection's with the connection
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() {
				defer c.Close()
				request := make([]byte, 16<<10)
				for n := 0; ; {
					got, err := c.Read(request[n:])
					if err != nil {
						return
					}
					if n += got; bytes.HasSuffix(request[:n], []byte("\r\n\r\n")) {
						n = 0
						_, _ = c.Write(answer)
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// BenchmarkDirect compares a GET by this package's client with one by net/http's Transport.
func BenchmarkDirect(b *testing.B) {
	fields := "HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
		"Content-Type: application/json; charset=utf-8\r\nCache-Control: private, max-age=60\r\n" +
		"Etag: \"0123456789abcdef\"\r\nVary: Accept-Encoding\r\nX-Request-Id: 0123456789\r\n" +
		"X-Frame-Options: DENY\r\nStrict-Transport-Security: max-age=63072000\r\n"
	for _, content := range []struct{ name, answer string }{
		{"counted 1 KiB", fields + "Content-Length: 1024\r\n\r\n" + strings.Repeat("a", 1<<10)},
		{"chunked 1 KiB", fields + "Transfer-Encoding: chunked\r\n\r\n400\r\n" +
			strings.Repeat("a", 1<<10) + "\r\n0\r\n\r\n"},
		{"counted 256 KiB", fields + "Content-Length: 262144\r\n\r\n" +
			strings.Repeat("a", 256<<10)},
	} {
		backend, err := New(Options{URL: canned(b, []byte(content.answer)), Timeout: 10e9})
		if err != nil {
			b.Fatal(err)
		}
		defer backend.Close()
		transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: idleConnections}
		defer transport.CloseIdleConnections()
		transported := func(
			ctx context.Context, out *Request, _ time.Time, _ Informational,
		) (*http.Response, bool, error) {
			resp, err := transport.RoundTrip(out.WithContext(ctx))
			return resp, true, err
		}
		in := httptest.NewRequest("GET", "/api/v1/characters/c1?fields=name", nil)
		in.Header = http.Header{
			"Accept": {"*/*"}, "Authorization": {"Bearer 0123456789"}, "User-Agent": {"bench/1"},
			"Accept-Encoding": {"gzip"},
		}
		out, _ := backend.Outgoing(in, in.URL.RawQuery)
		out.Header()
		for _, client := range []struct {
			name string
			send func(context.Context, *Request, time.Time, Informational) (
				*http.Response, bool, error)
		}{{"direct", backend.direct}, {"transport", transported}} {
			get := func(b *testing.B, buf []byte) {
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				resp, _, err := client.send(ctx, &Request{Request: out.Request}, time.Now(), nil)
				if err != nil {
					b.Fatal(err)
				}
				defer resp.Body.Close()
				for err == nil {
					_, err = resp.Body.Read(buf)
				}
				if err != io.EOF {
					b.Fatal(err)
				}
			}
			b.Run(content.name+"/"+client.name, func(b *testing.B) {
				b.ReportAllocs()
				buf := make([]byte, 32<<10)
				for range b.N {
					get(b, buf)
				}
			})
			b.Run(content.name+"/parallel/"+client.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for buf := make([]byte, 32<<10); pb.Next(); {
						get(b, buf)
					}
				})
			})
		}
	}
}

// BenchmarkParseResponseHead is the head of an answer as it usually is.
func BenchmarkParseResponseHead(b *testing.B) {
	const head = "HTTP/1.1 200 OK\r\nServer: nginx/1.26.0\r\n" +
		"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n" +
		"Content-Type: application/json; charset=utf-8\r\nContent-Length: 2048\r\n" +
		"Connection: keep-alive\r\nCache-Control: private, max-age=60\r\n" +
		"ETag: \"0123456789\"\r\n\r\n"
	b.ReportAllocs()
	for b.Loop() {
		h, err := parseResponseHead(head)
		if err == nil {
			_, err = frame("GET", &h)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOutgoing is the head of a request to the backend, with the fields that a browser and an
// ingress send.
func BenchmarkOutgoing(b *testing.B) {
	backend, err := New(Options{URL: "http://127.0.0.1:3000", Via: true})
	if err != nil {
		b.Fatal(err)
	}
	in := httptest.NewRequest("GET", "/api/v1/characters/c1?fields=name", nil)
	in.Body = http.NoBody
	for _, line := range []string{
		"Accept: application/json", "Accept-Encoding: gzip, br", "Accept-Language: en",
		"Authorization: Bearer 0123456789", "User-Agent: Mozilla/5.0", "Referer: https://a.example/",
		"Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin", "X-Request-Id: 1",
		"X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: a.example", "X-Forwarded-Proto: https",
		"X-Forwarded-Port: 443", "X-Real-Ip: 203.0.113.7", "X-Scheme: https",
	} {
		name, value, _ := strings.Cut(line, ": ")
		in.Header.Set(name, value)
	}
	var head []byte
	b.ReportAllocs()
	for b.Loop() {
		out, _ := backend.Outgoing(in, in.URL.RawQuery)
		if head, err = appendRequest(head[:0], out, backend.host, nil); err != nil {
			b.Fatal(err)
		}
	}
}
