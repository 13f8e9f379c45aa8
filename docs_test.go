package sidecar_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"sidecar/internal/config"
	"sidecar/internal/demo"
	"sidecar/policy"
)

// pages are all Markdown files of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	found := filesNamed(t, ".md")
	if len(found) < 8 {
		t.Fatalf("only %d pages: %s", len(found), found)
	}
	return found
}

// filesNamed are the files of the repository with this suffix, those of the other modules too.
func filesNamed(t *testing.T, suffix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(d.Name(), ".") && file != "."; d.IsDir() {
			if hidden || d.Name() == "testdata" || file == "bin" {
				return filepath.SkipDir
			}
		} else if strings.HasSuffix(file, suffix) {
			found = append(found, filepath.ToSlash(file))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// env has every secret that a policies file may want.
func env(string) (string, bool) { return "a secret that is long enough for HS256", true }

// schema is the JSON Schema of policies files.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(policy.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policies.json", document); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("policies.json")
}

// checkPolicies loads a file, and checks it by the schema.
func checkPolicies(t *testing.T, file, content string) {
	t.Helper()
	if _, _, err := policy.Load([]byte(content), policy.Options{File: file, Env: env}); err != nil {
		t.Error(err)
	}
	asJSON, err := yaml.YAMLToJSON([]byte(content))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema(t).Validate(value); err != nil {
		t.Errorf("%s: %v", file, err)
	}
}

func TestEveryPoliciesFileInTheDocsIsValid(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```")
	found := 0
	for _, page := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(read(t, page), -1) {
			found++
			checkPolicies(t, page, m[1])
		}
	}
	for _, file := range []string{"policies.yaml", "internal/demo/policies.yaml"} {
		checkPolicies(t, file, read(t, file))
	}
	if found < 2 {
		t.Errorf("%d policies files in the docs", found)
	}
}

func TestEveryPoliciesFileNamesTheSchema(t *testing.T) {
	for _, file := range filesNamed(t, "policies.yaml") {
		line, _, _ := strings.Cut(read(t, file), "\n")
		rel, ok := strings.CutPrefix(line, "# yaml-language-server: $schema=")
		if !ok {
			t.Errorf("%s does not begin with its schema: %s", file, line)
		} else if read(t, path.Join(path.Dir(file), rel)) != string(policy.Schema) {
			t.Errorf("%s names another schema: %s", file, rel)
		}
	}
}

func TestTheReadmeShowsTheOutputOfTheDemo(t *testing.T) {
	_, section, _ := strings.Cut(read(t, "README.md"), "## What the demo prints\n\n```\n")
	shown, _, _ := strings.Cut(section, "```")
	var printed strings.Builder
	at := demo.Addresses{Sidecar: "127.0.0.1:8080", API: "127.0.0.1:37115"}
	if err := demo.Tour(&printed, at); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(shown, "\n")
	if len(lines) < 10 {
		t.Fatalf("only %d lines", len(lines))
	}
	for _, line := range lines {
		if begin := strings.TrimSuffix(line, "…"); !strings.Contains(printed.String(), "\n"+begin) {
			t.Errorf("the demo does not print %q", line)
		}
	}
}

func TestEveryLinkResolves(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[^)]+)?\)`)
	found := 0
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			found++
			target := page
			if m[1] != "" {
				target = path.Join(path.Dir(page), m[1])
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			} else if m[2] != "" && !slices.Contains(anchors(read(t, target)), m[2]) {
				t.Errorf("%s links to %s, which has no heading %s", page, target, m[2])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links were found", found)
	}
}

// anchors are the fragments of a page's headings.
func anchors(text string) []string {
	var found []string
	dropped := regexp.MustCompile("[^a-z0-9 _-]")
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := dropped.ReplaceAllString(strings.ToLower(m[1]), "")
		found = append(found, "#"+strings.ReplaceAll(name, " ", "-"))
	}
	return found
}

func TestTheDocsNameOnlyVariablesThatExist(t *testing.T) {
	// Variables of the examples, the tests and the Makefile.
	known := map[string]bool{
		"JWT_SECRET": true, "CLEANUP_TOKEN": true,
		"CHECK_SEED": true, "CHECK_OPS": true, "CHECK_JOBS": true,
		"GAME_ADDR": true, "GAME_DB": true, "GAME_DELAY_MIN": true, "GAME_DELAY_MAX": true,
		"GAME_H2C": true, "GAME_ORIGIN": true, "NPC_DELAY": true, "RATE_LIMIT": true,
		"ACCESS_TOKEN_TTL": true, "PASSWORD_COST": true,
	}
	for _, v := range config.Variables() {
		known[v.Name], known[v.Name+"_FILE"] = true, true
	}
	variable, found := regexp.MustCompile("`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\\b"), 0
	for _, page := range pages(t) {
		for _, m := range variable.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if !known[m[1]] {
				t.Errorf("%s names %s, which is no variable", page, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d variables were found", found)
	}
}

func TestTheDocsNameOnlyMetricsThatExist(t *testing.T) {
	var known strings.Builder
	for _, file := range packages(t)["internal/telemetry"] {
		known.WriteString(read(t, file))
	}
	metric, found := regexp.MustCompile("`(sidecar_[a-z_]+|(?:cache|jobs)_[a-z]+_total)"), 0
	for _, page := range pages(t) {
		if page == "CHANGELOG.md" { // which has old names too
			continue
		}
		for _, m := range metric.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if !strings.Contains(known.String(), `"`+m[1]+`"`) {
				t.Errorf("%s names the metric %s, which does not exist", page, m[1])
			}
		}
	}
	if found == 0 {
		t.Error("no metric was found")
	}
}

func TestTheDocsNameOnlyMakeTargetsThatExist(t *testing.T) {
	makefile := read(t, "Makefile")
	command, found := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)"), 0
	for _, page := range pages(t) {
		for _, m := range command.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s names make %s, which is no target", page, m[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d targets were found", found)
	}
}

// A file name without a directory lies in that of the name before it; a quoted one lies in the
// root.
func TestTheMapNamesOnlyFilesThatExist(t *testing.T) {
	name, found := regexp.MustCompile("`?[a-zA-Z0-9_/]+\\.go\\b"), 0
	for _, file := range []string{"docs/architecture.md", "CONTRIBUTING.md"} {
		dir := "."
		for _, named := range name.FindAllString(read(t, file), -1) {
			found++
			quoted := strings.TrimPrefix(named, "`")
			if quoted != named || strings.Contains(named, "/") {
				named, dir = quoted, path.Dir(quoted)
			}
			if _, err := os.Stat(path.Join(dir, path.Base(named))); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d files were found", found)
	}
	known := packages(t)
	for _, pkg := range regexp.MustCompile(`(?m)^//\t([a-z/, ]+?) {2,}|^//\t([a-z/, ]+) slow`).
		FindAllStringSubmatch(read(t, "doc.go"), -1) {
		for named := range strings.SplitSeq(pkg[1]+pkg[2], ", ") {
			if known[named] == nil {
				t.Errorf("doc.go names %q, which is no package", named)
			}
		}
	}
}

// packages are the Go files of each directory, without tests.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, file := range filesNamed(t, ".go") {
		if !strings.HasSuffix(file, "_test.go") {
			found[path.Dir(file)] = append(found[path.Dir(file)], file)
		}
	}
	return found
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for pkg, files := range packages(t) {
		var commented []string
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil,
				parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Doc == nil {
				continue
			}
			commented = append(commented, file)
			if begin := "Package " + parsed.Name.Name +
				" "; parsed.Name.Name != "main" && !strings.HasPrefix(parsed.Doc.Text(), begin) {
				t.Errorf("%s: the comment does not begin with %q", file, begin)
			}
		}
		if len(commented) != 1 {
			t.Errorf("%s has %d package comments: %s", pkg, len(commented), commented)
		}
	}
}

// proseWidth is the greatest width of comments and prose, in columns; a tab has four.
const proseWidth = 100

func isWide(line string) bool {
	return utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    ")) > proseWidth
}

// Tables and code are free.
func TestProseIsWrapped(t *testing.T) {
	for _, page := range pages(t) {
		code := false
		for i, line := range strings.Split(read(t, page), "\n") {
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				code = !code
			}
			if !code && !strings.HasPrefix(line, "|") &&
				!strings.HasPrefix(line, "    ") && isWide(line) {
				t.Errorf("%s:%d has more than %d columns", page, i+1, proseWidth)
			}
		}
	}
}

// unwrapped are the directories whose comments are not wrapped yet. It only ever gets shorter.
var unwrapped = []string{
	"internal/httpcache",
}

func TestCommentsAreWrapped(t *testing.T) {
	wide := map[string]bool{}
	for _, file := range filesNamed(t, ".go") {
		dir := path.Dir(file)
		for i, line := range strings.Split(read(t, file), "\n") {
			if !strings.HasPrefix(strings.TrimSpace(line), "//") || !isWide(line) {
				continue
			}
			if wide[dir] = true; !slices.Contains(unwrapped, dir) {
				t.Errorf("%s:%d: a comment of more than %d columns", file, i+1, proseWidth)
			}
		}
	}
	for _, dir := range unwrapped {
		if !wide[dir] {
			t.Errorf("%s is wrapped: take it off the list", dir)
		}
	}
}
