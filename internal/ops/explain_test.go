package ops

import (
	"net/http"
	"strings"
	"testing"
)

func TestARequestInTheBodyIsExplained(t *testing.T) {
	a := serve(t, shared, nil)
	for _, tt := range []struct {
		name, body string
		status     int
		want       string // in the answer
	}{
		{"a GET", "GET /items/1 HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusOK, "GET /items/1 "},
		{"a PUT", "PUT /items/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", http.StatusOK,
			"PUT /items/1 hi"},
		{"one that is refused", "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n",
			http.StatusUnprocessableEntity, "refuses"},
		{"no request", "hello", http.StatusBadRequest, "HTTP/1.1 request"},
		{"content that ends early", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhi",
			http.StatusBadRequest, "HTTP/1.1 request"},
		{"a long one", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" +
			strings.Repeat("x", 3000000), http.StatusRequestEntityTooLarge, "2 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _, body := a.ask(http.MethodPost, "/admin/explain", tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d with %q", status, body, tt.status, tt.want)
			}
		})
	}
}
