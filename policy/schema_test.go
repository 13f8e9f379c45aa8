package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sidecar/policy/pattern"
)

// compiled compiles Schema, or a schema in it: "#/definitions/cache".
func compiled(t testing.TB, fragment string) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policies.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policies.json" + fragment)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refusedBySchema is why the schema refuses a file; nil: it accepts it.
func refusedBySchema(t testing.TB, content []byte) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(content, &value); err != nil {
		return err
	}
	asJSON, err := json.Marshal(value)
	if err != nil {
		return err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return compiled(t, "").Validate(document)
}

// beyondSchema are the files of testdata whose faults the shape of a file does not tell.
var beyondSchema = []string{
	"query",                             // one field depends on another
	"jwt-key-file-missing", "jwt-unset", // beside the file
	"merge-key", "two-documents", // YAML that the decoder does not read
	"pattern-conflicts",
}

func TestTheSchemaRefusesWhatTheDecoderRefuses(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "invalid-"), ".yaml")
		refused := refusedBySchema(t, read(t, file))
		switch beyond := slices.Contains(beyondSchema, name); {
		case refused == nil && !beyond:
			t.Errorf("the schema accepts %s: refuse it, or add it to beyondSchema", name)
		case refused != nil && beyond:
			t.Errorf("the schema refuses %s: take it off beyondSchema: %v", name, refused)
		}
	}
}

func TestTheSchemaTakesTheValuesThatTheDecoderTakes(t *testing.T) {
	for _, c := range []struct {
		field  string // of a cache block, or "job." and a field of a job block
		values string // separated by two spaces
		good   bool
	}{
		{"ttl", "90s  5m  1h30m  1.5h  .5s  5.s  +3m  100ms", true},
		{"ttl", "0s  0  -5m  5  5min  1d  [5m]  {}  ''", false},
		{"stale_if_error", "0s  0  '0'  10m  0h0m", true},
		{"stale_if_error", "-1s  10  soon", false},
		{"max_body", "0  1  1048576  1KiB  '1 MiB'  2GB  7B", true},
		{"max_body", "-1  1.5MiB  1k  [1]  true", false},
		{"memory", "off  false  2s", true},
		{"memory", "on  true  0s  never", false},
		{"override", "true  false", true},
		{"override", "yes  1  'true'", false},
		{"query", "all  page  [page,limit]  []", true},
		{"query", "1  true  {}  [1]", false},
		{"status", "{}  {404: 10s}  {200: 0s,599: 1h}", true},
		{"status", "{404: 10}  {199: 1s}  {600: 1s}  {abc: 1s}  404  []", false},
		{"vary", "Accept  [Accept,X-Tenant]", true},
		{"vary", "'*'  'A B'  ['a:b']  1", false},
		{"set_cookie", "refuse  store  {drop: [a]}  {drop: a}", true},
		{"set_cookie", "drop  {}  {drop: []}  {keep: [a]}  [store]", false},
		{"authorized", "refuse  public", true},
		{"authorized", "always  true", false},
		{"strip", "X-A  []  [X-A,Y*]", true},
		{"tags", "a  []  [a,'b:c']", true},
		{"tags", "1  [1]  [true]  ['']", false},
		{"request_directives", "obey  ignore", true},
		{"request_directives", "on  drop", false},
		{"verify", "{}  {share: 0%}  {share: 0}  {share: 0.5%}  {share: 100%}", true},
		{"verify", `{share: 1%,ignore: [a,'b.#.c','d\.e','header:X-A']}  {ignore: a}`, true},
		{"verify", "{share: 101%}  {share: 100.5%}  {share: 1}  {share: -1%}  {share: often}",
			false},
		{"verify", `{shares: 1%}  1%  {ignore: ['a..b']}  {ignore: ['']}  {ignore: ['a\']}  {ignore: 1}`, false},
		{"job.max_retry", "0  3  1000", true},
		{"job.max_retry", "-1  1.5  many", false},
		{"job.retention", "1h", true},
		{"job.retention", "0s  forever", false},
		{"job.mode", "always  prefer  after", true},
		{"job.mode", "sometimes  true", false},
		{"job.over_body", "pass  refuse", true},
		{"job.over_body", "throw", false},
		{"job.access", "caller  link", true},
		{"job.access", "all", false},
		{"job.idempotency_field", "X-Request-Key", true},
		{"job.idempotency_field", "'A B'", false},
		{"job.retry_on", "[]  [409]  [400, 599]", true},
		{"job.retry_on", "409  [399]  [600]  [often]", false},
		{"job.max_result", "0  8MiB", true},
		{"job.max_result", "-1  huge", false},
		{"job.unique_for", "0s  0  1m", true},
		{"job.unique_for", "-1s", false},
		{"job.max_pending", "0  1000", true},
		{"job.max_pending", "-1  many", false},
		{"job.max_running", "0  4", true},
		{"job.max_running", "-1  1.5", false},
		{"job.after", "0s  soon", false},
		{"job.cors",
			"{origins: ['https://a']}  {origins: 'http://a:8080',credentials: true}  {origins: ['*']}", true},
		{"job.cors", "{}  {origins: []}  {origins: [a]}  {origins: ['https://A']}  true", false},
	} {
		for value := range strings.SplitSeq(c.values, "  ") {
			agree(t, fileWith(c.field, value), c.good)
		}
	}
}

// fileWith is a file with a value of a cache block, or of a job block: "job.mode".
func fileWith(field, value string) string {
	name, isJob := strings.CutPrefix(field, "job.")
	line := "match: GET /a\n    cache: {scope: shared, "
	switch {
	case name == "mode":
		line = "match: POST /a\n    job: {"
	case isJob:
		line = "match: POST /a\n    job: {mode: always, "
	case name == "override":
		line += "ttl: 1h, "
	}
	return fmt.Sprintf("version: 1\nroutes:\n  - %s%s: %s}\n", line, name, value)
}

// A mapping of the schema is an object with fields of its own, at a path from the root. "[]" in it
// is an element of a list.
type mapping struct {
	path   []string
	fields map[string]any
}

// mappings are all mappings of the schema below a schema.
func mappings(root, schema map[string]any, path []string) (out []mapping) {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/definitions/")
		return mappings(root, root["definitions"].(map[string]any)[name].(map[string]any), path)
	}
	for _, key := range []string{"allOf", "anyOf"} {
		for _, s := range asList(schema[key]) {
			out = append(out, mappings(root, s.(map[string]any), path)...)
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		out = append(out, mappings(root, items, append(slices.Clip(path), "[]"))...)
	}
	fields, ok := schema["properties"].(map[string]any)
	if !ok || schema["type"] != "object" {
		return out
	}
	out = append(out, mapping{path, fields})
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		out = append(out,
			mappings(root, fields[name].(map[string]any), append(slices.Clip(path), name))...)
	}
	return out
}

func asList(v any) []any { list, _ := v.([]any); return list }

// noField is the name of no field, and near none.
const noField = "zzzzzzzzzzzzzzzz"

// at is a file that has, at the path, a mapping with noField alone.
func at(path []string) any {
	if len(path) == 0 {
		return map[string]any{noField: 1}
	}
	if path[0] == "[]" {
		return []any{at(path[1:])}
	}
	m := map[string]any{path[0]: at(path[1:])}
	switch path[0] {
	case "cache":
		m["match"] = "GET /a"
	case "job":
		m["match"] = "POST /a"
	}
	return m
}

// The decoder names the fields of a mapping where it finds one that it does not know.
func TestTheSchemaHasTheFieldsThatTheDecoderHas(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema, &root); err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`has no field "` + noField + `": it has (.*)`)
	distinct := map[string]bool{}
	for _, m := range mappings(root, root, nil) {
		content, err := yaml.Marshal(at(m.path))
		if err != nil {
			t.Fatal(err)
		}
		_, found, _ := Load(content, testOptions())
		var said string
		for _, f := range found.List {
			if match := named.FindStringSubmatch(f.Msg); match != nil {
				said = match[1]
			}
		}
		has := strings.Split(said, ", ")
		slices.Sort(has)
		if fields := slices.Sorted(maps.Keys(m.fields)); !slices.Equal(has, fields) {
			t.Errorf("%s: the decoder has %q, and the schema %q", m.path, has, fields)
		}
		distinct[said] = true
	}
	kinds := 0
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			kinds += strings.Count(string(read(t, file)), "l.Mapping(")
		}
	}
	if len(distinct) != kinds {
		t.Errorf("the decoder reads %d kinds of mappings, and the schema has %d",
			kinds, len(distinct))
	}
}

func TestTheSchemaDescribesEveryField(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema, &root); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policies.json", document); err != nil {
		t.Fatal(err)
	}
	examples := 0
	walk(root, "#", func(at string, name string, field map[string]any) {
		if ref, ok := field["$ref"].(string); ok {
			field = root["definitions"].(map[string]any)[strings.TrimPrefix(ref,
				"#/definitions/")].(map[string]any)
			at = ref
		}
		if text, _ := field["description"].(string); len(text) < 5 ||
			!strings.HasSuffix(text, ".") {
			t.Errorf("%s is described by %q", name, text)
		}
		s, err := c.Compile("policies.json" + at)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range asList(field["examples"]) {
			examples++
			if err := s.Validate(e); err != nil {
				t.Errorf("%s: the example %v: %v", name, e, err)
			}
		}
	})
	if examples < 40 {
		t.Errorf("only %d examples", examples)
	}
}

// walk calls f for each field of each mapping.
func walk(schema any, at string, f func(at, name string, field map[string]any)) {
	switch schema := schema.(type) {
	case map[string]any:
		for key, value := range schema {
			if key == "examples" || key == "default" || key == "if" ||
				key == "then" || key == "else" {
				continue
			}
			if fields, ok := value.(map[string]any); ok && key == "properties" &&
				schema["type"] == "object" {
				for name, field := range fields {
					f(at+"/properties/"+name, name, field.(map[string]any))
				}
			}
			walk(value, at+"/"+key, f)
		}
	case []any:
		for i, value := range schema {
			walk(value, fmt.Sprintf("%s/%d", at, i), f)
		}
	}
}

func agree(t *testing.T, content string, good bool) {
	t.Helper()
	_, _, fault := Load([]byte(content), testOptions())
	refused := refusedBySchema(t, []byte(content))
	if (fault == nil) != good || (refused == nil) != good {
		t.Errorf("good: %t, but the decoder says %v, and the schema %v, of\n%s",
			good, fault, refused, content)
	}
}

// Editors check a file against the schema while it is written. It refuses most mistakes, and no
// file that only smells.
func TestTheSchemaRefusesMostMistakesAndNoValidFile(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var accepted []string
	for _, file := range files {
		for _, m := range mistakesOf(t, file) {
			faulty := findings(t, "f", m.content).Faulty()
			switch err := refusedBySchema(t, []byte(m.content)); {
			case faulty && err == nil:
				accepted = append(accepted, m.name)
			case !faulty && err != nil:
				t.Errorf("%s: it is valid, and the schema refuses it: %v", m.name, err)
			}
		}
	}
	// what the values, the environment or YAML itself decide
	if len(accepted) > 65 {
		t.Errorf("the schema accepts %d faulty files: %q", len(accepted), accepted)
	}
}

// Every pattern of the tests of patterns that is one is taken by the schema.
func TestTheSchemaTakesEveryPattern(t *testing.T) {
	s := compiled(t, "#/definitions/pattern")
	count := 0
	for _, file := range []string{"pattern/pattern_test.go", "pattern/index_test.go"} {
		for i, text := range strings.Split(string(read(t, file)), `"`) {
			if _, err := pattern.Parse(text); i%2 == 0 || err != nil {
				continue
			}
			count++
			if err := s.Validate(text); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	if count < 40 {
		t.Errorf("%d patterns", count)
	}
}
