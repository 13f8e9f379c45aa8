package httpcache_test

import (
	"net/http"
	"reflect"
	"testing"

	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
)

func TestReplies(t *testing.T) { // RFC 9110 §9.3.2, §13.2.2, §14.2, §15.3.7, §15.4.5, §15.5.17
	stored := httpcache.Stored{
		Status: 200, ResponseTime: now, Lifetime: 60e9, Size: 10,
		Fields: fields(`ETag: "a"`, "Content-Type: text/plain", "Content-Digest: x",
			"Content-Location: /b"),
	}
	for _, tt := range []struct {
		rule    string
		method  string
		request []string
		status  int
		content bool
		head    []string // besides ETag
	}{
		{"the whole", "GET", nil, 200, true,
			[]string{"Content-Type: text/plain", "Content-Digest: x", "Content-Location: /b",
				"Content-Length: 10"}},
		{"a HEAD has the same fields", "HEAD", nil, 200, false,
			[]string{"Content-Type: text/plain", "Content-Digest: x", "Content-Location: /b",
				"Content-Length: 10"}},
		{"a condition that holds", "GET", []string{`If-None-Match: "a"`}, 304, false,
			[]string{"Content-Location: /b"}},
		{"comes before the range", "GET",
			[]string{`If-None-Match: "a"`, "Range: bytes=0-1"}, 304, false,
			[]string{"Content-Location: /b"}},
		{"one part", "GET", []string{"Range: bytes=2-4"}, 206, true,
			[]string{"Content-Type: text/plain", "Content-Location: /b",
				"Content-Range: bytes 2-4/10", "Content-Length: 3"}},
		{"several parts", "GET", []string{"Range: bytes=0-0, 9-"}, 206, true,
			[]string{"Content-Type: multipart/byteranges; boundary=B", "Content-Location: /b",
				"Content-Length: 137"}},
		{"no part of it", "GET", []string{"Range: bytes=10-"}, 416, false,
			[]string{"Content-Location: /b", "Content-Range: bytes */10", "Content-Length: 0"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			req := get(tt.request...)
			req.Method = tt.method
			d := httpcache.Evaluate(private, read(private, req), stored, now)
			if !d.Serve || !d.Fits || d.Reply.Status != tt.status || d.Reply.Content != tt.content {
				t.Errorf("%+v", d)
			}
			h := http.Header(fields(`ETag: "a"`, "Content-Type: text/plain", "Content-Digest: x",
				"Content-Location: /b"))
			d.Reply.WriteHead(h, "B")
			if want := http.Header(fields(append(tt.head, `ETag: "a"`)...)); !reflect.DeepEqual(h,
				want) {
				t.Errorf("%v; want %v", h, want)
			}
		})
	}
}

func TestACookieThatOnlyTheBackendSetsIsMissed(t *testing.T) {
	stored := httpcache.Stored{
		Status: 200, Fields: fields(), ResponseTime: now, Lifetime: 60e9, Cookies: []string{"csrf"},
	}
	rules := httpcache.Rules{
		StaleWhileRevalidate: 60e9, StaleIfError: 60e9, StaleIfUnreachable: 60e9,
	}
	if d := httpcache.Evaluate(rules, read(rules, get("Cookie: csrf=1")), stored, now); !d.Serve ||
		!d.Fits {
		t.Errorf("with the cookie: %+v", d)
	}
	if d := httpcache.Evaluate(rules, read(rules, get()), stored, now); d.Serve || d.Fits ||
		d.Why != reason.Miss {
		t.Errorf("without it: %+v", d)
	}
	stale := now.Add(90e9)
	d := httpcache.Evaluate(rules, read(rules, get()), stored, stale)
	if d.Serve || d.Refresh || d.IfError || d.IfUnreachable {
		t.Errorf("stale and without it: %+v", d)
	}
	d = httpcache.Evaluate(httpcache.Rules{}, read(rules, get()), stored, stale)
	if d.Why != reason.Stale {
		t.Errorf("its own reason has become %q", d.Why)
	}
}
