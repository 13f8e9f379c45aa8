package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// A form that names a denied method never reaches the backend, however long it is.
func TestAFormThatNamesADeniedMethodIsDenied(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	s := start(t, b, `routes:
  - {match: "DELETE /items/{id}", deny: true}
`, func(o *setup) { o.inspect = 1000 })
	const form = "Content-Type: application/x-www-form-urlencoded"
	for _, c := range []struct {
		body, want string
	}{
		{"a=b", "POST /items/1"},
		{"_method=DELETE", ""},
		{"a=" + strings.Repeat("x", 2000) + "&_method=DELETE", ""},
	} {
		a := s.do(t.Context(), http.MethodPost, "/items/1", strings.NewReader(c.body), form)
		if got := b.new(); got != c.want || (a.status == http.StatusNotFound) != (c.want == "") {
			t.Errorf("%.20s: %d, and the backend got %q", c.body, a.status, got)
		}
	}
}

func TestAGETThatCountsAsAWriteIsABypassForAReason(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	s := start(t, b, `routes:
  - {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h}}
`)
	body := func() io.Reader { return strings.NewReader("x") }
	if a := s.do(t.Context(), http.MethodGet, "/items/1",
		body()); a.cache() != "fwd=bypass; detail=request-body" {
		t.Errorf("with a body: %s", a.cache())
	}
	if a := s.get("/items/1",
		"X-HTTP-Method-Override: PUT"); a.cache() != "fwd=bypass; detail=method-override" {
		t.Errorf("with another method: %s", a.cache())
	}
}
