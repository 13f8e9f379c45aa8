package policy

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// now is when every request comes.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// table loads a caller block (which may be "") and routes, one a line.
func table(t testing.TB, callers string, routes ...string) *Table {
	t.Helper()
	return tableWith(t, testOptions(), callers, routes...)
}

func tableWith(t testing.TB, o Options, callers string, routes ...string) *Table {
	t.Helper()
	content := "version: 1\n" + callers + "\nroutes: []\n"
	if len(routes) > 0 {
		content = "version: 1\n" + callers + "\nroutes:\n  - " +
			strings.Join(routes, "\n  - ") + "\n"
	}
	loaded, _, err := Load([]byte(content), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	if refused := refusedBySchema(t, []byte(content)); refused != nil {
		t.Errorf("the schema refuses a good file: %v\n%s", refused, content)
	}
	return loaded
}

// request is a request for a target with "Name: value" fields.
func request(method, target string, fields ...string) httpfield.Request {
	path, query, has := strings.Cut(target, "?")
	h := http.Header{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return httpfield.Request{
		Method: method, Authority: "api.example", Path: path, Query: query, HasQuery: has,
		Fields: httpfield.Header(h),
	}
}

// texts are tags as people write them, sorted: "a:1", "a:*" for a family, "/a" for an own URI.
func texts(tags []cachekeys.Tag) []string {
	out := make([]string, len(tags))
	for i, tag := range tags {
		out[i] = tag.String()
	}
	slices.Sort(out)
	return out
}

func wantTags(t *testing.T, what string, got []cachekeys.Tag, want ...string) {
	t.Helper()
	slices.Sort(want)
	if have := texts(got); !slices.Equal(have, want) {
		t.Errorf("%s: %q, want %q", what, have, want)
	}
}

// done are the tags of a write that succeeded with an empty answer.
func done(p *Plan) []cachekeys.Tag {
	return p.Write.Tags(nil, http.StatusNoContent, httpfield.Header{}, nil)
}

func TestAGETIsMatchedAsItWasSent(t *testing.T) {
	table := table(t, "",
		`{name: character, match: "GET /characters/{id}", cache: {scope: shared, tags: ["character:{id}"]}}`,
		`{name: files, match: "GET /files/{rest...}", cache: {scope: shared, tags: ["file:{rest}"]}}`,
		`{name: me, match: GET /characters/me, cache: {scope: shared, tags: ["me"]}}`,
	)
	for _, c := range []struct {
		path, route string
		bypass      reason.Reason
		tag         string
	}{
		{"/characters/7", "character", "", "character:7"},
		{"/characters/7.json", "character", "", "character:7.json"},
		{"/characters/%37", "character", "", "character:7"},
		{"/characters/%6De", "me", "", "me"},
		{"/files/a/b", "files", "", "file:a/b"},
		{"/files/a/", "files", "", "file:a/"},
		{"/files/a/", "files", "", "file:a"},
		{"/files/a.pdf", "files", "", "file:a.pdf"},
		{"/files/a.pdf", "files", "", "file:a"},
		{"/files/a%20b.pdf", "files", "", "file:a b"},

		{"/characters/7/", "", reason.NoRoute, ""},
		{"/characters/", "", reason.NoRoute, ""},
		{"/characters", "", reason.NoRoute, ""},
		{"/Characters/7", "", reason.NoRoute, ""},
		{"//characters/7", "", reason.NoRoute, ""},
		{"/characters//7", "", reason.NoRoute, ""},
		{"/x/../characters/7", "", reason.NoRoute, ""},
		{"/characters%2F7", "", reason.NoRoute, ""},
		{"*", "", reason.NoRoute, ""},

		// A request that the backend may take for another route, or for other values, is not
		// cached.
		{"/characters/a%2Fb", "character", reason.BadTarget, ""},
		{"/characters/a%252Fb", "character", reason.BadTarget, ""},
		{"/characters/ME", "character", reason.BadTarget, ""},
		{"/characters/me.json", "character", reason.BadTarget, ""},
		{"/characters/7;v=1", "character", reason.BadTarget, ""},
		{"/characters/7.", "character", reason.BadTarget, ""},
		{"/characters/7%20", "character", reason.BadTarget, ""},
		{"/characters/7%00", "character", reason.BadTarget, ""},
		{"/characters/%2537", "character", reason.BadTarget, ""},
		{"/characters/\\7", "character", reason.BadTarget, ""},
		{"/files/..\\characters\\me", "files", reason.BadTarget, ""},
		{"/files/x/..;/..;/characters/me", "files", reason.BadTarget, ""},
		{"/characters/..", "character", reason.BadTarget, ""},
		{"/characters/.", "character", reason.BadTarget, ""},
		{"/characters/%2e%2E", "character", reason.BadTarget, ""},
		{"/characters/..%2Fcharacters%2Fme", "character", reason.BadTarget, ""},
		{"/characters/%zz", "character", reason.BadTarget, ""},
		{"/characters/me%2F", "character", reason.BadTarget, ""},
		{"/files/a/../b", "files", reason.BadTarget, ""},
		{"/files/a//b", "files", reason.BadTarget, ""},
		{"/files/../characters/7", "files", reason.BadTarget, ""},
		{"/files/%2e%2e/characters/7", "files", reason.BadTarget, ""},
	} {
		p := table.Plan(request("GET", c.path), now)
		if p.Route != c.route || p.Bypass != c.bypass || (p.Kind == Read) != (c.tag != "") {
			t.Errorf("%s: kind %d of route %q, bypass %q", c.path, p.Kind, p.Route, p.Bypass)
			continue
		}
		if p.Kind == Read && !slices.Contains(texts(p.Read.Carried), c.tag) {
			t.Errorf("%s carries %q and not %s", c.path, texts(p.Read.Carried), c.tag)
		}
	}
}

func TestAnUnsafeRequestIsMatchedOnEveryFormOfItsPath(t *testing.T) {
	table := table(t, "",
		`{name: change, match: ["PUT /characters/{id}", "DELETE /characters/{id}"], invalidate: ["character:{id}"]}`,
		`{name: act, match: "POST /characters/{id}", invalidate: ["character:{id}"]}`,
		`{name: create, match: "POST /characters/{$}", invalidate: ["characters"]}`,
		`{name: pick, match: "POST /characters/{id}/inventory", invalidate: ["character:{id}:inventory"]}`,
		`{name: upload, match: "POST /files/{name}", invalidate: ["file:{name}"]}`,
		`{name: uploads, match: "POST /files/", invalidate: ["files"]}`,
		`{name: any, match: "/any/{rest...}", invalidate: ["any:{rest}"]}`,
	)
	for _, c := range []struct {
		method, path string
		want         []string
	}{
		{"PUT", "/characters/7", []string{"character:7", "/characters/7"}},
		{"PUT", "/characters/7/", []string{"character:7", "/characters/7"}},
		{"PUT", "/characters/7//", []string{"character:7", "/characters/7"}},
		{"PUT", "//characters/7", []string{"character:7", "/characters/7", "/7"}},
		{"PUT", "/characters//7", []string{"character:7", "/characters/7"}},
		{"PUT", "/x/../characters/./7", []string{"character:7", "/characters/7"}},
		{"PUT", "/characters/%37", []string{"character:7", "/characters/7"}},
		{"PUT", "/%63haracters/7", []string{"character:7", "/characters/7"}},
		{"PUT", "/characters%2F7", []string{"character:7", "/characters/7"}},
		{"PUT", "/%2Fcharacters/7", []string{"character:7", "/characters/7", "/7"}},
		{"PUT", "/x%2F..%2Fcharacters/7", []string{"character:7", "/characters/7"}},
		{"PUT", "/characters/7%2F", []string{"character:7", "character:7/", "/characters/7"}},
		{"PUT", "/characters/a%2Fb", []string{"character:a/b", "/characters/a/b"}},
		{"DELETE", "/characters/8/../7", []string{"character:7", "/characters/7"}},

		// Of two routes that it may be, it invalidates for both.
		{"POST", "/characters/7%2Finventory",
			[]string{"character:7/inventory", "character:7", "character:7:inventory",
				"/characters/7/inventory"}},

		// An empty wildcard names the whole family, beside the tags of a route for just that path.
		{"PUT", "/characters/", []string{"character:*", "/characters"}},
		{"POST", "/characters/", []string{"characters", "character:*", "/characters"}},
		{"POST", "/characters//inventory",
			[]string{"character:*", "character:inventory", "/characters/inventory"}},
		{"POST", "/files/", []string{"files", "file:*", "/files"}},
		{"POST", "/any/", []string{"any:*", "/any"}},

		// A pattern without a method is about every unsafe one.
		{"PATCH", "/any/a/b", []string{"any:a/b", "/any/a/b"}},
		{"PROPPATCH", "/any/a", []string{"any:a", "/any/a"}},

		// No route: the own URI alone.
		{"POST", "/elsewhere", []string{"/elsewhere"}},
		{"PATCH", "/characters/7", []string{"/characters/7"}},
		// some servers raise the letters
		{"put", "/characters/7", []string{"character:7", "/characters/7"}},
		{"POST", "/a/%zz", []string{"/a/%zz"}},
	} {
		p := table.Plan(request(c.method, c.path), now)
		if p.Kind != Write || p.Bypass != "" {
			t.Errorf("%s %s: kind %d, bypass %q", c.method, c.path, p.Kind, p.Bypass)
			continue
		}
		wantTags(t, c.method+" "+c.path, done(p), c.want...)
	}
}

func TestTheRouteOfAWriteIsThatOfItsPathAsSent(t *testing.T) {
	table := table(t, "",
		`{name: act, match: "POST /a/{id}", invalidate: []}`,
		`{name: below, match: "POST /a/{id}/b", invalidate: []}`,
	)
	for path, want := range map[string]string{
		"/a/1": "act", "/a/1%2Fb": "act", "/a/1/b": "below", "/a//1": "act", "/b": "",
	} {
		if p := table.Plan(request("POST", path), now); p.Route != want {
			t.Errorf("%s: %q, want %q", path, p.Route, want)
		}
	}
}

func TestADeniedRouteIsDeniedInEveryFormAndMethod(t *testing.T) {
	table := table(t, "",
		`{name: internal, match: "POST /internal/{rest...}", deny: true}`,
		`{name: admin, match: /admin/, deny: true}`,
		`{name: secret, match: GET /secret, deny: true}`,
		`{name: hooks, match: "POST /hooks/{$}", deny: true}`,
		`{name: hook, match: "POST /hooks/{id}", invalidate: []}`,
		`{name: open, match: "GET /admin/open", cache: {scope: shared}}`,
		`{name: one, match: "PUT /one/{id}/x", deny: true}`,
	)
	for _, c := range []struct {
		method, path string
		fields       []string
		want         string // the route that denies it, or ""
	}{
		{"POST", "/internal/cleanup", nil, "internal"},
		{"POST", "/internal/", nil, "internal"},
		{"POST", "/internal/cleanup/", nil, "internal"},
		{"POST", "//internal/cleanup", nil, "internal"},
		{"POST", "/internal//cleanup", nil, "internal"},
		{"POST", "/x/../internal/cleanup", nil, "internal"},
		{"POST", "/%69nternal/cleanup", nil, "internal"},
		{"POST", "/internal%2Fcleanup", nil, "internal"},
		{"POST", "/x/%2e%2e/internal/cleanup", nil, "internal"},
		{"POST", "/x%2F..%2Finternal%2Fcleanup", nil, "internal"},
		{"GET", "/internal/cleanup", nil, ""},
		{"GET", "/internal/cleanup", []string{"X-HTTP-Method-Override: POST"}, "internal"},
		{"PUT", "/internal/cleanup", []string{"X-HTTP-Method: post"}, "internal"},
		{"OPTIONS", "/internal/cleanup", []string{"X-Method-Override: POST"}, "internal"},
		{"POST", "/internally", nil, ""},

		{"GET", "/admin/x", nil, "admin"},
		{"HEAD", "/admin/x", nil, "admin"},
		{"DELETE", "/admin/x/y", nil, "admin"},
		{"OPTIONS", "/admin/x", nil, "admin"},
		{"BREW", "/admin/x", nil, "admin"},
		{"GET", "/admin/open", nil, ""},
		{"GET", "/admin//open", nil, "admin"},

		{"GET", "/secret", nil, "secret"},
		{"HEAD", "/secret", nil, "secret"},
		{"GET", "/secret/", nil, "secret"},
		{"POST", "/secret", nil, ""},

		{"POST", "/hooks/", nil, "hooks"},
		{"POST", "/hooks/1", nil, ""},
		{"PUT", "/one//x", nil, "one"},
	} {
		p := table.Plan(request(c.method, c.path, c.fields...), now)
		if (p.Kind == Deny) != (c.want != "") || p.Kind == Deny && p.Route != c.want {
			t.Errorf("%s %s %q: kind %d of %q, want denied by %q",
				c.method, c.path, c.fields, p.Kind, p.Route, c.want)
		}
	}
}

func TestAGETThatMayBeAWriteIsOne(t *testing.T) {
	table := table(t, "",
		`{name: a, match: "GET /a/{id}", cache: {scope: shared, tags: ["a:{id}"]}}`,
		`{name: delete, match: "DELETE /a/{id}", invalidate: ["a:{id}"]}`,
		`{name: job, match: "POST /a/{id}", job: {mode: always}, invalidate: ["job:{id}"]}`,
		`{name: visit, match: "GET /visit/{id}", invalidate: ["visits:{id}"]}`,
	)
	for _, c := range []struct {
		what string
		req  httpfield.Request
		want []string
	}{
		{"a field that overrides the method",
			request("GET", "/a/1", "X-HTTP-Method-Override: DELETE"), []string{"a:1", "/a/1"}},
		{"its other name", request("GET", "/a/1", "X-HTTP-Method: DELETE"),
			[]string{"a:1", "/a/1"}},
		{"its third name", request("GET", "/a/1", "X-Method-Override: DELETE"),
			[]string{"a:1", "/a/1"}},
		{"in small letters", request("GET", "/a/1", "X-HTTP-Method-Override:  delete"),
			[]string{"a:1", "/a/1"}},
		{"two of them", request("GET", "/a/1", "X-HTTP-Method-Override: DELETE",
			"X-Method-Override: POST"), []string{"a:1", "job:1", "/a/1"}},
		{"of HEAD", request("HEAD", "/a/1", "X-HTTP-Method-Override: DELETE"),
			[]string{"a:1", "/a/1"}},
		{"with GET", request("GET", "/a/1", "X-HTTP-Method-Override: GET"), []string{"/a/1"}},
		{"with nothing", request("GET", "/a/1", "X-HTTP-Method-Override: "), []string{"/a/1"}},
		{"on every form of the path", request("GET", "/a//1/", "X-HTTP-Method-Override: DELETE"),
			[]string{"a:1", "/a/1"}},
		{"a write by its route", request("GET", "/visit/1"), []string{"visits:1", "/visit/1"}},
		{"which a HEAD is too", request("HEAD", "/visit/1"), []string{"visits:1", "/visit/1"}},
	} {
		p := table.Plan(c.req, now)
		if p.Kind != Write {
			t.Errorf("%s: kind %d", c.what, p.Kind)
			continue
		}
		wantTags(t, c.what, done(p), c.want...)
	}
	for _, method := range []string{"GET", "HEAD"} {
		req := request(method, "/a/1")
		req.HasBody = true
		if p := table.Plan(req, now); p.Kind != Write {
			t.Errorf("%s with a body: kind %d", method, p.Kind)
		} else {
			wantTags(t, method+" with a body", done(p), "/a/1")
		}
	}
}

func TestAWriteOfAnOverriddenMethodNamesTheTagsOfBoth(t *testing.T) {
	table := table(t, "",
		`{name: post, match: "POST /a/{id}", invalidate: ["posted:{id}"]}`,
		`{name: delete, match: "DELETE /a/{id}", invalidate: ["deleted:{id}"]}`,
	)
	p := table.Plan(request("POST", "/a/1", "X-HTTP-Method-Override: DELETE"), now)
	wantTags(t, "POST for DELETE", done(p), "posted:1", "deleted:1", "/a/1")
}

func TestAHEADIsPlannedLikeAGET(t *testing.T) {
	table := table(t, "",
		`{name: a, match: "GET /a/{id}", cache: {scope: private, ttl: 1m, query: [x], ignore_query: [y], tags: ["a:{id}"]}}`)
	get, head := table.Plan(request("GET", "/a/1?x=1&y=2"), now),
		table.Plan(request("HEAD", "/a/1?x=1&y=2"), now)
	if get.Kind != Read || head.Kind != Read {
		t.Fatalf("kinds %d and %d", get.Kind, head.Kind)
	}
	if get.Read.Primary != head.Read.Primary || get.Route != head.Route || get.Query != head.Query {
		t.Errorf("%+v\n%+v", get, head)
	}
	wantTags(t, "HEAD", head.Read.Carried, texts(get.Read.Carried)...)
}

func TestRequestsWhoseFieldsMeanTheSameShareAnEntryUnlessTagsAreMadeOfThem(t *testing.T) {
	table := table(t, "",
		`{name: a, match: GET /a, cache: {scope: shared, ttl: 1m, vary: [Accept-Language], tags: ["a"]}}`,
		`{name: b, match: GET /b, cache: {scope: shared, ttl: 1m, vary: [Accept-Language], tags: ["b:{header.accept-language}"]}}`,
	)
	key := func(path, languages string) cachekeys.Digest {
		return table.Plan(request("GET", path, "Accept-Language: "+languages), now).Read.Primary
	}
	if key("/a", "de, en;q=0.50") != key("/a", "DE,en;q=0.5") {
		t.Error("no tag is made of the field, and yet its spelling decides")
	}
	if key("/a", "de") == key("/a", "en") {
		t.Error("the field does not decide")
	}
	if key("/b", "de, en;q=0.50") == key("/b", "DE,en;q=0.5") {
		t.Error("entries are shared that carry different tags")
	}
	if key("/b", "de") != key("/b", " de ") {
		t.Error("white space decides that is no part of the tag")
	}
}

func TestSafeMethodsThatNoRouteIsAboutPass(t *testing.T) {
	table := table(t, "", `{name: a, match: /a, invalidate: ["a"]}`,
		`{name: j, match: POST /j, job: {mode: always}}`)
	for _, c := range []struct {
		method, path string
		want         reason.Reason
	}{
		{"OPTIONS", "/a", reason.Method}, {"TRACE", "/a", reason.Method},
		{"OPTIONS", "*", reason.Method},
		{"GET", "/a", reason.NoRoute}, {"HEAD", "/a", reason.NoRoute},
		{"GET", "/j", reason.NoRoute}, {"GET", "/b", reason.NoRoute},
	} {
		if p := table.Plan(request(c.method, c.path), now); p.Kind != Pass ||
			p.Bypass != c.want || p.Route != "" {
			t.Errorf("%s %s: kind %d of %q, bypass %q", c.method, c.path, p.Kind, p.Route, p.Bypass)
		}
	}
}

func TestAPOSTOfAJobRouteIsAJob(t *testing.T) {
	o := testOptions()
	content := `version: 1
defaults:
  job: {queue: low, max_retry: 1}
routes:
  - {name: generate, match: "POST /npc/{kind}", job: {mode: always, max_body: 64KiB, timeout: 5m}, invalidate: ["npcs:{kind}"]}
  - {name: below, match: "POST /jobs/{rest...}", job: {mode: always, queue: critical, max_retry: 0, retention: 1h}}
  - {name: put, match: "PUT /npc/{kind}", invalidate: ["put:{kind}"]}
`
	table, _, err := Load([]byte(content), o)
	if err != nil {
		t.Fatal(err)
	}
	generate := &JobPlan{
		Mode: "always", Queue: "low", MaxRetry: 1, Retention: 24 * time.Hour,
		Timeout: 5 * time.Minute, After: 2 * time.Second, MaxBody: 64 << 10, MaxResult: 8 << 20,
		IdempotencyField: "Idempotency-Key", MaxPending: 1000, MaxPendingPerCaller: 100,
	}
	below := &JobPlan{
		Mode: "always", Queue: "critical", MaxRetry: 0, Retention: time.Hour,
		Timeout: 2 * time.Minute, After: 2 * time.Second, MaxBody: 1 << 20, MaxResult: 8 << 20,
		IdempotencyField: "Idempotency-Key", MaxPending: 1000, MaxPendingPerCaller: 100,
	}
	for _, c := range []struct {
		what string
		req  httpfield.Request
		job  *JobPlan // nil: a mere write
		want []string
	}{
		{"as the pattern says", request("POST", "/npc/dwarf"), generate,
			[]string{"npcs:dwarf", "/npc/dwarf"}},
		{"where {rest...} is not empty", request("POST", "/jobs/a/b"), below,
			[]string{"/jobs/a/b"}},
		{"where {rest...} is empty, as in ServeMux", request("POST", "/jobs/"), below,
			[]string{"/jobs"}},
		{"not what the backend may take for it", request("POST", "/npc/dwarf/"), nil,
			[]string{"npcs:dwarf", "/npc/dwarf"}},
		{"nor where a wildcard is empty", request("POST", "/npc/"), nil,
			[]string{"npcs:*", "/npc"}},
		{"nor where the method may be another",
			request("POST", "/npc/dwarf", "X-HTTP-Method-Override: PUT"), nil,
			[]string{"npcs:dwarf", "put:dwarf", "/npc/dwarf"}},
		{"nor by another method", request("PUT", "/npc/dwarf"), nil,
			[]string{"put:dwarf", "/npc/dwarf"}},
	} {
		p := table.Plan(c.req, now)
		if c.job == nil {
			if p.Kind != Write || p.Job != nil {
				t.Errorf("%s: kind %d, %+v", c.what, p.Kind, p.Job)
			}
		} else if p.Kind != Job || p.Job == nil || !reflect.DeepEqual(p.Job, c.job) {
			t.Errorf("%s: kind %d, %+v", c.what, p.Kind, p.Job)
		}
		if p.Write == nil {
			t.Errorf("%s: it invalidates nothing", c.what)
			continue
		}
		wantTags(t, c.what, done(p), c.want...)
	}
	if !table.HasJobs() {
		t.Error("the table has no jobs")
	}
}

func TestATableTellsWhatIsInForce(t *testing.T) {
	table := table(t, "",
		`{name: a, match: "GET /a/{id}", cache: {scope: shared, ttl: 90s, tags: ["a:{id}"], verify: {share: 0.5%}}}`,
		`{match: ["PUT /a/{id}", "DELETE /a/{id}"], invalidate: ["a:{id}", "a:*"]}`,
		`{match: /internal/, deny: true}`,
	)
	got := fmt.Sprintf("%+v", table.Routes())
	want := "[{Name:a Match:[GET /a/{id}] Kind:cache Tags:[a:{id}] Invalidate:[] TTL:1m30s " +
		"Verify:0.5% Queue:}" +
		" {Name:put_a_id Match:[PUT /a/{id} DELETE /a/{id}] Kind:invalidate Tags:[] " +
		"Invalidate:[a:{id} a:*] TTL: Verify: Queue:}" +
		" {Name:internal Match:[/internal/] Kind:deny Tags:[] Invalidate:[] TTL: Verify: Queue:}]"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if table.HasJobs() {
		t.Error("the table has jobs")
	}
}

func TestAPartitionIsForVerifiedCallersAlone(t *testing.T) {
	table := table(t,
		`caller: {credentials: ["cookie:session"], jwt: {secret_env: JWT_SECRET, algorithms: [HS256]}}`,
		`{name: org, match: GET /org, cache: {scope: "{claim.org}", ttl: 1m}}`,
		`{name: mine, match: GET /mine, cache: {scope: private, ttl: 1m, tags: ["org:{claim.org}"]}}`)
	token := "Cookie: session=" + signed(t, `{"org":"a"}`)
	for _, c := range []struct {
		path, cookie string
		bypass       reason.Reason
	}{
		{"/org", token, ""}, {"/org", token + `; g_state={"i_l":0}`, reason.TemplateUnfilled},
		{"/mine", token, ""}, {"/mine", token + `; g_state={"i_l":0}`, ""},
	} {
		if plan := table.Plan(request("GET", c.path, c.cookie), now); plan.Bypass != c.bypass {
			t.Errorf("%s with %s: %q", c.path, c.cookie, plan.Bypass)
		}
	}
}

// signed is a JWT with these claims under testSecret.
func signed(t *testing.T, claims string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(testSecret)},
		nil)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A plan holds for its epoch, until the token expires, and while the clock goes forward.
func TestAPlanHoldsForItsEpochAndItsToken(t *testing.T) {
	key := []byte("a key")
	table, _, err := Load([]byte("version: 1\n"), Options{Secret: func() []byte { return key }})
	if err != nil {
		t.Fatal(err)
	}
	epoch, plan := table.Epoch(), &Plan{Caller: caller.Caller{Expires: now.Add(time.Minute)}}
	for _, tt := range []struct {
		what string
		plan *Plan
		at   time.Time
		want bool
	}{
		{"at once", plan, now, true},
		{"before the token expires", plan, now.Add(time.Minute - 1), true},
		{"when it expires", plan, now.Add(time.Minute), false},
		{"a clock that was put back", plan, now.Add(-1), false},
		{"without an end", new(Plan), now.Add(time.Hour), true},
	} {
		if got := table.Holds(tt.plan, epoch, now, tt.at); got != tt.want {
			t.Errorf("%s: %t", tt.what, got)
		}
	}
	if key = []byte("a key"); table.Holds(plan, epoch, now, now) {
		t.Error("it outlives the secret")
	}
}
