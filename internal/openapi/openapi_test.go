package openapi

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"sidecar/policy"
)

var update = flag.Bool("update", false, "write what is proposed to testdata")

// proposed is the file that is made from a document, with the table that a sidecar makes of it.
func proposed(t *testing.T, content, base string) string {
	t.Helper()
	doc, err := Read("openapi.yaml", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	out := string(Propose("openapi.yaml", doc, base).Bytes())
	if _, _, err := policy.Load([]byte(out), policy.Options{File: "policies.yaml"}); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return out
}

func TestWhatIsProposedFromADocument(t *testing.T) {
	content, err := os.ReadFile("testdata/game.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := proposed(t, string(content), "")
	if *update {
		if err := os.WriteFile("testdata/game.want", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/game.want")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\nis not testdata/game.want: run the test with -update, and look at the "+
			"difference", got)
	}
}

// head begins a document whose paths follow.
const head = "openapi: 3.0.3\ninfo: {title: a, version: '1'}\npaths:\n"

const answersJSON = `{responses: {"200": {description: d, content: {application/json: {}}}}}`

func TestSuggestionsThatAreTakenOverAreValid(t *testing.T) {
	content, err := os.ReadFile("testdata/game.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := proposed(t, string(content), "")
	if strings.Count(got, "\n  #- name:") != 3 {
		t.Fatalf("%s\nwant three suggestions", got)
	}
	taken := regexp.MustCompile(`(?m)^( *)#([^ \n]| {2,})`).ReplaceAllString(got, "$1$2")
	taken = strings.ReplaceAll(
		taken,
		"/maps/:slug",
		"/maps/{slug}",
	) // the fault that its comment names
	if _, _, err := policy.Load([]byte(taken), policy.Options{File: "policies.yaml"}); err != nil {
		t.Errorf("%v\n%s", err, taken)
	}
}

func TestOddPathsMakeAValidFile(t *testing.T) {
	for _, paths := range []string{
		"/", "/{id}", "/a/", "/a/{id}/", "/a b/c", "/a%20b", "/a'b\\\"c", "/a: b # " +
			"c", "/é/{ü}", "/a/{1}/{a-b}/{a_b}",
		"/a/*", "/a/{x}.json", "/a/..", "/a\\n- evil: 1", "/a/{id} /a/{name}", "/a/{x}/b " +
			"/a/b/{x}", "/a-b/{x} /a_b/{x}",
		"/users /users/ /users/{id} /users/{id}/ /users/me", "/null /true /1 " +
			"/~", "/a/{id}/{id}", "/a?x=1", "/" + strings.Repeat("a", 3000),
		"/orgs/{o} /orgs/{o}/{r} /orgs/{o}/{r}/issues/{n} /orgs",
	} {
		var doc strings.Builder
		doc.WriteString(head)
		for _, path := range strings.Split(paths, " /") {
			path = "/" + strings.TrimPrefix(path, "/")
			for i, method := range []string{"get", "post", "put", "delete"} {
				if i == 0 {
					doc.WriteString(`  "` + path + "\":\n")
				}
				doc.WriteString("    " + method + ": " + answersJSON + "\n")
			}
		}
		got := proposed(t, doc.String(), "")
		if strings.Contains(got, "\n- evil") {
			t.Errorf("a path ends a line:\n%s", got)
		}
	}
}

func TestWhoSharesAnAnswer(t *testing.T) {
	for _, c := range []struct{ name, security, operation, want string }{
		{"nothing is said", "", "", "scope: private"},
		{"all need credentials", "security: [{a: []}]\n", "", "scope: private"},
		{"this one needs none", "security: [{a: []}]\n", "security: []", "scope: shared"},
		{"no other is said to need any", "", "security: []", "scope: shared"},
		{"they are optional", "security: [{a: []}]\n", "security: [{}, {a: []}]", "scope: private"},
		{"they are optional for all", "security: [{}, {a: []}]\n", "", "scope: private"},
		{"it takes a cookie", "", "parameters: [{name: s, in: cookie, schema: {type: string}}], " +
			"security: []", "scope: private"},
		{"it takes a field", "",
			"parameters: [{name: x-tenant, in: header, schema: {type: string}}], security: []",
			`scope: shared, ttl: 1m, tags: ["a"], vary: ["X-Tenant"]`},
		{"an event stream", "", "parameters: [{name: Last-Event-ID, in: header, schema: {type: " +
			"string}}]", `vary: ["Last-Event-Id"]`},
	} {
		operation := strings.Replace(answersJSON, "{", "{"+c.operation+", ", 1)
		if c.operation == "" {
			operation = answersJSON
		}
		got := proposed(t, c.security+head+"  /a:\n    get: "+operation+"\n", "")
		if !strings.Contains(got, "cache: {") || !strings.Contains(got, c.want) ||
			strings.Contains(got, "#- name") {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestWhatIsNotCertainIsASuggestion(t *testing.T) {
	const inJSON = `"200": {description: d, content: {application/json: {}}}`
	for operation, why := range map[string]string{
		`responses: {"200": {description: d, content: {text/html: {}}}}`: "not JSON",
		`responses: {"204": {description: d}}`:                           "no answer in JSON",
		`responses: {"404": {description: d}}`:                           "no answer in JSON",
		`requestBody: {content: {}}, responses: {` + inJSON +
			`}`: "content",
		`servers: [{url: /x}], responses: {` + inJSON +
			`}`: "servers",
		`responses: {` + inJSON +
			`, "203": {description: d, content: {text/csv: {}}}}`: "not JSON",
		`responses: {` + inJSON +
			`, "203": {description: d, headers: {Set-Cookie: {schema: {}}}}}`: "cookie",
	} {
		operation = "{" + operation + "}"
		got := proposed(t, head+"  /a:\n    get: "+operation+"\n", "")
		if !strings.Contains(got, "routes: []") || !strings.Contains(got, why) ||
			!strings.Contains(got, "#- name: a\n") {
			t.Errorf("%s\nof %s: want a suggestion with %q", got, operation, why)
		}
	}
}

func TestTheBasePath(t *testing.T) {
	doc := "servers: [{url: 'https://{region}.example/{v}/', variables: {region: {default: eu}, " +
		"v: {default: v2}}}, {url: /other}]\n" +
		head + "  /a:\n    get: " + answersJSON + "\n"
	if got := proposed(t, doc, ""); !strings.Contains(got,
		"match: GET /v2/a\n") || !strings.Contains(got, "another base path") {
		t.Errorf("of the servers: %s", got)
	}
	odd := "servers: [{url: api.example/v1}]\n" + head + "  /a:\n    get: " + answersJSON + "\n"
	if got := proposed(t, odd, ""); !strings.Contains(got, "match: GET /a\n") {
		t.Errorf("of a server without a scheme: %s", got)
	}
	if got := proposed(t, doc, "/x/"); !strings.Contains(got,
		"match: GET /x/a\n") || strings.Contains(got, "another base path") {
		t.Errorf("as it was named: %s", got)
	}
}

func TestCredentialsAreNeverNarrowed(t *testing.T) {
	for schemes, want := range map[string]string{
		`{a: {type: http, scheme: bearer}}`:                      "",
		`{a: {type: apiKey, in: cookie, name: session}}`:         "",
		`{a: {type: apiKey, in: header, name: x-api-key}}`:       "",
		`{a: {type: apiKey, in: header, name: x-key}}`:           `"header:X-API-Key", "cookie:*", "header:X-Key"]`,
		`{a: {type: apiKey, in: query, name: key}}`:              `"cookie:*", "query:key"]`,
		`{a: {type: apiKey, in: header, name: "x, y"}}`:          "",
		`{a: {type: apiKey, in: query, name: "a,b\n  evil: 1"}}`: "",
	} {
		got := proposed(t, "components: {securitySchemes: "+schemes+"}\n"+head+"  /a:\n    "+
			"get: "+answersJSON+"\n", "")
		if strings.Contains(got, "credentials: [") != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", schemes, got)
		}
	}
}

func TestDocumentsThatCannotBeRead(t *testing.T) {
	for content, want := range map[string]string{
		"":                           "no OpenAPI document",
		"hello":                      "api.yaml:1: ",
		"{":                          "api.yaml:2: ",
		`{"swagger": "2.0"}`:         "Swagger 2.0: convert it",
		"swagger: '2.0'\n":           "Swagger 2.0: convert it",
		"openapi: 2.0.0\n":           "no OpenAPI document",
		"openapi: 3.0.3\n":           "no paths",
		head + "  {}\n":              "no paths",
		head + "  /a:\n    get: [\n": "api.yaml:6: ",
		head + "  /a:\n    get:\n      responses: " +
			"7\n": "api.yaml:6: ",
		head + "  /a:\n" +
			"    $ref: 'b.yaml#/x'\n": `:5: it refers to another document, "b.`,
		head + "  /a:\n    $ref: 'http://127.0.0.1:1/x'\n": ":5: it refers to another document",
		head + "  /a:\n    $ref: '/etc/passwd'\n":          ":5: it refers to another document",
		head + "  /a:\n    get:\n      parameters: [{$ref: " +
			"'#/components/parameters/x'}]\n": "api.yaml:6: ",
		strings.Repeat(" ", MaxSize+1): "longer than 16 MiB",
	} {
		if _, err := Read("api.yaml", []byte(content)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", content, err, want)
		}
	}
}

// Aliases and references that lead to themselves, or to much again and again, end in a fault.
func TestADocumentThatGrowsIsRefused(t *testing.T) {
	var wide, many strings.Builder
	wide.WriteString(head + "  /a: &a {get: {responses: {")
	for status := range 2_000 {
		fmt.Fprintf(&wide, "%d: {}, ", status)
	}
	wide.WriteString("}}}\n")
	many.WriteString(head + "  /a: {get: {parameters: [")
	for i := range 2_000 {
		fmt.Fprintf(&wide, "  /a%d: *a\n", i)
		many.WriteString("{$ref: '#/components/parameters/p'}, ")
	}
	many.WriteString("]}}\ncomponents: {parameters: {p: {name: x, in: query}")
	for i := range 2_000 {
		fmt.Fprintf(&many, ", p%d: {name: x, in: query}", i)
	}
	many.WriteString("}}\n")
	const loop = "components: {parameters: {a: {$ref: '#/components/parameters/b'}, " +
		"b: {$ref: '#/components/parameters/a'}}}\n"
	for content, want := range map[string]string{
		wide.String(): "more than 2000000 values",
		many.String(): "", // each reference is one step
		loop + head + "  /a: {parameters: [{$ref: '#/components/parameters/a'}]}\n": "references",
		head + "  /a: &a {<<: *a, get: {}}\n":                                       "",
		head + "  /a: &a [*a]\n":                                                    "mapping",
	} {
		_, err := Read("api.yaml", []byte(content))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(),
			want)) {
			t.Errorf("%.100q: %v, want %q", content, err, want)
		}
	}
}

// What stands elsewhere, is merged, or is written as only JSON may write it is read too.
func TestWhereADocumentKeepsItsParts(t *testing.T) {
	const want = `cache: {scope: private, ttl: 1m, tags: ["a:{id|uuid}"], vary: ["X-A"]}`
	for name, content := range map[string]string{
		"all in one": head + `  /a/{id}:
    get:
      parameters: [{name: id, in: path, schema: {type: string, format: uuid}}, {name: x-a, in: header}]
      responses: {"200": {description: d, content: {application/json: {}}}}
`,
		"by reference": `openapi: 3.1.0
components:
  pathItems:
    a/b:
      parameters: [{$ref: '#/components/parameters/id'}, {$ref: '#/components/parameters/x~1a'}]
      get: {responses: {"200": {$ref: '#/components/responses/json'}}}
  parameters:
    id: {name: id, in: path, schema: {$ref: '#/components/schemas/id'}}
    x/a: {name: x-a, in: header}
  schemas:
    id: {type: [string], format: uuid}
  responses:
    json: {$ref: '#/components/responses/0'}
    "0": {content: {application/json: {}}}
paths:
  /a/{id}: {$ref: '#/components/pathItems/a~1b'}
`,
		"merged": head + `  /b: &b
    parameters: [&id {name: id, in: path, schema: {type: string, format: uuid}}, {name: x-a, in: header}]
    get: &get {responses: {"200": {content: {application/json: {}}}}}
  /a/{id}: {<<: [*b], post: {}, get: {<<: *get, operationId: x}}
`,
		"JSON": "{\"openapi\": \"3.0.3\",\n" +
			"\t\"info\": {\"title\": \"\\ud83d\\ude00 \\/\"}, \"paths\": {\n" +
			`"\/a\/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "schema": ` +
			`{"type": "string", "format": "uuid"}}, {"name": "x-a", "in": "header", "schema": null}], ` +
			`"responses": {"200": {"content": {"application/json": {"x": [1.5, true]}}}}}}}}`,
	} {
		got := proposed(t, content, "")
		_, route, _ := strings.Cut(got, "match: GET /a/{id}\n    ")
		if route, _, _ = strings.Cut(route, "\n"); route != want {
			t.Errorf("%s: %s\nof\n%s", name, route, got)
		}
		if name == "JSON" && !strings.Contains(got, "# Line 3: ") {
			t.Errorf("the line in JSON:\n%s", got)
		}
	}
}

func TestAWriteThatNoPatternCanBe(t *testing.T) {
	const item = "    get: " + answersJSON + "\n"
	got := proposed(t, head+"  /Products:\n"+item+"  /Other:\n"+item+
		"  /Products({id}):\n    delete: {responses: {}}\n  /Other({id}):\n"+item, "")
	for _, want := range []string{
		"  #- name: products\n", "  - name: other\n", `a write to "/Products({id})" may change it`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nhas no %q", got, want)
		}
	}
}
