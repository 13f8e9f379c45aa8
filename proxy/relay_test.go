package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"

	"sidecar/proxy"
)

// The first part of each body is sent on while the rest is still to come, also where there are more
// long bodies than long pieces.
func TestLongPiecesAreForLongBodiesAndBounded(t *testing.T) {
	const part = 40_000
	content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	for name, c := range map[string]struct {
		size, requests, long int
		counted              bool
	}{
		"long":           {len(content), 3, 3, true},
		"more than may":  {len(content), proxy.MaxLongPieces + 2, proxy.MaxLongPieces, true},
		"short":          {32 << 10, 3, 0, true},
		"unknown length": {len(content), 3, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			goOn := make(chan struct{})
			first := min(part, c.size/2)
			b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				if c.counted {
					w.Header().Set("Content-Length", strconv.Itoa(c.size))
				}
				_, _ = w.Write(content[:first])
				_ = http.NewResponseController(w).Flush()
				<-goOn
				_, _ = w.Write(content[first:c.size])
			})
			s := start(t, b, items)
			bodies := make([]io.ReadCloser, c.requests)
			got := make([]byte, len(content)+1)
			for i := range bodies {
				resp, err := http.Get(s.url + "/other")
				check(t, err)
				bodies[i] = resp.Body
				_, err = io.ReadFull(resp.Body, got[:first])
				check(t, err)
			}
			if n := proxy.LongPieces(); n != c.long {
				t.Errorf("%d long pieces are in hand, want %d", n, c.long)
			}
			close(goOn)
			for _, body := range bodies {
				n, err := io.ReadFull(body, got[first:])
				if n += first; err != io.ErrUnexpectedEOF || !bytes.Equal(got[:n], content[:c.size]) {
					t.Errorf("%d bytes of %d, %v", n, c.size, err)
				}
				_ = body.Close()
			}
			await(t, "no long piece is in hand", func() bool { return proxy.LongPieces() == 0 })
		})
	}
}
