package backend_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"sidecar/internal/backend"
	"sidecar/test/origin"
)

// closedPort is where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestHealthyByPath(t *testing.T) {
	for _, tt := range []struct {
		name, path, status, message string
	}{
		{"200", "/healthz", "200 OK", ""},
		{"204", "/healthz", "204 No Content", ""},
		{"a query", "/a%2Fb?deep=%zz", "200 OK", ""},
		{"301", "/healthz", "301 Moved Permanently", "the backend's /healthz answers 301"},
		{"404", "/healthz?secret", "404 Not Found", "the backend's /healthz answers 404"},
		{"503", "/healthz", "503 Service Unavailable", "the backend's /healthz answers 503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan *origin.Request, 2)
			o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
				got <- r
				_, _ = c.WriteString("HTTP/1.1 " + tt.status + "\r\nContent-Length: 0\r\n\r\n")
			})
			b := newBackend(t, backend.Options{URL: o.URL(), HealthPath: tt.path})
			for range 2 {
				err := b.Healthy(t.Context())
				if (err == nil) != (tt.message == "") || err != nil && err.Error() != tt.message {
					t.Error(err)
				}
				if r := next(t, got); r.Method != "GET" || r.Target != tt.path ||
					strings.Join(r.Values("User-Agent"), "|") != "sidecar" {
					t.Errorf("it is asked by %q", r.Head)
				}
			}
			if o.Connections() != 1 {
				t.Errorf("two questions took %d connections", o.Connections())
			}
		})
	}
}

func TestHealthyByPathOverEachScheme(t *testing.T) {
	for _, kind := range []string{"http", "https", "h2c", "unix"} {
		t.Run(kind, func(t *testing.T) {
			api := serve(t, kind, func(w http.ResponseWriter, r *http.Request) {
				if r.RequestURI != "/healthz" {
					w.WriteHeader(http.StatusNotFound)
				}
			})
			if err := newBackend(t, backend.Options{
				URL: api.url, TLS: api.tls, HealthPath: "/healthz",
			}).Healthy(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHealthyWithoutPathIsAConnection(t *testing.T) {
	for _, kind := range []string{"http", "https", "h2c", "unix"} {
		t.Run(kind, func(t *testing.T) {
			api := serve(t, kind, func(http.ResponseWriter, *http.Request) {
				t.Error("it is asked something")
			})
			if err := newBackend(t, backend.Options{URL: api.url}).
				Healthy(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBackendThatIsNotThereIsNotHealthy(t *testing.T) {
	for _, tt := range []struct{ name, url, path, message string }{
		{"by connection", "http://" + closedPort(t), "", "the backend cannot be reached: "},
		{"by path", "http://" + closedPort(t), "/healthz",
			"the backend's health cannot be asked: "},
		{"no socket", "unix://" + t.TempDir() + "/s", "", "the backend cannot be reached: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := newBackend(t, backend.Options{URL: tt.url, HealthPath: tt.path}).
				Healthy(t.Context())
			if err == nil || !strings.HasPrefix(err.Error(), tt.message) {
				t.Error(err)
			}
		})
	}
}
