package proxy_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/policy"
)

// decided is the outcome of plan and decision for a request and a stored response.
type decided struct {
	plan *policy.Plan
	httpcache.Decision
}

// oneOf draws a field line, or none.
func oneOf(t *rapid.T, label string, lines ...string) []string {
	if line := rapid.SampledFrom(append(lines, "", "")).Draw(t, label); line != "" {
		return []string{line}
	}
	return nil
}

func headerOf(lines []string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// The handler obeys the plan and httpcache.Evaluate, for every request and stored response.
func TestTheHandlerCarriesOutTheDecision(t *testing.T) {
	t.Parallel()
	const modified = "Mon, 01 Jan 2024 00:00:00 GMT"
	routes := "routes:\n" +
		"  - {match: \"GET /items/{id}\", cache: {scope: shared, set_cookie: {drop: [csrf]}}}\n"
	var next atomic.Pointer[func(http.ResponseWriter)]
	b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, _ int) { (*next.Load())(w) })
	s := start(t, b, routes)
	table, _, err := policy.Load([]byte("version: 1\n"+routes),
		policy.Options{Secret: func() []byte { return []byte("any") }})
	check(t, err)
	ids, outcomes := 0, map[string]int{}
	try := func(t *rapid.T) {
		body := rapid.SampledFrom([]string{"", "0123456789"}).Draw(t, "body")
		stored := slices.Concat(
			[]string{rapid.SampledFrom([]string{
				"Cache-Control: max-age=1000",
				"Cache-Control: max-age=1000, stale-while-revalidate=5000",
				"Cache-Control: no-cache",
			}).Draw(t, "lifetime")},
			oneOf(t, "age", "Age: 100", "Age: 2000"), oneOf(t, "etag", `Etag: "a"`, `Etag: W/"a"`),
			oneOf(t, "modified", "Last-Modified: "+modified),
			oneOf(t, "cookie", "Set-Cookie: csrf=1"),
		)
		status := rapid.SampledFrom([]int{200, 200, 200, 404}).Draw(t, "status")
		asked := slices.Concat(
			oneOf(t, "directives", "Cache-Control: max-age=500", "Cache-Control: max-age=50",
				"Cache-Control: min-fresh=950", "Cache-Control: no-cache",
				"Cache-Control: no-store", "Cache-Control: only-if-cached",
				"Cache-Control: max-stale=10", "Pragma: no-cache"),
			oneOf(t, "condition", `If-None-Match: "a"`, `If-None-Match: "b"`, "If-None-Match: *",
				"If-Modified-Since: "+modified, `If-Match: "a"`),
			oneOf(t, "range", "Range: bytes=2-4", "Range: bytes=0-1, 8-", "Range: bytes=20-",
				"Range: lines=1-2"),
			oneOf(t, "if-range", `If-Range: "a"`, `If-Range: "b"`),
			oneOf(t, "has cookie", "Cookie: csrf=1"),
		)
		method := rapid.SampledFrom([]string{"GET", "GET", "HEAD"}).Draw(t, "method")
		answer := func(w http.ResponseWriter) {
			maps.Copy(w.Header(), headerOf(append(stored, "Content-Type: text/plain")))
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
		next.Store(&answer)
		ids++
		path := fmt.Sprint("/items/", ids)
		first := s.get(path)
		if first.err != nil || first.status != status {
			t.Fatalf("the first answer: %d %v", first.status, first.err)
		}
		want := decide(table, method, path, asked, first)
		got := s.do(t.Context(), method, path, nil, asked...)
		outcomes[want.check(t, first, got)]++
	}
	rapid.Check(t, func(t *rapid.T) {
		for range 8 {
			try(t)
		}
	})
	if testing.Short() { // too few are drawn
		return
	}
	for _, outcome := range []string{"past the cache", "hit 200", "hit 304", "hit 206", "hit 416",
		"hit 404", "none stored", "miss"} {
		if outcomes[outcome] == 0 {
			t.Errorf("no case of %q: %v", outcome, outcomes)
		}
	}
}

// decide asks the plan and the decision. first is the answer that was stored, or not.
func decide(table *policy.Table, method, path string, asked []string, first answer) decided {
	view := func(method string, h http.Header) httpfield.Request {
		return httpfield.Request{Method: method, Authority: "api.example", Path: path,
			Fields: httpfield.Header(h)}
	}
	now := time.Now()
	filled := table.Plan(view(http.MethodGet, http.Header{}), now).Read
	fields := maps.Clone(first.fields)
	delete(fields, "Cache-Status")
	cookies := []string(nil)
	if fields.Get("Set-Cookie") != "" {
		cookies = []string{"csrf"}
		delete(fields, "Set-Cookie")
	}
	response := httpcache.Response{Status: first.status, Fields: httpfield.Header(fields),
		RequestTime: now, ResponseTime: now}
	storing := httpcache.Store(filled.Rules, &filled.Demand, filled.Requester, response)
	d := decided{plan: table.Plan(view(method, headerOf(asked)), now)}
	if storing.Store && d.plan.Kind == policy.Read {
		d.Decision = httpcache.Evaluate(filled.Rules, &d.plan.Read.Demand, httpcache.Stored{
			Status: first.status, Fields: httpfield.Header(fields), Size: int64(len(first.body)),
			Cookies:      cookies,
			ResponseTime: now, InitialAge: storing.InitialAge, Lifetime: storing.Lifetime,
		}, now)
	}
	return d
}

// check compares an answer with the decision, and says in a word which one it was.
func (d decided) check(t *rapid.T, first, got answer) (outcome string) {
	hit := strings.HasPrefix(got.cache(), "hit")
	switch {
	case got.err != nil:
		t.Fatalf("%v", got.err)
	case d.plan.Kind == policy.Pass:
		if hit || !strings.Contains(got.cache(), "fwd=bypass") &&
			!strings.Contains(got.cache(), "fwd=request") {
			t.Fatalf("want it past the cache for %s: %d %q", d.plan.Bypass, got.status, got.cache())
		}
		return "past the cache"
	case !d.Serve && d.plan.Read.Demand.OnlyIfCached:
		if got.status != http.StatusGatewayTimeout {
			t.Fatalf("want 504 for %s: %d %q", d.Why, got.status, got.cache())
		}
		return "none stored"
	case !d.Serve:
		if hit {
			t.Fatalf("want a miss for %q: %d %q", d.Why, got.status, got.cache())
		}
		return "miss"
	case !hit || got.status != d.Reply.Status:
		t.Fatalf("want a hit with %d: %d %q", d.Reply.Status, got.status, got.cache())
	}
	want := maps.Clone(first.fields)
	for _, name := range []string{"Cache-Status", "Age", "Content-Length"} {
		delete(want, name)
		if name != "Content-Length" {
			delete(got.fields, name)
		}
	}
	delete(want, "Set-Cookie")
	_, boundary, _ := strings.Cut(got.fields.Get("Content-Type"), "boundary=")
	d.Reply.WriteHead(want, boundary)
	if !maps.EqualFunc(want, got.fields, slices.Equal) {
		t.Fatalf("want %v, got %v", want, got.fields)
	}
	body := ""
	switch {
	case !d.Reply.Content:
	case len(d.Reply.Parts) == 1:
		body = first.body[d.Reply.Parts[0].First : d.Reply.Parts[0].Last+1]
	case len(d.Reply.Parts) > 1:
		body = got.body // multipart_test.go reads these
	default:
		body = first.body
	}
	if got.body != body {
		t.Fatalf("want %q, got %q", body, got.body)
	}
	return fmt.Sprint("hit ", got.status)
}
