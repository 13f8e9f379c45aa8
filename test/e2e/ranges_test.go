package e2e

import (
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// A stored body answers ranges as RFC 9110 §14 has it; one that is not stored leaves them to the
// API.
func TestAStoredBodyAnswersRanges(t *testing.T) {
	t.Parallel()
	const content = "0123456789abcdefghij"
	var asked atomic.Int64
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", "bytes 0-1/20")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, content[:2])
			return
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, content)
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL, policiesFile(t, itemPolicies))
	url := s.url + "/items/1"
	if a := do(t, http.MethodGet, url, nil,
		"Range: bytes=0-1"); a.status != http.StatusPartialContent ||
		!containsAll(a.cache(), "fwd=uri-miss", "stored") {
		t.Errorf("not stored: %d %q", a.status, a.cache())
	}
	awaitHit(t, url)
	before := asked.Load()
	for _, c := range []struct {
		fields       []string
		status       int
		body, ranges string
	}{
		{[]string{"Range: bytes=2-4"}, 206, "234", "bytes 2-4/20"},
		{[]string{"Range: bytes=-3"}, 206, "hij", "bytes 17-19/20"},
		{[]string{"Range: bytes=15-"}, 206, "fghij", "bytes 15-19/20"},
		{[]string{"Range: bytes=15-99"}, 206, "fghij", "bytes 15-19/20"},
		{[]string{"Range: bytes=20-"}, 416, "", "bytes */20"},
		{[]string{"Range: bytes=2-4", `If-Range: "v1"`}, 206, "234", "bytes 2-4/20"},
		{[]string{"Range: bytes=2-4", `If-Range: "v2"`}, 200, content, ""},
		{[]string{"Range: bytes=2-4", `If-None-Match: "v1"`}, 304, "", ""},
		{[]string{"Range: lines=2-4"}, 200, content, ""},
		{[]string{"Range: bytes=4-2"}, 200, content, ""},
	} {
		a := do(t, http.MethodGet, url, nil, c.fields...)
		if a.status != c.status || string(a.body) != c.body ||
			a.fields.Get("Content-Range") != c.ranges ||
			!strings.HasPrefix(a.cache(), "sidecar; hit") {
			t.Errorf("%q: %d %q, Content-Range %q, %q",
				c.fields, a.status, a.body, a.fields.Get("Content-Range"), a.cache())
		}
		if n := a.fields.Get("Content-Length"); c.status != 304 && n != fmt.Sprint(len(c.body)) {
			t.Errorf("%q: Content-Length %q of %q", c.fields, n, a.body)
		}
	}
	a := do(t, http.MethodGet, url, nil, "Range: bytes=0-1, 5-6, -1")
	kind, params, err := mime.ParseMediaType(a.fields.Get("Content-Type"))
	if err != nil || a.status != 206 || kind != "multipart/byteranges" ||
		a.fields.Get("Content-Range") != "" {
		t.Fatalf("several ranges: %d %q %v", a.status, a.fields, err)
	}
	parts := multipart.NewReader(strings.NewReader(string(a.body)), params["boundary"])
	for _, want := range []string{"bytes 0-1/20: 01", "bytes 5-6/20: 56", "bytes 19-19/20: j"} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(part)
		if text := part.Header.Get("Content-Range") + ": " +
			string(got); text != want || part.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("a part is %q of %q, want %q", text, part.Header, want)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
	if n := asked.Load(); n != before {
		t.Errorf("the backend was asked %d times", n-before)
	}
}

func TestWhatIsSaidToThisCacheAloneCounts(t *testing.T) {
	t.Parallel()
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Sidecar-Cache-Control", "max-age=3600") // RFC 9213
		_, _ = io.WriteString(w, "x")
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL, policiesFile(t, `version: 1
routes:
  - {name: obey, match: GET /obey, cache: {scope: shared}}
  - {name: ignore, match: GET /ignore, cache: {scope: shared, request_directives: ignore}}
  - {name: strip, match: GET /strip, cache: {scope: shared, strip: [sidecar-cache-control]}}
`))
	// Stripped, it counts all the same, and no client sees it, from the API or from the store.
	if a := do(t, http.MethodGet, s.url+"/strip",
		nil); a.fields.Get("Sidecar-Cache-Control") != "" || !containsAll(a.cache(), "stored") {
		t.Errorf("from the API: %q", a.fields)
	}
	awaitHit(t, s.url+"/strip")
	if a := do(t, http.MethodGet, s.url+"/strip",
		nil); a.fields.Get("Sidecar-Cache-Control") != "" ||
		a.fields.Get("Cache-Control") != "no-store" {
		t.Errorf("from the store: %q", a.fields)
	}
	awaitHit(t, s.url+"/obey")
	awaitHit(t, s.url+"/ignore")
	for path, want := range map[string]bool{"/obey": false, "/ignore": true} {
		if a := do(t, http.MethodGet, s.url+path, nil, "Cache-Control: no-cache"); a.hit() != want {
			t.Errorf("%s with no-cache: %q", path, a.cache())
		}
	}
	if a := do(t, http.MethodGet, s.url+"/obey",
		nil); a.fields.Get("Cache-Control") != "no-store" ||
		a.fields.Get("Sidecar-Cache-Control") == "" {
		t.Errorf("the fields arrive as %q", a.fields)
	}
}
