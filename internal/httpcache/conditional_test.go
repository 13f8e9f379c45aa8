package httpcache_test

import (
	"testing"
	"time"

	"sidecar/internal/httpcache"
)

func TestConditional(t *testing.T) { // RFC 9110 §13.1.2, §13.1.3, §13.2.2; RFC 9111 §4.3.2
	modified := "Last-Modified: " + ago(time.Hour)
	for _, tt := range []struct {
		rule    string
		request []string
		stored  []string
		want    bool
	}{
		{"no condition", nil, []string{`ETag: "a"`, modified}, false},
		{"If-None-Match: the tag", []string{`If-None-Match: "a"`}, []string{`ETag: "a"`}, true},
		{"another", []string{`If-None-Match: "b"`}, []string{`ETag: "a"`}, false},
		{"one of a list", []string{`If-None-Match: "b", "a"`}, []string{`ETag: "a"`}, true},
		{"one of several lines", []string{`If-None-Match: "b"`, `If-None-Match: "a"`},
			[]string{`ETag: "a"`}, true},
		{"compared weakly: weak stored", []string{`If-None-Match: "a"`},
			[]string{`ETag: W/"a"`}, true},
		{"compared weakly: weak asked", []string{`If-None-Match: W/"a"`},
			[]string{`ETag: "a"`}, true},
		{"a tag may have a comma", []string{`If-None-Match: "b,c"`}, []string{`ETag: "b,c"`}, true},
		{"and is not split there", []string{`If-None-Match: "x,"`}, []string{`ETag: "x"`}, false},
		{"a star matches whatever there is", []string{"If-None-Match: *"}, nil, true},
		{"nothing matches where no tag is stored", []string{`If-None-Match: "a"`}, nil, false},
		{"nor where two are", []string{`If-None-Match: "a"`},
			[]string{`ETag: "a"`, `ETag: "a"`}, false},
		{"nor where it is none", []string{"If-None-Match: a"}, []string{"ETag: a"}, false},
		{"a list with a bad member matches nothing", []string{`If-None-Match: "a", b`},
			[]string{`ETag: "a"`}, false},

		{"If-Modified-Since: later", []string{"If-Modified-Since: " + ago(time.Minute)},
			[]string{modified}, true},
		{"the same", []string{"If-Modified-Since: " + ago(time.Hour)}, []string{modified}, true},
		{"earlier", []string{"If-Modified-Since: " + ago(time.Hour+time.Second)},
			[]string{modified}, false},
		{"in an obsolete form", []string{"If-Modified-Since: Wed Jul  1 11:00:00 2026"},
			[]string{modified}, true},
		{"no date", []string{"If-Modified-Since: later"}, []string{modified}, false},
		{"twice", []string{"If-Modified-Since: " + ago(0), "If-Modified-Since: " + ago(0)},
			[]string{modified}, false},
		{"Date does not stand in for Last-Modified",
			[]string{"If-Modified-Since: " + ahead(time.Hour)}, []string{date}, false},
		{"If-None-Match decides alone: it fails",
			[]string{`If-None-Match: "b"`, "If-Modified-Since: " + ago(0)},
			[]string{`ETag: "a"`, modified}, false},
		{"If-None-Match decides alone: it holds",
			[]string{`If-None-Match: "a"`, "If-Modified-Since: " + ago(2*time.Hour)},
			[]string{`ETag: "a"`, modified}, true},
		{"so where it cannot be read", []string{"If-None-Match: a", "If-Modified-Since: " + ago(0)},
			[]string{modified}, false},
		{"and where it is empty", []string{"If-None-Match: ", "If-Modified-Since: " + ago(0)},
			[]string{modified}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := httpcache.Stored{Status: 200, Fields: fields(tt.stored...), ResponseTime: now}
			req := get(tt.request...)
			if got := httpcache.Conditional(req, s); got != tt.want {
				t.Errorf("GET: %v", got)
			}
			req.Method = "HEAD"
			if got := httpcache.Conditional(req, s); got != tt.want {
				t.Errorf("HEAD: %v", got)
			}
			req.Method = "POST"
			if httpcache.Conditional(req, s) {
				t.Error("POST: not modified")
			}
			req.Method, s.Status = "GET", 404
			if httpcache.Conditional(req, s) {
				t.Error("404: not modified") // RFC 9110 §13.2.1
			}
		})
	}
}
