package sidecar_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sidecar/internal/config"
	"sidecar/policy"
)

func pages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("docs/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no docs", err)
	}
	return append(files, "README.md", "CONTRIBUTING.md", "k8s/README.md")
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

func TestEveryPoliciesFileInTheDocsIsValid(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```")
	found := 0
	for _, page := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(read(t, page), -1) {
			found++
			if _, _, err := policy.Load([]byte(m[1]), policy.Options{File: page, Env: env}); err != nil {
				t.Error(err)
			}
		}
	}
	for _, file := range []string{"policies.yaml", "internal/demo/policies.yaml"} {
		if _, _, err := policy.Load([]byte(read(t, file)), policy.Options{File: file, Env: env}); err != nil {
			t.Error(err)
		}
	}
	if found < 2 {
		t.Errorf("%d policies files in the docs", found)
	}
}

func TestTheDocsNameOnlyFilesThatExist(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

func TestTheDocsNameOnlyVariablesThatExist(t *testing.T) {
	known := map[string]bool{"JWT_SECRET": true, "CLEANUP_TOKEN": true}
	for _, v := range config.Variables() {
		known[v.Name], known[v.Name+"_FILE"] = true, true
	}
	variable := regexp.MustCompile("`((?:REDIS|JOBS|BREAKER|BACKEND|LISTEN|OPS|ADMIN|KEY|MAX|POLICIES|TRUSTED|CACHE|LOG|SHUTDOWN|READY)_[A-Z_]+)")
	for _, page := range pages(t) {
		for _, m := range variable.FindAllStringSubmatch(read(t, page), -1) {
			if name := strings.TrimSuffix(m[1], "_"); !known[name] && name != "JOBS_REDIS" {
				t.Errorf("%s names %s, which is no variable", page, name)
			}
		}
	}
}
