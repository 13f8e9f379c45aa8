package proxy_test

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

const modified = "Thu, 01 Jan 2026 00:00:00 GMT"

// Nor is less stored: the rest of the body is read behind the 304.
func TestAConditionThatHoldsIsAnsweredBeforeTheBodyHasEnded(t *testing.T) {
	answered := make(chan struct{})
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("ETag", `"a"`)
		_, _ = io.WriteString(w, "01234")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-answered:
		case <-r.Context().Done():
			return
		case <-t.Context().Done():
			return
		}
		_, _ = io.WriteString(w, "56789")
	})
	s := start(t, b, items)
	a := s.get("/items/1", `If-None-Match: "a"`)
	close(answered)
	if a.status != http.StatusNotModified {
		t.Fatalf("%d %v", a.status, a.err)
	}
	await(t, "the rest is stored", func() bool {
		a := s.get("/items/1")
		return a.body == "0123456789" && strings.HasPrefix(a.cache(), "hit")
	})
}

func TestConditionsAreAnsweredFromTheStore(t *testing.T) {
	b := backendThat(t, says("0123456789", `ETag: "a"`, "Last-Modified: "+modified,
		"Content-Type: text/plain",
		"Content-Language: en", "Content-Location: /x", "X-Field: 1"))
	s := start(t, b, items)
	s.get("/items/1")
	b.new()
	for _, c := range []struct {
		name   string
		fields []string
		status int
	}{
		{"the same ETag", []string{`If-None-Match: "a"`}, 304},
		{"a weak one", []string{`If-None-Match: W/"a"`}, 304},
		{"one of several", []string{`If-None-Match: "b", "a"`}, 304},
		{"any", []string{`If-None-Match: *`}, 304},
		{"another ETag", []string{`If-None-Match: "b"`}, 200},
		{"one that cannot be read", []string{`If-None-Match: a`}, 200},
		{"not modified since", []string{"If-Modified-Since: " + modified}, 304},
		{"modified since", []string{"If-Modified-Since: Wed, 31 Dec 2025 23:59:59 GMT"}, 200},
		{"no date", []string{"If-Modified-Since: yesterday"}, 200},
		{"the ETag counts, not the date",
			[]string{`If-None-Match: "b"`, "If-Modified-Since: " + modified}, 200},
		{"a range and a condition that holds", []string{`If-None-Match: "a"`, "Range: bytes=0-1"},
			304},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.get("/items/1", c.fields...)
			if a.status != c.status || !strings.HasPrefix(a.cache(), "hit") ||
				a.fields.Get("Age") == "" {
				t.Errorf("%d %q, want %d", a.status, a.cache(), c.status)
			}
			if c.status != http.StatusNotModified {
				return
			}
			f := a.fields
			if a.body != "" || f["Content-Length"] != nil || f["Content-Type"] != nil ||
				f["Content-Language"] != nil {
				t.Errorf("a 304 describes content: %q %q", a.body, f)
			}
			if f.Get("Etag") != `"a"` || f.Get("Last-Modified") != modified ||
				f.Get("Content-Location") != "/x" || f.Get("X-Field") != "1" {
				t.Errorf("a 304 without its fields: %q", f)
			}
		})
	}
	if got := b.new(); got != "" {
		t.Errorf("the backend was asked %q", got)
	}
}

// A miss is asked for without the client's condition, so that it can be stored.
func TestAConditionOfAMissIsAnsweredByTheProxy(t *testing.T) {
	b := backendThat(t, says("0123456789", `ETag: "a"`))
	s := start(t, b, items)
	a := s.get("/items/1", `If-None-Match: "a"`)
	if a.status != http.StatusNotModified || a.cache() != "fwd=uri-miss; fwd-status=200; stored" ||
		b.new() != "GET /items/1" {
		t.Errorf("%d %q", a.status, a.cache())
	}
	if a := s.get("/items/1"); a.body != "0123456789" || !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("then: %q %q", a.body, a.cache())
	}
	if a := s.get("/items/2", `If-None-Match: "b"`); a.status != http.StatusOK ||
		a.cache() != "fwd=uri-miss; stored" {
		t.Errorf("a condition that does not hold: %d %q", a.status, a.cache())
	}
	if a := s.get("/plain/1", `If-None-Match: "a"`); a.status != http.StatusNotModified {
		t.Errorf("an answer that is not stored: %d %q", a.status, a.cache())
	}
}

func TestRangesAreAnsweredFromTheStore(t *testing.T) {
	b := backendThat(t, says("0123456789", `ETag: "a"`, "Last-Modified: "+modified,
		"Content-Digest: sha-256=:AA==:"))
	s := start(t, b, items)
	s.get("/items/1")
	b.new()
	for _, c := range []struct {
		name    string
		fields  []string
		status  int
		content string // of Content-Range
		body    string
	}{
		{"from the beginning", []string{"Range: bytes=0-3"}, 206, "bytes 0-3/10", "0123"},
		{"to the end", []string{"Range: bytes=7-"}, 206, "bytes 7-9/10", "789"},
		{"beyond the end", []string{"Range: bytes=7-99"}, 206, "bytes 7-9/10", "789"},
		{"the last bytes", []string{"Range: bytes=-2"}, 206, "bytes 8-9/10", "89"},
		{"behind the end", []string{"Range: bytes=10-"}, 416, "bytes */10", ""},
		{"another unit", []string{"Range: lines=0-1"}, 200, "", "0123456789"},
		{"not a range", []string{"Range: bytes=3-1"}, 200, "", "0123456789"},
		{"if the ETag is the same", []string{"Range: bytes=0-3", `If-Range: "a"`}, 206,
			"bytes 0-3/10", "0123"},
		{"if another one is", []string{"Range: bytes=0-3", `If-Range: "b"`}, 200, "", "0123456789"},
		{"if a weak one is", []string{"Range: bytes=0-3", `If-Range: W/"a"`}, 200, "",
			"0123456789"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := s.get("/items/1", c.fields...)
			if a.status != c.status || a.fields.Get("Content-Range") != c.content ||
				a.body != c.body || !strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("%d %q %q %q", a.status, a.fields.Get("Content-Range"), a.body, a.cache())
			}
			if c.status == 206 && a.fields["Content-Digest"] != nil {
				t.Error("a part has the digest of the whole")
			}
		})
	}
	if a := s.do(t.Context(), http.MethodHead, "/items/1", nil,
		"Range: bytes=0-3"); a.cache() != "fwd=bypass; detail=range" {
		t.Errorf("a HEAD with a Range: %q", a.cache())
	}
	if got := b.new(); got != "HEAD /items/1 bytes=0-3" {
		t.Errorf("the backend was asked %q", got)
	}
}

func TestSeveralRangesAreSentAsParts(t *testing.T) {
	s := start(t, backendThat(t, says("0123456789", "Content-Type: text/plain")), items)
	s.get("/items/1")
	a := s.get("/items/1", "Range: bytes=0-1,-2")
	kind, params, err := mime.ParseMediaType(a.fields.Get("Content-Type"))
	if a.status != http.StatusPartialContent || kind != "multipart/byteranges" || err != nil ||
		int64(len(a.body)) != a.length() {
		t.Fatalf("%d %q, %d bytes", a.status, a.fields, len(a.body))
	}
	parts := multipart.NewReader(strings.NewReader(a.body), params["boundary"])
	for _, want := range []string{"bytes 0-1/10 text/plain 01", "bytes 8-9/10 text/plain 89"} {
		p, err := parts.NextRawPart()
		check(t, err)
		content, err := io.ReadAll(p)
		check(t, err)
		if got := p.Header.Get("Content-Range") + " " + p.Header.Get("Content-Type") + " " +
			string(content); got != want {
			t.Errorf("a part is %q, want %q", got, want)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
}

// partly answers ranges as http.ServeContent does.
func partly(content string, fields ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Header().Set(name, value)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}
}

func TestPartsOfOneRepresentationAreJoinedUntilItIsWhole(t *testing.T) {
	b := backendThat(t, partly("0123456789", `ETag: "a"`, "Content-Type: text/plain"))
	s := start(t, b, items)
	get := func(ranges, cache, body string) {
		t.Helper()
		a := s.get("/items/1", "Range: bytes="+ranges)
		if a.status != http.StatusPartialContent || !strings.HasPrefix(a.cache(), cache) ||
			a.body != body {
			t.Errorf("%s: %d %q %q, want %q %q", ranges, a.status, a.cache(), a.body, cache, body)
		}
	}
	get("0-3", "fwd=uri-miss; stored", "0123")
	get("1-2", "hit", "12")
	get("2-6", "fwd=uri-miss; stored", "23456")
	get("0-6", "hit", "0123456")
	get("7-9", "fwd=uri-miss; stored", "789")
	get("0-9", "hit", "0123456789")
	b.new()
	if a := s.get("/items/1"); a.status != http.StatusOK || a.body != "0123456789" ||
		!strings.HasPrefix(a.cache(), "hit") || b.new() != "" {
		t.Errorf("the whole: %d %q %q", a.status, a.cache(), a.body)
	}
}

// The second part may begin where the first one ends, at either side of it, and nowhere else.
func TestPartsAreJoinedWhereTheyTouch(t *testing.T) {
	for _, c := range []struct{ first, second, both, body string }{
		{"4-6", "7-8", "4-8", "45678"},
		{"4-6", "2-3", "2-6", "23456"},
		{"4-6", "3-5", "3-6", "3456"},
		{"4-6", "3-8", "3-8", "345678"},
		{"4-6", "8-9", "4-9", ""},
		{"4-6", "1-2", "1-6", ""},
	} {
		t.Run(c.first+" and "+c.second, func(t *testing.T) {
			b := backendThat(t, partly("0123456789", `ETag: "a"`))
			s := start(t, b, items)
			s.get("/items/1", "Range: bytes="+c.first)
			if a := s.get("/items/1", "Range: bytes=5-6"); a.body != "56" ||
				!strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("in the middle of the first: %q %q", a.body, a.cache())
			}
			s.get("/items/1", "Range: bytes="+c.second)
			if a := s.get("/items/1", "Range: bytes="+c.second); a.status != 206 ||
				!strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("the second: %d %q", a.status, a.cache())
			}
			a := s.get("/items/1", "Range: bytes="+c.both)
			if hit := strings.HasPrefix(a.cache(), "hit"); hit != (c.body != "") ||
				hit && a.body != c.body {
				t.Errorf("both: %q %q", a.body, a.cache())
			}
		})
	}
}

func TestPartsThatDoNotBelongTogetherAreNotJoined(t *testing.T) {
	etag := `"a"`
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		partly("0123456789", "ETag: "+etag, "Content-Type: text/plain")(w, r, n)
	})
	s := start(t, b, items)
	for _, path := range []string{"/items/gap", "/items/other"} {
		etag = `"a"`
		s.get(path, "Range: bytes=0-3")
		second := "Range: bytes=4-9"
		if path == "/items/gap" {
			second = "Range: bytes=6-9"
		} else {
			etag = `"b"`
		}
		s.get(path, second)
		if a := s.get(path, second); !strings.HasPrefix(a.cache(), "hit") ||
			!strings.HasSuffix("0123456789", a.body) || len(a.body) < 4 {
			t.Errorf("%s: the second part is not stored by itself: %q %q", path, a.cache(), a.body)
		}
		b.new()
		if a := s.get(path); strings.HasPrefix(a.cache(), "hit") || a.body != "0123456789" ||
			b.new() != "GET "+path {
			t.Errorf("%s: %q %q", path, a.cache(), a.body)
		}
	}
}

// A request for a part that is stored by nobody does not fetch the whole.
func TestARangeOfAMissGoesToTheBackendAsItCame(t *testing.T) {
	b := backendThat(t, partly("0123456789", `ETag: "a"`))
	s := start(t, b, items)
	if a := s.get("/items/1", "Range: bytes=-2",
		`If-Range: "a"`); a.status != http.StatusPartialContent || a.body != "89" {
		t.Errorf("%d %q", a.status, a.body)
	}
	if got := b.new(); got != "GET /items/1 bytes=-2" {
		t.Errorf("the backend was asked %q", got)
	}
	if a := s.get("/items/2",
		"Range: bytes=20-"); a.status != http.StatusRequestedRangeNotSatisfiable ||
		a.cache() != "fwd=uri-miss; detail=status" {
		t.Errorf("a range that is not there: %d %q", a.status, a.cache())
	}
}
