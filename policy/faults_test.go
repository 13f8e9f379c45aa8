package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sidecar/policy/yamldoc"
)

var update = flag.Bool("update", false, "rewrite testdata/*.want")

// testOptions are those of every test that does not care.
func testOptions() Options {
	return Options{
		File:   "policies.yaml",
		Env:    env(map[string]string{"JWT_SECRET": testSecret}),
		Secret: func() []byte { return []byte("the key of keys") },
		Queues: []string{"critical", "default", "low"},
		Format: "1",
	}
}

// testSecret signs the tokens of tests. It is as long as RFC 7518 wants it.
const testSecret = "0123456789abcdef0123456789abcdef"

func env(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	}
}

// Each testdata/invalid-X.yaml has faults, and invalid-X.want says which: where they are, what is
// wrong and what would be right.
func TestFaultsAreToldWithPlaceAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "invalid-"), ".yaml"),
			func(t *testing.T) {
				content := read(t, file)
				o := testOptions()
				o.File = filepath.Base(file)
				table, found, err := Load(content, o)
				if err == nil || table != nil {
					t.Fatalf("loaded as %v without a fault", table)
				}
				if as, ok := errors.AsType[*yamldoc.Findings](err); !ok || as != found {
					t.Errorf("the error is %T and not the findings", err)
				}
				var got bytes.Buffer
				if err := found.Write(&got, yamldoc.Text); err != nil {
					t.Fatal(err)
				}
				want := strings.TrimSuffix(file, ".yaml") + ".want"
				if *update {
					if err := os.WriteFile(want, got.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if expected := string(read(t, want)); got.String() != expected {
					t.Errorf("got\n%s\nwant\n%s", got.String(), expected)
				}
			})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// mixed has a fault after a smell, and a '%' in a message.
const mixed = `version: 1
routes:
  - name: lonely
    match: GET /a
    cache: {scope: shared, ttl: 5m, override: true}
  - match: GET /%zz
    deny: true
`

func findings(t *testing.T, file, content string) *yamldoc.Findings {
	t.Helper()
	o := testOptions()
	o.File = file
	_, found, _ := Load([]byte(content), o)
	return found
}

func TestFindingsAsJSONAreAnArrayOfObjects(t *testing.T) {
	var b bytes.Buffer
	if err := findings(t, "a.yaml", mixed).Write(&b, yamldoc.JSON); err != nil {
		t.Fatal(err)
	}
	type object struct {
		File, Severity, Message string
		Line, Column            int
	}
	var got []object
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	want := []object{
		{"a.yaml", "warning",
			"override lets ttl win over what the API says of an answer that many share: see that it " +
				"never shortens a lifetime for a reason", 5, 47},
		{"a.yaml", "error",
			`"GET /%zz" is no pattern: "%zz" is not well escaped: a % itself is written %25`, 6,
			12},
	}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNoFindingsAsJSONAreAnEmptyArray(t *testing.T) {
	var b bytes.Buffer
	if err := findings(t, "a.yaml", "version: 1\n").Write(&b, yamldoc.JSON); err != nil ||
		b.String() != "[]\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

func TestFindingsForGitHubAreEscapedWorkflowCommands(t *testing.T) {
	var b bytes.Buffer
	if err := findings(t, "a,b:c%.yaml", mixed).Write(&b, yamldoc.GitHub); err != nil {
		t.Fatal(err)
	}
	want := `::warning file=a%2Cb%3Ac%25.yaml,line=5,col=47::override lets ttl win over what the API says of an answer that many share: see that it never shortens a lifetime for a reason
::error file=a%2Cb%3Ac%25.yaml,line=6,col=12::"GET /%25zz" is no pattern: "%25zz" is not well escaped: a %25 itself is written %2525
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestTheErrorHoldsFaultsAndNoSmells(t *testing.T) {
	if got, want := findings(t, "a.yaml", mixed).Error(),
		`a.yaml:6:12: "GET /%zz" is no pattern: "%zz" is not well escaped: a % itself is written %25`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What holds anyway may be written.
func TestDefaultsMayBeWritten(t *testing.T) {
	const file = `version: 1
routes:
  - name: cached
    match: GET /a
    cache:
      scope: private
      memory: off
      override: false
      status: {}
      stale_while_revalidate: 0s
      stale_if_error: 0s
      stale_if_unreachable: 0s
      request_directives: obey
      verify: {share: 0%, ignore: []}
  - name: cached_too
    match: GET /b
    cache: {scope: private, memory: false}
  - name: write
    match: ["POST /a", "POST /b"]
    invalidate: []
    consistency: available
    settle: 0s
  - name: job
    match: POST /c
    job: {mode: always, unique_for: 0s, max_pending: 0, max_pending_per_caller: 0, over_body: pass, access: caller, retry_on: []}
schedules: []
`
	if _, _, err := Load([]byte(file), testOptions()); err != nil {
		t.Error(err)
	}
}

// Where the environment is not known, as in validate, the file's references are not looked up.
func TestWithoutAnEnvironmentTheFileAloneIsChecked(t *testing.T) {
	for _, jwt := range []string{
		"{secret_env: NOT_SET, algorithms: [HS256]}",
		"{public_key_file: /no/such/key.pem, algorithms: [RS256]}",
	} {
		o := testOptions()
		o.Env = nil
		if _, _, err := Load([]byte("version: 1\ncaller: {jwt: "+jwt+"}\n"), o); err != nil {
			t.Errorf("%s: %v", jwt, err)
		}
	}
}

func TestTheValueOfASecretIsNeverTold(t *testing.T) {
	o := testOptions()
	o.Env = env(map[string]string{"S": "hunter2"})
	_, found, _ := Load(
		[]byte("version: 1\ncaller: {jwt: {secret_env: S, algorithms: [RS256]}}\n"), o)
	var b bytes.Buffer
	if err := found.Write(&b, yamldoc.Text); err != nil {
		t.Fatal(err)
	}
	if len(found.List) != 2 || strings.Contains(b.String(), "hunter2") {
		t.Errorf("%d findings:\n%s", len(found.List), b.String())
	}
}

func TestWithoutQueuesAnyNameOfAQueueWillDo(t *testing.T) {
	o := testOptions()
	o.Queues = nil
	if _, _, err := Load(
		[]byte("version: 1\nroutes: [{match: POST /a, job: {mode: always, queue: urgent}}]\n"),
		o); err != nil {
		t.Error(err)
	}
}
