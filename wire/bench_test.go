package wire

import (
	"net"
	"testing"
)

// BenchmarkPlainRequest is the head of a browser's request, read below net/http.
func BenchmarkPlainRequest(b *testing.B) {
	const head = "GET /api/v1/characters/42?expand=items HTTP/1.1\r\nHost: api.example\r\n" +
		"Accept: application/json\r\nAccept-Encoding: gzip, br, zstd\r\nAccept-Language: en\r\n" +
		"Authorization: Bearer abc.def.ghi\r\nUser-Agent: Mozilla/5.0\r\nX-Request-Id: 1\r\n"
	c := &conn{remote: "192.0.2.1:1234"}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.plainRequest(head); !ok {
			b.Fatal("it is not plain")
		}
	}
}

// A sink takes all bytes.
type sink struct{ net.Conn }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkAnswer is an answer of 2 KB that is written below net/http.
func BenchmarkAnswer(b *testing.B) {
	c, body := &conn{stream: sink{}}, make([]byte, 2000)
	fields := map[string][]string{
		"Server": {"nginx"}, "Date": {"Mon, 01 Jan 2024 00:00:00 GMT"}, "Etag": {`"v1"`},
		"Content-Type": {"application/json"}, "Content-Length": {"2000"},
		"Cache-Control": {"private, max-age=60"}, "Cache-Status": {"sidecar; fwd=bypass"},
	}
	b.ReportAllocs()
	for b.Loop() {
		w := newQuickWriter(c, "GET")
		for name, values := range fields {
			w.header[name] = values
		}
		_, _ = w.Write(body)
		if err := w.finish(); err != nil {
			b.Fatal(err)
		}
		w.release()
	}
}
