package httpcache_test

import (
	"net/http"
	"strings"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

// now is when every response of the tables came; date is its Date.
var (
	now  = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	date = "Date: " + httpfield.FormatDate(now)
)

var (
	private = httpcache.Rules{}
	shared  = httpcache.Rules{Shared: true}
)

// fields reads "Name: value" lines.
func fields(lines ...string) httpfield.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimPrefix(value, " "))
	}
	return httpfield.Header(h)
}

// get is a GET with these field lines.
func get(lines ...string) httpfield.Request {
	return httpfield.Request{
		Method: http.MethodGet, Authority: "api.example", Path: "/a/b", Fields: fields(lines...),
	}
}

// response is a response that took no time and came now.
func response(status int, lines ...string) httpcache.Response {
	return httpcache.Response{
		Status: status, Fields: fields(lines...), RequestTime: now, ResponseTime: now,
	}
}

// ago and ahead are dates as fields have them.
func ago(d time.Duration) string   { return httpfield.FormatDate(now.Add(-d)) }
func ahead(d time.Duration) string { return httpfield.FormatDate(now.Add(d)) }

func read(r httpcache.Rules, req httpfield.Request) *httpcache.Demand {
	d := httpcache.Read(r, req)
	return &d
}

// evaluate is Evaluate for age alone.
func evaluate(r httpcache.Rules, req httpfield.Request, s httpcache.Stored,
	now time.Time) httpcache.Reuse {
	return httpcache.Evaluate(r, read(r, req), s, now).Reuse
}

func store(r httpcache.Rules, req httpfield.Request, who httpcache.Requester,
	resp httpcache.Response) httpcache.Storing {
	return httpcache.Store(r, read(r, req), who, resp)
}

func fits(req httpfield.Request, s httpcache.Stored) bool {
	return httpcache.Evaluate(private, read(private, req), s, now).Fits
}
