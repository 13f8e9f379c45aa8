package policy

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
)

// smellsOf loads a file that has no fault and gives its smells, as "line: message".
func smellsOf(t *testing.T, content string, o Options) []string {
	t.Helper()
	_, found, err := Load([]byte(content), o)
	if err != nil {
		t.Fatalf("%v\n%s", err, content)
	}
	var out []string
	for _, f := range found.Smells() {
		out = append(out, fmt.Sprintf("%d: %s", f.Line, f.Msg))
	}
	return out
}

func TestSmells(t *testing.T) {
	const credentials = `credentials: ["header:Authorization"]`
	const jwt = "caller: {" + credentials + ", jwt: {secret_env: JWT_SECRET, algorithms: [HS256]}}"
	id := func(s string) string {
		return `caller: {jwt: {secret_env: JWT_SECRET, algorithms: [HS256]}, id: "` + s + `"}`
	}
	const read = `  - {name: a, match: "GET /a/{id}", cache: {scope: private, tags: ["a:{id}"]}}`
	for _, c := range []struct {
		name   string
		caller string
		routes []string // each one line, the first is line 4
		want   []string // "line: beginning of the message"
	}{
		{"none: what is written is what is read", "",
			[]string{read, `  - {match: "PUT /a/{id}", invalidate: ["a:{id}"]}`}, nil},

		{"a tag that no cached route carries", "",
			[]string{read, `  - {match: "PUT /a/{id}", invalidate: ["a:{id}", "b:{id}"]}`},
			[]string{`5: no cached route carries "b:{id}"`}},
		{"a tag longer than any that is carried", "",
			[]string{read, `  - {match: "PUT /a/{id}", invalidate: ["a:{id}:sheet"]}`},
			[]string{`5: no cached route carries "a:{id}:sheet"`}},
		{"none: a family of what is carried", "",
			[]string{read, `  - {match: "PUT /x", invalidate: ["a:*"]}`}, nil},
		{"a family of nothing", "",
			[]string{read, `  - {match: "PUT /a/{id}", invalidate: ["b:*"]}`},
			[]string{`5: no cached route carries "b:*"`}},
		{"none: one value of what is carried", "",
			[]string{read, `  - {match: "PUT /x", invalidate: ["a:one"]}`}, nil},
		{"a number where an id stands", "",
			[]string{read, `  - {match: "PUT /x", invalidate: ["a:1"]}`},
			[]string{`4: "a:{id}": {id|int} makes one spelling`}},
		{"a UUID where an id stands", "",
			[]string{read,
				`  - {match: "PUT /x", invalidate: ["a:550e8400-e29b-41d4-a716-446655440000"]}`},
			[]string{`4: "a:{id}": {id|uuid} makes one spelling`}},
		{"an id that is named after its kind", "",
			[]string{`  - {match: "GET /a/{uuid}", cache: {scope: private, tags: ["a:{uuid}"]}}`,
				`  - {match: "PUT /a/{uuid}", invalidate: ["a:{uuid}"]}`},
			[]string{`4: "a:{uuid}": {uuid|uuid} makes one spelling`}},
		{"none: it has the filter", "",
			[]string{`  - {match: "GET /a/{uuid}", cache: {scope: private, tags: ["a:{uuid|uuid}"]}}`, `  - {match: "PUT /a/{uuid}", invalidate: ["a:{uuid|uuid}"]}`}, nil},

		{"a cached route that nothing invalidates", "", []string{read},
			[]string{`4: nothing invalidates "a"`}},
		{"a cached route without tags that nothing invalidates", "",
			[]string{`  - {match: GET /a, cache: {scope: shared}}`,
				`  - {match: POST /b, invalidate: []}`},
			[]string{`4: nothing invalidates "get_a"`}},
		{"none: a write to its own path", "",
			[]string{read, `  - {match: "PUT /a/{id}", invalidate: []}`}, nil},
		{"none: a job names it", jwt,
			[]string{read, `  - {match: POST /b, job: {mode: always}, invalidate: ["a:*"]}`}, nil},

		{"a claim of the writer", jwt,
			[]string{`  - {match: GET /a, cache: {scope: private, tags: ["user:{claim.sub}"]}}`,
				`  - {match: POST /a, invalidate: ["user:{claim.sub}"]}`},
			[]string{`5: "user:{claim.sub}" names the one who writes`}},
		{"none: the owner whom the answer names", jwt,
			[]string{`  - {match: GET /a, cache: {scope: private, tags: ["user:{claim.sub}"]}}`,
				`  - {match: POST /a, invalidate: ["user:{response.body.owner}"]}`}, nil},

		{"an id that leaves out role and scope", id("{claim.sub}"), nil,
			[]string{"2: id leaves out claims like role"}},
		{"none: an id with a role", id("{claim.sub}:{claim.role}"), nil, nil},
		{"none: an id with a scope", id("{claim.sub}:{claim.scope}"), nil, nil},
		{"none: each token by itself", id("{claim.jti}"), nil, nil},

		{"ttl over max_age without jwt", "",
			[]string{`  - {match: GET /a, cache: {scope: private, ttl: 6m}}`,
				`  - {match: POST /a, invalidate: []}`},
			[]string{"4: no entry lives longer than max_age (5m) without jwt"}},
		{"none: ttl of just max_age", "",
			[]string{`  - {match: GET /a, cache: {scope: private, ttl: 5m}}`,
				`  - {match: POST /a, invalidate: []}`}, nil},
		{"none: ttl under a longer max_age", "caller: {" + credentials + ", max_age: 1h}",
			[]string{`  - {match: GET /a, cache: {scope: private, ttl: 6m}}`,
				`  - {match: POST /a, invalidate: []}`}, nil},
		{"none: ttl over max_age with jwt", jwt,
			[]string{`  - {match: GET /a, cache: {scope: private, ttl: 6m}}`,
				`  - {match: POST /a, invalidate: []}`}, nil},
		{"none: ttl over max_age of a shared route", "",
			[]string{`  - {match: GET /a, cache: {scope: shared, ttl: 6m}}`,
				`  - {match: POST /a, invalidate: []}`}, nil},

		{"fields that say who is asking, beside the default credentials", "caller: {max_age: 5m}",
			[]string{read, `  - {match: "GET /b", cache: {scope: private}}`,
				`  - {match: "PUT /a/{id}", invalidate: ["a:{id}"]}`,
				`  - {match: "PUT /b", invalidate: []}`},
			[]string{"4: the 2 private routes count Authorization, X-API-Key and cookies alone: " +
				"a request with another field that says who is asking bypasses the cache. Name " +
				"in caller.credentials all that the API reads; the others are X-Auth-User, "}},
		{"fields that say who is asking and are exempt",
			"caller: {" + credentials +
				", not_credentials: [X-User-*, X-Trace-Token, X-Csrf-Token, X_Email, X-Other]}",
			[]string{read, `  - {match: "PUT /a/{id}", invalidate: ["a:{id}"]}`},
			[]string{"2: X-User-*, X-Trace-Token, X_Email: the private route counts nothing that " +
				"says who is asking there"}},
		{"none: no route is private", "caller: {not_credentials: [Authorization]}",
			[]string{`  - {match: "GET /b", cache: {scope: shared}}`,
				`  - {match: "PUT /b", invalidate: []}`}, nil},

		{"segments that match themselves alone", "",
			[]string{`  - {match: ["GET /a/$id", "GET /b/%2F", "GET /c;v/d", "GET /$metadata", "GET /e/x(1)"], deny: true}`},
			[]string{`4: "GET /a/$id" matches the segment "$id" alone`,
				`4: "GET /b/%2F" matches the segment "/" alone`,
				`4: "GET /c;v/d" matches the segment "c;v" alone`}},
		{"none: segments that are odd and certain", "",
			[]string{`  - {match: [GET /@a/~b, "GET /a+b/c:d", "GET /a%20b/é", "GET /x(1)/100%25", GET /v1.0/a.json, "GET /%5B0%5D", "GET /a/{rest...}", "GET /b/", "GET /", "GET /c/{$}", "GET /x.php/{id}"], cache: {scope: shared}}`,
				`  - {match: PUT /, invalidate: []}`}, nil},

		{"a job route with credentials that nobody verifies", "",
			[]string{`  - {name: j, match: POST /a, job: {mode: always}}`},
			[]string{`4: "j" takes credentials that nobody verifies`}},
		{"none: a job route with jwt", jwt,
			[]string{`  - {match: POST /a, job: {mode: always}}`}, nil},

		{"a logout while the id leaves out jti", id("{claim.sub}:{claim.role}"),
			[]string{`  - {match: POST /logout, invalidate: ["caller:{caller}"]}`},
			[]string{"4: while caller.id leaves out jti"}},
		{"a logout while the id is all claims but jti", jwt,
			[]string{`  - {match: POST /logout, invalidate: ["caller:{caller}"]}`},
			[]string{"4: while caller.id leaves out jti"}},
		{"none: a logout where each token is a caller", id("{claim.jti}"),
			[]string{`  - {match: POST /logout, invalidate: ["caller:{caller}"]}`}, nil},
		{"none: a logout with opaque credentials", "",
			[]string{`  - {match: POST /logout, invalidate: ["caller:{caller}"]}`}, nil},
		{"none: all callers", jwt,
			[]string{read, `  - {match: POST /logout, invalidate: ["a:*", "caller:*"]}`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.caller == "" {
				c.caller = "caller: {" + credentials + "}"
			}
			routes := "routes:\n" + strings.Join(c.routes, "\n")
			if c.routes == nil {
				routes = "routes: []"
			}
			got := smellsOf(t, "version: 1\n"+c.caller+"\n"+routes+"\n", testOptions())
			if !slices.EqualFunc(got, c.want, strings.HasPrefix) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAShortSecretSmells(t *testing.T) {
	o := testOptions()
	o.Env = env(map[string]string{"S": testSecret[:31], "L": testSecret})
	for name, want := range map[string][]string{
		"S": {"2: the secret in S is shorter than 32 bytes: it can be guessed from one token " +
			"(RFC 7518 §3.2)"},
		"L": nil,
	} {
		content := "version: 1\ncaller: {jwt: {secret_env: " + name + ", algorithms: [HS256]}}\n"
		if got := smellsOf(t, content, o); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// policies.yaml is the example that everybody reads first.
func TestTheExampleHasNoFaultAndTheSmellsThatItOwnsUpTo(t *testing.T) {
	content, err := os.ReadFile("../policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := smellsOf(t, string(content), testOptions())
	want := []string{"while caller.id leaves out jti"} // its last route says why
	if !slices.EqualFunc(got, want, func(g, w string) bool { return strings.Contains(g, w) }) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What the index of shapes leaves out touches nothing.
func TestTheIndexOfShapesHasAllThatTouch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &loader{shapes: map[*cachekeys.Template][]string{}}
		draw := rapid.Custom(func(t *rapid.T) *cachekeys.Template {
			source := ""
			for range rapid.IntRange(1, 4).Draw(t, "parts") {
				source += rapid.SampledFrom([]string{"a", "b", ":", "a:", "{x}", "{y}:"}).Draw(t,
					"part")
			}
			template, err := cachekeys.ParseTemplate(source +
				rapid.SampledFrom([]string{"", "*"}).Draw(t, "end"))
			if err != nil {
				t.Skip(err)
			}
			return template
		})
		var index shapeIndex
		all := rapid.SliceOfN(draw, 1, 20).Draw(t, "templates")
		for _, w := range all {
			index.add(l.shape(w), w)
		}
		for _, tag := range all {
			near := slices.Collect(index.near(l.shape(tag)))
			for _, w := range all {
				if (l.touches(w, tag) || l.touches(tag, w)) && !slices.Contains(near, w) {
					t.Fatalf("%s touches %s, and is not near", w, tag)
				}
			}
		}
	})
}
