package wire_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sidecar/wire"
)

func TestTheFirstWebSocketByHTTP2NamesTheRemedy(t *testing.T) { // RFC 8441
	for name, change := range map[string]func(*http.Request){
		"CONNECT": func(r *http.Request) {
			r.Method, r.Header[":protocol"] = "CONNECT", []string{"websocket"}
		},
		"a GET that an ingress made of an upgrade": func(r *http.Request) {
			r.Header.Set("Sec-WebSocket-Version", "13")
		},
	} {
		var out bytes.Buffer
		h := wire.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
			slog.New(slog.NewTextHandler(&out, nil)))
		for range 2 {
			for _, proto := range []int{1, 2} {
				r := httptest.NewRequest("GET", "/chat", nil)
				if r.ProtoMajor = proto; proto == 2 {
					change(r)
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		}
		if got := out.String(); strings.Count(got, "\n") != 1 ||
			!strings.Contains(got, "HTTP/1.1") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
