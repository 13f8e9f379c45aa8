package sidecar_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// rows are the packages of the module from top to bottom, as docs/architecture.md draws them. A
// package imports only from rows below its own.
var rows = [][]string{
	{"cmd/sidecar"},
	{"wire", "proxy", "jobhook", "internal/ops", "internal/demo", "internal/openapi",
		"internal/observe"},
	{"internal/store", "internal/jobs", "internal/invalidation"},
	{"internal/coherence", "internal/lease", "internal/collapse", "internal/keysecret",
		"internal/entry", "internal/backend", "internal/propose", "policy"},
	{"internal/redisconn", "internal/httpcache", "internal/caller", "internal/memory",
		"policy/yamldoc"},
	{"policy/pattern", "internal/jsonbody", "cachekeys", "internal/telemetry", "internal/config",
		"internal/problem", "internal/tracing"},
	{"internal/httpfield"},
	{"internal/reason", "internal/nearest", "internal/peek", "internal/socket"},
}

func rowOf(pkg string) int {
	for i, row := range rows {
		for _, p := range row {
			if p == pkg {
				return i
			}
		}
	}
	return -1
}

func TestPackagesImportOnlyFromRowsBelow(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() &&
			(file == "examples" || file == "k8s" || file == "coherence-model" || file == "test" ||
				file == "bench" || strings.HasPrefix(d.Name(), ".") && file != ".") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") ||
			path.Dir(file) == "." {
			return nil
		}
		from := filepath.ToSlash(filepath.Dir(file))
		if rowOf(from) < 0 {
			t.Errorf("%s is in no row: add it to rows and to docs/architecture.md", from)
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			to, ours := strings.CutPrefix(imported, "sidecar/")
			if !ours {
				continue
			}
			checked++
			if rowOf(to) <= rowOf(from) {
				t.Errorf("%s imports %s, which is not below it", file, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Fatal("no import was looked at")
	}
}

// The compiler would take minutes for another architecture. If the same files are compiled for
// both, with 64 bits each, then one compiles if the other does.
func TestBothArchitecturesAreMadeOfTheSameFiles(t *testing.T) {
	files := map[string]string{}
	for _, arch := range []string{"amd64", "arm64"} {
		list := exec.Command("go", "list", "-deps", "-f",
			`{{if .Module}}{{if .Module.Main}}{{.ImportPath}} {{.GoFiles}}{{end}}{{if not .GoFiles}} no files: {{.ImportPath}}{{end}}{{end}}`,
			"./cmd/sidecar")
		list.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
		out, err := list.CombinedOutput()
		if err != nil || strings.Contains(string(out), "no files: ") {
			t.Fatalf("%s: %v\n%s", arch, err, out)
		}
		files[arch] = string(out)
	}
	if files["amd64"] != files["arm64"] || !strings.Contains(files["amd64"], "sidecar/wire [") {
		t.Errorf("amd64:\n%s\narm64:\n%s", files["amd64"], files["arm64"])
	}
}
