package backend_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"sidecar/internal/backend"
)

// An api is a server of one of the schemes, with its address and certificates.
type api struct {
	url string
	tls *tls.Config
}

// serve starts an api. https1 is https that cannot do HTTP/2.
func serve(t *testing.T, kind string, handler http.HandlerFunc) api {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.DisableGeneralOptionsHandler = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(s.Close)
	switch kind {
	case "https", "https1":
		s.EnableHTTP2 = kind == "https"
		s.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		return api{"https://" + s.Listener.Addr().String(), &tls.Config{RootCAs: roots}}
	case "h2c":
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
	case "unix":
		path := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Listener.Close()
		s.Listener = l
		s.Start()
		return api{url: "unix://" + path}
	}
	s.Start()
	return api{url: strings.Replace(s.URL, "http", kind, 1)}
}

func TestEachSchemeAnswers(t *testing.T) {
	for _, tt := range []struct{ kind, proto string }{
		{"http", "HTTP/1.1"},
		{"https", "HTTP/2.0"},
		{"https1", "HTTP/1.1"},
		{"h2c", "HTTP/2.0"},
		{"unix", "HTTP/1.1"},
	} {
		t.Run(tt.kind, func(t *testing.T) {
			api := serve(t, tt.kind, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				_, _ = io.WriteString(w,
					strings.Join([]string{
						r.Proto, r.Method, r.Host, r.RequestURI, r.Header.Get("X-A"), string(body),
					}, " "))
			})
			relay := startRelay(t, newBackend(t, backend.Options{URL: api.url, TLS: api.tls}))
			resp, body := exchange(t, relay,
				"PUT //a%2Fb?c HTTP/1.1\r\nHost: api.example\r\nX-A: 1\r\nContent-Length: 3\r\n"+
					"\r\nabc")
			if want := tt.proto + " PUT api.example //a%2Fb?c 1 abc"; body != want {
				t.Errorf("%s: %q, want %q", resp.Status, body, want)
			}
		})
	}
}

func TestServerThatIsNotTrustedIsRefused(t *testing.T) {
	api := serve(t, "https", func(http.ResponseWriter, *http.Request) {
		t.Error("it got the request")
	})
	if _, err := roundTrip(t, t.Context(), newBackend(t, backend.Options{URL: api.url}),
		nil); !backend.IsUnsent(err) {
		t.Error(err)
	}
}

func TestNewRefusesURLs(t *testing.T) {
	for _, tt := range []struct{ name, url, message string }{
		{"a path", "http://h/api", "only scheme, host and port"},
		{"a query", "http://h?x", "only scheme, host and port"},
		{"user info", "http://u:geheim@h", "only scheme, host and port"},
		{"a password behind a port that is none", "http://u:gehe/im:geheim@h", "BACKEND_URL"},
		{"a password with a bad escape", "http://u:geheim%zz@h", "BACKEND_URL"},
		{"a password without a host", "http:u:geheim@h", "names no host"},
		{"a password with another scheme", "geheim://u:geheim@h", "is none of"},
		{"no host", "http://", "names no host"},
		{"no host but a path", "http:///api", "names no host"},
		{"no scheme", "h.example", "is none of http, https, h2c, unix"},
		{"nothing", "", "is none of http, https, h2c, unix"},
		{"an unknown scheme", "ftp://h", "is none of http, https, h2c, unix"},
		{"unix without a path", "unix://", "the path of a socket"},
		{"what is no URL", "http://[::1", "BACKEND_URL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := backend.New(backend.Options{URL: tt.url})
			if err == nil || b != nil || !strings.HasPrefix(err.Error(), "BACKEND_URL: ") ||
				!strings.Contains(err.Error(), tt.message) {
				t.Fatalf("%v", err)
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

func TestPortIsThatOfTheScheme(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct{ url, want string }{
		{"http://127.0.0.1", " 127.0.0.1:80:"},
		{"http://127.0.0.1/", " 127.0.0.1:80:"},
		{"https://127.0.0.1", " 127.0.0.1:443:"},
		{"h2c://127.0.0.1", " 127.0.0.1:80:"},
		{"https://[::1]", " [::1]:443:"},
		{"https://127.0.0.1:3000", " 127.0.0.1:3000:"},
	} {
		// No connection is made, but the error names its address.
		if err := newBackend(t, backend.Options{URL: tt.url}).Healthy(done); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.url, err)
		}
	}
}
