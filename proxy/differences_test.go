package proxy_test

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// The differences of stored responses in docs/transparency.md. The API sends chunks, knows neither
// ranges nor conditions, and gives every request its whole answer.
func TestAHitDiffersFromItsAnswerAsTheDocsSay(t *testing.T) {
	modified := time.Now().Add(-time.Hour).UTC()
	date := func(seconds int) string {
		return modified.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
	}
	b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		for name, value := range map[string]string{
			"Etag": `"a"`, "Last-Modified": date(0), "Content-Disposition": "attachment",
			"Content-Language": "en", "Content-Location": "/a", "Content-Security-Policy": "b",
			"X-Stripped": "1",
		} {
			w.Header().Set(name, value)
		}
		_, _ = io.WriteString(w, "01234")
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, "56789")
	})
	s := start(t, b,
		"routes: [{match: 'GET /c/{id}', cache: {scope: shared, ttl: 1h, strip: [X-Stripped]}}]")
	if a := s.get("/c/1"); a.length() != -1 || a.fields.Get("X-Stripped") == "" {
		t.Fatalf("the answer itself: %d %q", a.length(), a.fields)
	}
	hit := s.get("/c/1")
	if hit.length() != 10 || hit.fields.Get("Content-Disposition") == "" ||
		hit.fields.Get("Age") == "" {
		t.Errorf("%d %q", hit.length(), hit.fields)
	}
	if hit.fields["X-Stripped"] != nil {
		t.Error("a field of strip is stored")
	}
	none := s.get("/c/1", `If-None-Match: "a"`)
	for name, there := range map[string]bool{
		"Content-Location": true, "Content-Security-Policy": true, "Content-Disposition": false,
		"Content-Language": false, "Content-Length": false,
	} {
		if none.status != http.StatusNotModified || (none.fields.Get(name) != "") != there {
			t.Errorf("%d, %s: %q", none.status, name, none.fields.Get(name))
		}
	}
	for _, tt := range []struct {
		status int
		body   string
		fields []string
	}{
		{206, "234", []string{"Range: bytes=2-4"}},
		{416, "", []string{"Range: bytes=10-"}},
		{206, "234", []string{"Range: bytes=2-4", "If-Range: " + date(0)}},
		{200, "0123456789", []string{"Range: bytes=2-4", "If-Range: " + date(1)}},
		{200, "0123456789", []string{"Range: bytes=2-4", "If-Range: " + date(-1)}},
	} {
		if a := s.get("/c/1", tt.fields...); a.status != tt.status || a.body != tt.body ||
			a.length() != int64(len(tt.body)) {
			t.Errorf("%q: %d %q, length %d", tt.fields, a.status, a.body, a.length())
		}
	}
	if n := b.requests.Load(); n != 1 {
		t.Errorf("the API was asked %d times", n)
	}
}
