package wire

import "testing"

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
