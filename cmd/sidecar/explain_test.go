package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"sidecar/internal/reason"
	"sidecar/policy"
	"sidecar/proxy"
	"sidecar/test/proc"
)

const explainedPolicies = `
version: 1
caller: {credentials: ["header:Authorization", "cookie:session", "query:token"]}
routes:
  - name: item
    match: GET /items/{id}
    cache: {scope: shared, ttl: 1h, authorized: public, tags: ["item:{id}"], verify: {share: 1%}}
  - name: listed
    match: GET /listed
    cache: {scope: shared, ttl: 1h, query: [page], vary: [Accept-Language, Authorization]}
  - {name: paged, match: "GET /paged", cache: {scope: shared, ttl: 1h, tags: ["page:{query.page}"]}}
  - {name: mine, match: "GET /mine", cache: {scope: private, ttl: 1h, tags: ["h:{header.X-Trace}"]}}
  - {name: refused, match: "GET /refused", cache: {scope: shared, ttl: 1h}}
  - {name: silent, match: "GET /silent", cache: {scope: shared}}
  - {name: put_item, match: "PUT /items/{id}", invalidate: ["item:{id}", "by:{response.body.id}"]}
  - name: craft
    match: POST /craft/{id}
    job: {mode: always, max_body: 64}
    invalidate: ["item:{request.body.items}"]
  - {name: secret, match: "GET /internal/{rest...}", deny: true}
`

// explained asks the command, and returns its JSON.
func explained(t *testing.T, env []string, args ...string) policy.Explanation {
	t.Helper()
	got := runArgs(t, env, append([]string{"explain", "--format", "json"}, args...)...)
	var e policy.Explanation
	if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || got.status != exitDone {
		t.Fatalf("%s: %v: %+v", args, err, got)
	}
	return e
}

// A running sidecar treats a request as explain says.
func TestExplainSaysWhatTheSidecarDoes(t *testing.T) {
	t.Parallel()
	file := written(t, "policies.yaml", explainedPolicies)
	env := []string{"POLICIES_FILE=" + file}
	s := embed(t, env...)
	for _, c := range []struct {
		request string
		fields  []string
		body    string
		does    string
		why     string
	}{
		{request: "GET /items/1", does: "cache"},
		{request: "HEAD /items/1", does: "cache"},
		{request: "GET /items/2", fields: []string{"Authorization: Bearer abcdefgh"},
			does: "cache"},
		{request: "GET /mine", fields: []string{"X-Trace: a"}, does: "cache"},
		{request: "GET /mine", does: "bypass", why: "template-unfilled"},
		{request: "GET /listed?page=2", does: "cache"},
		{request: "GET /listed?size=2", does: "bypass", why: "query-not-listed"},
		{request: "GET /paged", does: "bypass", why: "template-unfilled"},
		{request: "GET /elsewhere", does: "bypass", why: "no-route"},
		{request: "GET /items/./1", does: "bypass", why: "no-route"},
		{request: "GET /items/1%2e", does: "bypass", why: "bad-target"},
		{request: "OPTIONS /items/1", does: "bypass"},
		{request: "GET /items/1", fields: []string{"X-Api-Key: 1"}, does: "bypass",
			why: "undeclared-credential"},
		{request: "GET /items/1", fields: []string{"Cookie: session=1, b=2"}, does: "bypass",
			why: "unclear-credential"},
		{request: "GET /items/1", fields: []string{"If-Match: \"a\""}, does: "bypass",
			why: "precondition"},
		{request: "GET /items/1", fields: []string{"X-Original-URL: /b"}, does: "bypass",
			why: "other-target"},
		{request: "GET /items/1", fields: []string{"Cache-Control: no-store"}, does: "bypass",
			why: "request-no-store"},
		{request: "GET /items/1", body: "x", does: "write", why: "request-body"},
		{request: "GET /items/1?_method=PUT", does: "write", why: "method-override"},
		{request: "PUT /items/1", body: "{}", does: "write"},
		{request: "PATCH /elsewhere", body: "{}", does: "write"},
		{request: "POST /craft/1", body: `{"items": [1]}`, does: "job"},
		{request: "POST /craft/1", body: strings.Repeat("x", 65), does: "write",
			why: "job-body-too-large"},
		{request: "GET /internal/a", does: "deny"},
		{request: "GET /internal", does: "deny"},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		args := []string{method, target}
		for _, f := range c.fields {
			args = append(args, "-H", f)
		}
		if c.body != "" {
			args = append(args, "-d", c.body, "-H", "Content-Type: application/json")
		}
		e := explained(t, env, args...)
		why := ""
		if e.Reason != nil {
			why = string(e.Reason.Reason)
		}
		if e.Does != c.does || c.why != "" && why != c.why {
			t.Errorf("%s %s: explained as %s, %s; want %s, %s",
				c.request, c.fields, e.Does, why, c.does, c.why)
		}
		status, cache := s.doOnTime(method, target, c.body, c.fields)
		if !agrees(e.Does, why, status, cache) {
			t.Errorf("%s %s: explained as %s, %s, and answered %d with %s",
				c.request, c.fields, e.Does, why, status, cache)
		}
	}
}

// With --live the sidecar itself explains, with its own secrets, and says what it has stored.
func TestARunningSidecarExplainsAndSaysWhatItHasStored(t *testing.T) {
	t.Parallel()
	s := embed(t)
	env := []string{"ADMIN_TOKEN=admin-secret"}
	live := func(args ...string) proxy.Live {
		t.Helper()
		args = append([]string{"explain", "--live", "--ops", s.ops, "--format", "json"}, args...)
		got := runArgs(t, env, args...)
		var e proxy.Live
		if err := json.Unmarshal([]byte(got.stdout), &e); err != nil || got.status != exitDone {
			t.Fatalf("%s: %v: %+v", args, err, got)
		}
		return e
	}
	stored := func(want string, why reason.Reason) {
		t.Helper()
		e := live("GET", s.data+"/items/7")
		if e.Stored == nil || e.Stored.State != want || (why == "") != (e.Stored.Why == nil) ||
			why != "" && e.Stored.Why.Reason != why {
			t.Errorf("stored: %+v, %+v, want %s, %s", e.Stored, e.Stored.Why, want, why)
		}
	}
	stored("none", reason.Miss)
	body := s.awaitHit("/items/7")
	stored("fresh", "")
	if e := live("GET", s.data+"/items/7"); e.Stored.Status != http.StatusOK ||
		e.Stored.In != reason.InRedis ||
		e.Stored.Bytes != int64(len(body)) || e.Read == nil || e.Route.Name != "get_items_id" {
		t.Errorf("%+v of %q", e.Stored, body)
	}
	s.ask("PUT", s.data+"/items/7", "x")
	stored("invalidated", reason.Invalidated)
	if e := live("PUT", "/items/7", "-d", "x"); e.Does != "write" || e.Stored != nil {
		t.Errorf("%+v, %+v", e.Explanation, e.Stored)
	}
	text := runArgs(t, env, "explain", "--live", "--ops", s.ops, "GET", "/items/8").stdout
	if !strings.Contains(text, "stored      nothing\n") ||
		!strings.Contains(text, "has the authority localhost") {
		t.Errorf("as text:\n%s", text)
	}
	if got := runArgs(t, nil, "explain", "--live", "--ops", s.ops, "GET",
		"/items/8"); got.status != exitUsage ||
		!strings.Contains(got.stderr, "ADMIN_TOKEN is not set") {
		t.Errorf("without the token: %+v", got)
	}
}

// doOnTime sends a request until Redis has answered it in time: an explanation does not know that.
func (e *embedded) doOnTime(method, target, body string,
	fields []string) (status int, cache string) {
	e.t.Helper()
	proc.Await(e.t, 20*time.Second, func() error {
		status, cache = e.do(method, target, body, fields)
		for _, late := range []reason.Reason{
			reason.JobStoreAway, reason.RedisTimeout, reason.BreakerOpen,
		} {
			if strings.HasSuffix(cache, "detail="+string(late)) {
				return errors.New(cache)
			}
		}
		return nil
	})
	return status, cache
}

// do sends a request with its target as it stands.
func (e *embedded) do(method, target, body string, fields []string) (status int, cache string) {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.data, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + target
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Cache-Status")
}

// agrees compares an explanation with an answer.
func agrees(does, why string, status int, cache string) bool {
	detail := why == "" || strings.HasSuffix(cache, "detail="+why) ||
		why == "method" && strings.Contains(cache, "fwd=method")
	switch does {
	case "cache":
		return strings.Contains(cache, "hit") || strings.Contains(cache, "fwd=uri-miss") ||
			strings.Contains(cache, "fwd=miss")
	case "bypass":
		return detail && (strings.Contains(cache, "fwd=bypass") || why == "method")
	case "write":
		return detail && strings.Contains(cache, "fwd=") && !strings.Contains(cache, "fwd=uri-miss")
	case "job":
		return status == http.StatusAccepted
	case "deny":
		return status == http.StatusNotFound
	}
	return false
}

func TestWhatExplainSays(t *testing.T) {
	env := []string{
		"POLICIES_FILE=" + written(t, "policies.yaml", explainedPolicies),
		"TRUSTED_PROXIES=loopback",
	}
	for _, c := range []struct {
		name string
		args []string
		says []string // each of them a line, or the begin of one
	}{
		{"a read", []string{"GET", "https://shop.example/items/7"}, []string{
			"route item: GET /items/{id} (cache,", "scope shared", "authority shop.example",
			"X-Forwarded-Proto https", "path /items/7", "tags item:7",
			"lifetime 1h0m0s where the response states none",
			"verified 1% of the hits are compared",
			"dropped by put_item: PUT /items/{id}", "item:{id}", "craft: POST /craft/{id}",
			"item:{request.body.items}",
			"any other unsafe request"}},
		{"a lifetime that only the response gives", []string{"GET", "/silent"},
			[]string{"lifetime a 200 that says nothing of it is not stored", "no-lifetime:"}},
		{"credentials on a shared route",
			[]string{"GET", "/refused", "-H", "Authorization: Bearer abcdefgh"},
			[]string{"lifetime a 200 that says nothing of it is not stored", "authorization:"}},
		{"a private entry without a token",
			[]string{"GET", "/mine", "-H", "X-Trace: a", "-H", "Authorization: Bearer abcdefgh"},
			[]string{"caller {caller}, by credentials that the sidecar cannot verify",
				"lifetime 5m0s", "not used after 20"}},
		{"a client that reloads", []string{"GET", "/items/7", "-H", "Cache-Control: no-cache"},
			[]string{"but a fresh stored response is not served to this request",
				"request-no-cache:"}},
		{"a value that is missing", []string{"GET", "/paged"},
			[]string{"because template-unfilled:", "the template is page:{query.page}"}},
		{"a name that is misspelt", []string{"GET", "/item/7"},
			[]string{"route none matches", "not by item:", `its segment 1 is "items", not "item"`}},
		{"another method", []string{"DELETE", "/items/7"},
			[]string{"route none matches", "invalidates /items/7", "it is for PUT"}},
		{"a write", []string{"PUT", "/items/7"},
			[]string{"invalidates item:7", "by:*", "entries of item"}},
		{"a job", []string{"POST", "/craft/7", "-d", `{"items": [1, 2]}`}, []string{
			"result answered 202", "job queue default, at most 3 retries",
			"invalidates item:1, item:2", "note the body is taken for application/json"}},
		{"a method in small letters", []string{"get", "/items/7"},
			[]string{"note methods are told apart by case: did you mean GET?"}},
		{"a path of the sidecar", []string{"GET", "/_jobs/1"},
			[]string{"note paths below /_jobs are the sidecar's own"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runArgs(t, env, append([]string{"explain"}, c.args...)...)
			said := " " + strings.Join(strings.Fields(got.stdout), " ")
			for _, says := range c.says {
				if !strings.Contains(said, " "+says) {
					t.Errorf("it does not say %q", says)
				}
			}
			if t.Failed() {
				t.Log(got.stdout, got.stderr)
			}
		})
	}
}

func TestExplainNeedsARequest(t *testing.T) {
	good := written(t, "good.yaml", goodPolicies)
	env := []string{"POLICIES_FILE=" + good, "REDIS_WHATEVER=1"}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"GET"}, exitUsage, "name a method and a URL"},
		{[]string{"GET", "/a", "/b"}, exitUsage, "name a method and a URL"},
		{[]string{"G T", "/a"}, exitUsage, "is no method"},
		{[]string{"GET", "a"}, exitUsage, "is no URL"},
		{[]string{"GET", "/a b"}, exitUsage, "is no URL"},
		{[]string{"GET", "ftp://a/b"}, exitUsage, "is no URL"},
		{[]string{"GET", "http:///b"}, exitUsage, "is no URL"},
		{[]string{"GET", "http://u:tiger@a/b"}, exitUsage, "credentials by -H"},
		{[]string{"GET", "/a%zz"}, exitUsage, "no server takes this request"},
		{[]string{"GET", "/a", "-H", "tiger"}, exitUsage, "-H 'Name: value'"},
		{[]string{"GET", "/a", "-H", "A b: c"}, exitUsage, "-H 'Name: value'"},
		{[]string{"GET", "/a", "-H", "A: b\r\nC: tiger"}, exitUsage, "control character"},
		{[]string{"POST", "/a", "-H", "Content-Length: 3"}, exitUsage, "follows from -d"},
		{[]string{"POST", "/a", "-d", "@" + good + ".none"}, exitUsage, "no such file"},
		{[]string{"CONNECT", "/a"}, exitUsage, "400"},
		{[]string{"GET", "/a", "--format", "xml"}, exitUsage, "text or json"},
		{[]string{"GET", "/a", "--policies", good + ".none"}, exitUsage, "no such file"},
		{[]string{"GET", "/a", "--policies", written(t, "bad.yaml", badPolicies)},
			exitUsage, ":4:5"},
		{[]string{"GET", "/a", "--polices", good}, exitUsage, "did you mean --policies?"},
		{[]string{"GET", "/a"}, exitDone, ""},
	} {
		got := runArgs(t, env, append([]string{"explain"}, c.args...)...)
		if got.status != c.status || !strings.Contains(got.stderr, c.says) ||
			c.status != exitDone && got.stdout != "" {
			t.Errorf("%s: %+v, want status %d and %q", c.args, got, c.status, c.says)
		}
		if strings.Contains(got.stderr, "tiger") {
			t.Errorf("%s: the fault repeats a secret: %s", c.args, got.stderr)
		}
	}
}

func TestNoCredentialReachesAnExplanation(t *testing.T) {
	const policies = `
version: 1
caller: {credentials: ["header:Authorization", "cookie:session", "query:token"]}
routes:
  - name: all
    match: GET /a
    cache:
      scope: private
      ttl: 1h
      vary: [Authorization, Cookie, X-Api-Key]
      tags: ["t:{query.token}", "c:{caller}", "h:{header.Authorization}"]
  - {match: POST /a, invalidate: ["t:{query.token}", "c:{caller}", "h:{header.Authorization}"]}
`
	env := []string{
		"POLICIES_FILE=" + written(t, "policies.yaml", policies), "KEY_SECRET=tiger-secret",
	}
	secrets := []string{"tiger", "lion-king", "zebra", "%74iger"}
	for _, format := range []string{"text", "json"} {
		for _, method := range []string{"GET", "POST"} {
			got := runArgs(t, env, "explain", "--format", format, method,
				"/a?page=1&token=%74iger-cub",
				"-H", "Authorization: Bearer tiger-tiger", "-H",
				"Cookie: session=lion-king; theme=zebra-stripes")
			if got.status != exitDone || !strings.Contains(got.stdout, "{secret}") {
				t.Fatalf("%+v", got)
			}
			for _, s := range secrets {
				if strings.Contains(got.stdout+got.stderr, s) {
					t.Errorf("%s, %s: %s is in\n%s", format, method, s, got.stdout)
				}
			}
			digests := regexp.MustCompile("[0-9a-f]{32}").FindAllString(got.stdout, -1)
			if ofPolicy := map[string]int{"GET": 1}[method]; len(digests) != ofPolicy {
				t.Errorf("%s: the digests %s", method, digests)
			}
		}
	}
}
