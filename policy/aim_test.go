package policy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// spellings are ways to write /DIR/REST that some server takes for it.
func spellings(dir, rest string) []string {
	return []string{
		"/" + dir + "/" + rest,
		"/" + strings.ToUpper(dir) + "/" + rest,
		"/" + dir + ";a=b/" + rest,
		"/a/..;/" + dir + "/" + rest,
		"/%25" + hexOf(dir[0]) + dir[1:] + "/" + rest,
		"/%2525" + hexOf(dir[0]) + dir[1:] + "/" + rest,
		"/%" + hexOf(dir[0]) + dir[1:] + "/" + rest,
		"/%u00" + hexOf(dir[0]) + dir[1:] + "/" + rest,
		`/\` + dir + "/" + rest,
		`\` + dir + `\` + rest,
		"/" + dir + "%00/" + rest,
		"/" + dir + "./" + rest,
		"/" + dir + "%20/" + rest,
		"/" + dir + "%09/" + rest,
		"/ " + dir + "/" + rest,
		"//" + dir + "/" + rest,
		"//evil/" + dir + "/" + rest,
		"//evil:80/" + dir + "/" + rest,
		"///evil/" + dir + "/" + rest,
		"////evil/" + dir + "/" + rest,
		"/index.php/" + dir + "/" + rest,
		"/public/app.php/" + dir + "/" + rest,
		"/(S(abc))/" + dir + "/" + rest,
		"/x/..%e0%80%af" + dir + "/" + rest,
		"/" + dir + "/" + rest + ".x-messagepack",
		`/\evil/` + dir + "/" + rest,
		`\\evil\` + dir + `\` + rest,
		"/%2Fevil/" + dir + "/" + rest,
		"/%5Cevil/" + dir + "/" + rest,
		`/a\..\` + dir + "/" + rest,
		`/a\..\` + dir + "/..;/" + dir + "/" + rest,
		"/x/%2e%2e/" + dir + "/" + rest,
		"/x/%252e%252e/" + dir + "/" + rest,
		"/x/..%c0%af" + dir + "/" + rest,
		"/x/.%00./" + dir + "/" + rest,
		"/" + dir + "/" + rest + "/",
		"/" + dir + "/./" + rest,
		"/" + dir + "//" + rest,
		"/" + dir + "/" + rest + ".json",
		"/" + dir + "%2f" + rest,
		"/" + dir + "%252f" + rest,
		"/" + dir + "/" + rest + ";jsessionid=1",
		"/" + dir + "/" + rest + "%00.html",
	}
}

func hexOf(c byte) string {
	return string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15])
}

func TestADenyHoldsInEverySpelling(t *testing.T) {
	table := table(t, "", `{name: internal, match: "POST /internal/{rest...}", deny: true}`)
	for _, path := range spellings("internal", "x") {
		for _, method := range []string{"POST", "post", "Post"} {
			if p := table.Plan(request(method, path), now); p.Kind != Deny {
				t.Errorf("%s %q: kind %d", method, path, p.Kind)
			}
		}
		if p := table.Plan(request("DELETE", "/elsewhere", "X-Original-URL: "+path,
			"X-HTTP-Method-Override: POST"), now); p.Kind != Deny {
			t.Errorf("X-Original-URL: %q: kind %d", path, p.Kind)
		}
	}
}

// A server that does not tell /internal from /internal/ would show the denied pages under it.
func TestADenyForEverythingBelowIsOneForTheDirectory(t *testing.T) {
	table := table(t, "", `{match: "/internal/{rest...}", deny: true}`,
		`{match: "/admin/", deny: true}`,
		`{match: "POST /admin", invalidate: ["a"]}`, `{match: "/d/{name}", deny: true}`)
	for target, denied := range map[string]bool{
		"/internal": true, "/INTERNAL": true, "/internal/": true, "/intern": false, "/": false,
		"/d": false, "/admin": false,
	} {
		if got := table.Plan(request("POST", target), now).Kind == Deny; got != denied {
			t.Errorf("POST %s: denied %t", target, got)
		}
	}
	if table.Plan(request("GET", "/admin"), now).Kind != Deny {
		t.Error("GET /admin passes")
	}
}

func TestAGETThatIsAWriteInAnotherSpellingInvalidates(t *testing.T) {
	table := table(t, "", `{match: "GET /c/{id}/bump", invalidate: ["c:{id}"]}`,
		`{match: "GET /files/{rest...}", cache: {scope: shared}}`)
	for _, path := range []string{
		"/c/5/bump", "/c/5/bump/", "/C/5/Bump", "/c//5/bump", "//x/c/5/bump",
		"/files/..%2fc/5/bump",
	} {
		if p := table.Plan(request("GET", path), now); p.Kind != Write {
			t.Errorf("GET %s: kind %d", path, p.Kind)
		} else if got := texts(done(p)); !slices.Contains(got, "c:5") {
			t.Errorf("GET %s: %q", path, got)
		}
	}
	if p := table.Plan(request("GET", "/other"), now); p.Kind != Pass ||
		p.Bypass != reason.NoRoute {
		t.Errorf("GET /other: kind %d, %s", p.Kind, p.Bypass)
	}
}

func TestAWriteInEverySpellingInvalidates(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /things/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /things/{id}", invalidate: ["c:{id}"]}`)
	read := table.Plan(request("GET", "/things/7"), now)
	own := read.Read.Carried[len(read.Read.Carried)-1]
	for _, path := range spellings("things", "7") {
		for _, method := range []string{"PUT", "put"} {
			tags := done(table.Plan(request(method, path), now))
			if got := texts(tags); !slices.Contains(got, "c:7") && !slices.Contains(got, "c:*") {
				t.Errorf("%s %q: %q", method, path, got)
			}
			if !slices.Contains(tags, own) {
				t.Errorf("%s %q: the own URI is not among %q", method, path, texts(tags))
			}
		}
	}
}

// Some server may take an entry of a shared catch-all for another's own data.
func TestAReadInAnotherSpellingIsNotStored(t *testing.T) {
	table := table(t, "",
		`{name: all, match: "GET /{rest...}", cache: {scope: shared, authorized: public, tags: ["all"]}}`,
		`{name: me, match: "GET /users/me", cache: {scope: private}}`)
	for _, path := range append(spellings("users", "me"), `/assets/..\users\me`, "//x/users/me") {
		p := table.Plan(request("GET", path), now)
		if p.Kind == Read && p.Route != "me" {
			t.Errorf("%q is stored for %q", path, p.Route)
		}
	}
	for _, path := range []string{"/users/you", "/a/b.html", "/a/", "/A/B", "/a%20b/c", "/%C3%A9"} {
		if p := table.Plan(request("GET", path), now); p.Kind != Read || p.Route != "all" {
			t.Errorf("%q: kind %d, %s", path, p.Kind, p.Bypass)
		}
	}
}

func TestMethodOverrides(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id}"]}`)
	for _, c := range []struct {
		target string
		fields []string
	}{
		{"/c/1", []string{"X_HTTP_Method_Override: PUT"}},
		{"/c/1", []string{"X-HTTP-METHOD: put"}},
		{"/c/1", []string{"X-HTTP-Method-Override: DELETE, PUT"}},
		{"/c/1?_method=PUT", nil},
		{"/c/1?_METHOD=put", nil},
		{"/c/1?%5Fmethod=P%55T", nil},
		{"/c/1?%20_method=PUT", nil},
		{"/c/1?.method=PUT", nil},
		{"/c/1?_method%00x=PUT", nil},
		{"/c/1?x-http-method-override=PUT", nil},
		{"/c/1?$method=PUT", nil},
		{"/c/1?a=1;_method=PUT", nil},
	} {
		for _, method := range []string{"GET", "POST", "HEAD", "get", "OPTIONS"} {
			p := table.Plan(request(method, c.target, c.fields...), now)
			if p.Kind != Write {
				t.Errorf("%s %s %q: kind %d", method, c.target, c.fields, p.Kind)
			} else if got := texts(done(p)); !slices.Contains(got, "c:1") {
				t.Errorf("%s %s %q: %q", method, c.target, c.fields, got)
			}
		}
	}
	if p := table.Plan(request("GET", "/c/1?method=PUT"), now); p.Kind != Read {
		t.Errorf("a parameter named method: kind %d", p.Kind)
	}
}

func TestSafeMethodsInvalidateNothing(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "/c/{id}", invalidate: ["c:{id}"]}`)
	for _, method := range []string{
		"PROPFIND", "REPORT", "SEARCH", "QUERY", "OPTIONS", "TRACE", "PRI", "query", "get", "Head",
	} {
		req := request(method, "/c/1")
		req.HasBody = !isRead(strings.ToUpper(method))
		if p := table.Plan(req, now); p.Kind != Pass || p.Bypass != reason.Method {
			t.Errorf("%s: kind %d, bypass %q", method, p.Kind, p.Bypass)
		}
	}
	for _, method := range []string{"POST", "BREW", "patch", "PROPPATCH", "*"} {
		if p := table.Plan(request(method, "/c/1"), now); p.Kind != Write {
			t.Errorf("%s: kind %d", method, p.Kind)
		}
	}
}

// MOVE and COPY change their Destination (RFC 4918 §9.8, §9.9).
// Ordinary clients keep their hits.
func TestOrdinaryReadsAreReads(t *testing.T) {
	table := table(t, "",
		`{match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}", "e:{query.expand?}"]}}`,
		`{match: "PUT /c/{id}", invalidate: ["c:{id}"]}`, `{match: "/internal/", deny: true}`)
	for _, id := range []string{
		"5", "john.smith@example.com", "2024-01-01", "2024-01-02-03-04", anID,
		"507f1f77bcf86cd799439011", "5-name", "a+b", "~x",
		"a%20b", "%C3%BC", "ü", "C%23", "what%3F", "a,b", "it's", "a(b)", "(a)", "a:b", "@me",
		"50%25", "a%26b", "Foo", "v1.2.3",
		"x.tar.gz", "%F0%9F%98%80", "a=b", "$5", "!x", "index.php",
	} {
		if p := table.Plan(request("GET", "/c/"+id), now); p.Kind != Read {
			t.Errorf("GET /c/%s: kind %d, %s", id, p.Kind, p.Bypass)
		}
	}
	for _, query := range []string{
		"page=2&limit=10", "filter[name]=x", "filter%5Bname%5D=x&sort=-a", "q=a+b", "method=card",
		"q", "", "ids[]=1&ids[]=2",
		"utm_source=x", "redirect=https%3A%2F%2Fx%2F%3Fa%3Db", "expand=a", "email=a%40b.example",
		"t=2024-01-01T00:00:00Z",
	} {
		if p := table.Plan(request("GET", "/c/5?"+query), now); p.Kind != Read {
			t.Errorf("GET /c/5?%s: kind %d, %s", query, p.Kind, p.Bypass)
		}
	}
}

func TestAnOverridingMethodHasADestinationToo(t *testing.T) {
	table := table(t, "", `{match: "PUT /c/{id}", invalidate: ["c:{id}"]}`)
	p := table.Plan(request("GET", "/c/9", "X-HTTP-Method-Override: MOVE", "Destination: /c/5"),
		now)
	wantTags(t, "a GET that is a MOVE", done(p), "/c/9", "/c/5", "c:5")
}

func TestADestinationIsASecondTarget(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: move, match: ["MOVE /c/{id}", "COPY /c/{id}"], invalidate: ["c:{id}"]}`,
		`{name: d, match: "PUT /d/{id}", invalidate: ["d:{id}"]}`,
		`{name: internal, match: "PUT /internal/{rest...}", deny: true}`,
	)
	for destination, want := range map[string][]string{
		"http://api.example/c/2":       {"c:1", "c:2", "/c/1", "/c/2"},
		"/c/2":                         {"c:1", "c:2", "/c/1", "/c/2"},
		"https://api.example:443/c/2/": {"c:1", "c:2", "/c/1", "/c/2"},
		"http://api.example//c//2?x#y": {"c:1", "c:2", "/c/1", "/c/2", "/2", "/"},
		"/d/3":                         {"c:1", "d:3", "/c/1", "/d/3"},
		"":                             {"c:1", "/c/1", "/"},
	} {
		wantTags(t, "to "+destination,
			done(table.Plan(request("MOVE", "/c/1", "Destination: "+destination), now)), want...)
	}
	if p := table.Plan(request("COPY", "/c/1", "Destination: http://api.example/internal/x"),
		now); p.Kind != Deny {
		t.Errorf("a denied destination: kind %d", p.Kind)
	}
	if p := table.Plan(request("GET", "/c/1", "Destination: /internal/x"), now); p.Kind != Read {
		t.Errorf("a GET with a destination: kind %d", p.Kind)
	}
}

func TestAFieldThatNamesAnotherTarget(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id}"]}`,
		`{name: internal, match: "/internal/{rest...}", deny: true}`,
	)
	for _, field := range []string{
		"X-Original-URL", "X-Rewrite-URL", "X_Original_Url", "x-original-uri", "X-Forwarded-Uri",
		"X-Forwarded-URL", "X-Http-Path-Override",
		"X-Override-URL", "X-HTTP-DestinationURL", "X-Real-URL", "X-Proxy-URL", "X-Request-URI",
		"X.Rewrite.Url", "X-Forwarded_Uri",
	} {
		if p := table.Plan(request("GET", "/c/1", field+": /c/2"), now); p.Kind != Pass ||
			p.Bypass != reason.OtherTarget {
			t.Errorf("%s: kind %d, bypass %q", field, p.Kind, p.Bypass)
		}
		wantTags(t, field, done(table.Plan(request("PUT", "/c/1", field+": /c/2"), now)), "c:1",
			"c:2", "/c/1", "/c/2")
		if p := table.Plan(request("GET", "/c/1", field+": /internal/x"), now); p.Kind != Deny {
			t.Errorf("%s to a denied path: kind %d", field, p.Kind)
		}
	}
}

// A field that gateways set on every request is part of the key, so that a GET with one is cached.
func TestAPathBeforeAGatewayChangedIt(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id}"]}`,
		`{name: internal, match: "/internal/{rest...}", deny: true}`,
	)
	plain := table.Plan(request("GET", "/c/1"), now)
	for _, field := range []string{"X-Forwarded-Path", "X-Envoy-Original-Path", "X-Replaced-Path"} {
		p := table.Plan(request("GET", "/c/1", field+": /c/2"), now)
		if p.Kind != Read || p.Read.Primary == plain.Read.Primary {
			t.Errorf("%s: kind %d, or the key of a request without it", field, p.Kind)
		}
		wantTags(t, field, done(table.Plan(request("PUT", "/c/1", field+": /c/2"), now)), "c:1",
			"c:2", "/c/1", "/c/2")
		if p := table.Plan(request("GET", "/c/1", field+": /internal/x"), now); p.Kind != Deny {
			t.Errorf("%s to a denied path: kind %d", field, p.Kind)
		}
	}
}

// A field that does not reach the backend names nothing.
func TestATargetThatIsNotSentOn(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`)
	req := request("GET", "/c/1", "X-Forwarded-Uri: /c/2")
	req.Sent = httpfield.Header{}
	if p := table.Plan(req, now); p.Kind != Read {
		t.Errorf("kind %d, bypass %q", p.Kind, p.Bypass)
	}
}

func TestAGETThatIsAWriteByAnotherTarget(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: logout, match: "GET /logout", invalidate: ["c:1"]}`)
	p := table.Plan(request("GET", "/c/1", "X-Original-URL: /logout"), now)
	if p.Kind != Write {
		t.Fatalf("kind %d", p.Kind)
	}
	wantTags(t, "invalidated", done(p), "c:1", "/c/1", "/logout")
}

// A request beyond the bounds is taken to be for anything: it invalidates for every route of its
// method, and is denied where any route is.
func TestARequestBeyondTheBoundsIsForAnything(t *testing.T) {
	routes := []string{
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id}", "all"]}`,
	}
	odd := "/x" + strings.Repeat("/%252e%252e;\\", 2000)
	open, closed := table(t, "", routes...),
		table(t, "", append(routes, `{name: internal, match: "PUT /internal/x", deny: true}`)...)
	for _, req := range []httpfield.Request{
		request("PUT", odd),
		request("POST", "/c/1", "X-HTTP-Method-Override: A, B, C, D, PUT"),
		request("PUT", "/x", "Destination: "+odd),
		request("PUT", "/x", "Destination: /a", "Destination: /b", "Destination: /c",
			"Destination: /c/1"),
	} {
		got := texts(done(open.Plan(req, now)))
		if !slices.Contains(got, "all") ||
			!slices.Contains(got, "c:*") && !slices.Contains(got, "c:1") {
			t.Errorf("%s %.60q: %q", req.Method, req.Path, got)
		}
		if req.Path != "/c/1" && closed.Plan(req, now).Kind != Deny {
			t.Errorf("%s %.60q is not denied", req.Method, req.Path)
		}
	}
	if p := open.Plan(request("GET", odd), now); p.Kind != Pass {
		t.Errorf("a GET: kind %d", p.Kind)
	}
}

// FuzzPlan: no request makes a plan that has more matches than the bounds allow, and a request
// that is denied as it is written is denied with any addition. A plain read, which is not looked at
// in other ways, is denied as it would be if it were.
func FuzzPlan(f *testing.F) {
	table := table(f, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id}"]}`,
		`{match: /internal/, deny: true}`)
	for _, path := range spellings("internal", "x") {
		f.Add("PUT", path, "X-Original-Url", "/c/1")
	}
	f.Add("GET", "/c/1?_method=PUT", "Destination", "//c/2")
	f.Add("GET", "/internal/x", "Accept", "*/*")
	f.Add("HEAD", "/Internal/x", "X-Forwarded-Path", "/internal/x")
	f.Add("GET", "/", "Accept", "*/*")
	f.Fuzz(func(t *testing.T, method, target, name, value string) {
		path, query, has := strings.Cut(target, "?")
		if name == "" {
			return
		}
		req := httpfield.Request{Method: method, Authority: "a", Path: path,
			Query: query, HasQuery: has,
			Fields: httpfield.Header(http.Header{name: {value}})}
		plan := table.Plan(req, now)
		if strings.HasPrefix(path, "/internal/") && plan.Kind != Deny {
			t.Errorf("%q is not denied", path)
		}
		a := aimsOf(req, cachekeys.ParseQuery(query))
		if got, want := table.deniedBy(&a), table.deniedByAny(a.list()); got != want {
			t.Errorf("%q is denied by %q, and not by %q", target, got, want)
		}
		if plan.Write != nil && len(plan.Write.own) > maxReadings {
			t.Errorf("%d own URIs", len(plan.Write.own))
		}
	})
}
