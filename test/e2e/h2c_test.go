package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// From backends of every protocol, answers pass as they come, are stored when they are complete,
// and never if they end early.
func TestStoringIsTheSameOverEachBackendProtocol(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "h2c", "unix"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			more := make(chan struct{}, 1)
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n := asked.Add(1)
				if want := map[string]int{
					"http": 1, "h2c": 2, "unix": 1,
				}[scheme]; r.ProtoMajor != want {
					t.Errorf("it is asked by %s", r.Proto)
				}
				w.Header().Set("Cache-Control", "max-age=3600")
				flush := http.NewResponseController(w).Flush
				switch r.URL.Path {
				case "/slow":
					_, _ = io.WriteString(w, "first, ")
					_ = flush()
					select {
					case <-more:
					case <-t.Context().Done():
					}
					_, _ = io.WriteString(w, "second")
				case "/cut":
					fmt.Fprintf(w, "half of answer %d", n)
					_ = flush()
					panic(http.ErrAbortHandler)
				case "/trailers":
					w.Header().Set("Trailer", "X-Sum")
					_, _ = io.WriteString(w, "body")
					w.Header().Set("X-Sum", "42")
				default:
					fmt.Fprintf(w, "answer %d", n)
				}
			})
			s := startBefore(t, serveBy(t, scheme, handler),
				policiesFile(t,
					"version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared}}\n"))

			resp, err := http.Get(s.url + "/slow")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			first := make([]byte, len("first, "))
			// the backend waits until this has arrived
			if _, err := io.ReadFull(resp.Body, first); err != nil {
				t.Fatalf("%q: %v", first, err)
			}
			more <- struct{}{}
			if rest, err := io.ReadAll(resp.Body); string(first)+string(rest) != "first, second" ||
				err != nil {
				t.Errorf("%q %q %v", first, rest, err)
			}
			if a := do(t, http.MethodGet, s.url+"/slow", nil); !a.hit() ||
				string(a.body) != "first, second" {
				t.Errorf("read right after it was complete: %q %q", a.cache(), a.body)
			}

			for range 2 {
				before := asked.Load()
				if a, err := try(t.Context(), http.MethodGet, s.url+"/cut", nil); err == nil {
					t.Errorf("half an answer looks complete: %q %q", a.cache(), a.body)
				}
				if asked.Load() == before {
					t.Error("half an answer was stored")
				}
			}

			resp, err = http.Get(s.url + "/trailers")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); string(body) != "body" || err != nil ||
				resp.Trailer.Get("X-Sum") != "42" {
				t.Errorf("with trailers: %q %v %q", body, err, resp.Trailer)
			}
			awaitHit(t, s.url+"/plain")
		})
	}
}

// serveBy serves over the protocol of a scheme of BACKEND_URL, and returns such a URL.
func serveBy(t *testing.T, scheme string, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	if scheme == "unix" {
		socket := filepath.Join(t.TempDir(), "api.sock")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		_ = server.Listener.Close()
		server.Listener = l
		server.Start()
		t.Cleanup(server.Close)
		return "unix://" + socket
	}
	if scheme == "h2c" {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		server.Config.Protocols = &protocols
	}
	server.Start()
	t.Cleanup(server.Close)
	return scheme + strings.TrimPrefix(server.URL, "http")
}
