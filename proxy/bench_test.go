package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sidecar/proxy"
)

// A nowhere takes an answer and keeps nothing of it.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// BenchmarkHit is a hit from memory behind the connection: plan, look-up, decision, answer. A
// request that a connection repeats is not planned again.
func BenchmarkHit(b *testing.B) {
	const request = "GET /own/1\nAuthorization: Bearer a\nAccept: application/json\n" +
		"User-Agent: Mozilla/5.0"
	body := []byte(strings.Repeat("x", 2000))
	api := backendThat(b, func(w http.ResponseWriter, _ *http.Request, _ int) {
		_, _ = w.Write(body)
	})
	p := start(b, api, remembered).proxy
	await(b, "it is in memory", func() bool {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, requestOf(b, request))
		return strings.HasSuffix(w.Header().Get("Cache-Status"), "detail=memory")
	})
	benchmarkPlain(b, p, request)
}

// BenchmarkPass is a GET without a cache behind the connection, with its exchange with an API that
// answers at once.
func BenchmarkPass(b *testing.B) {
	const request = "GET /elsewhere/1\nAuthorization: Bearer a\nAccept: application/json\n" +
		"User-Agent: Mozilla/5.0"
	body := []byte(strings.Repeat("x", 2000))
	api := backendThat(b, func(w http.ResponseWriter, _ *http.Request, _ int) {
		_, _ = w.Write(body)
	})
	p := start(b, api, remembered).proxy
	benchmarkPlain(b, p, request)
}

// benchmarkPlain answers a request as another one each time, and as one that a connection repeats.
func benchmarkPlain(b *testing.B, p *proxy.Proxy, request string) {
	for _, c := range []struct {
		name     string
		repeated bool
	}{{"another", false}, {"repeated", true}} {
		b.Run(c.name, func(b *testing.B) {
			r, w := requestOf(b, request), nowhere{http.Header{}}
			var kept any
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				taken, ok := p.Take(r, kept)
				if !ok {
					b.Fatal("it is not taken")
				}
				p.Answer(w, taken, b.Context)
				if c.repeated {
					kept = taken
				}
			}
		})
	}
}
