package docs

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each command of docs/first-policies.md works in a directory of its own, and what the page shows
// of a document is what is proposed from that of the tests.
func TestFirstPolicies(t *testing.T) {
	t.Parallel()
	const page = "docs/first-policies.md"
	document := read(t, "internal/openapi/testdata/game.yaml")
	yours := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/openapi.") {
			fmt.Fprint(w, document)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"name": "sword"}`)
	}))
	t.Cleanup(yours.Close)
	lines := strings.Split(strings.TrimSpace(beginning(t, page, "bin/sidecar init")), "\n")
	last := len(lines) - 1
	if last != 4 || !strings.HasPrefix(lines[last], "bin/sidecar validate") {
		t.Fatalf("other commands: %q", lines)
	}
	command := strings.NewReplacer("https://api.example", yours.URL, "http://127.0.0.1:3000",
		yours.URL, "--for 10m", "--for 1s")
	for _, line := range lines[:last] {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "openapi.yaml"), []byte(document),
			0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		file := "my-policies.yaml"
		if !strings.Contains(line, "-o "+file) {
			file = "policies.yaml"
		}
		written := func() string {
			content, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			return string(content)
		}
		validate := strings.ReplaceAll(lines[last], "my-policies.yaml", file)
		s.must(command.Replace(line) + "\n" + validate)
		proposed := written()

		// Neither command replaces a file without --force.
		s = open(t, dir)
		output, status := s.run(command.Replace(line))
		if status == 0 || !strings.Contains(output, "--force") || written() != proposed {
			t.Errorf("%s, again: status %d, %s", line, status, output)
		}
		if strings.Contains(line, "observe") {
			continue
		}
		forced := strings.Replace(command.Replace(line), " init", " init --force", 1)
		if err := os.WriteFile(filepath.Join(dir, file), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.must(forced); written() != proposed {
			t.Errorf("%s: the file is\n%s", forced, written())
		}
	}

	s := open(t, t.TempDir())
	proposed := s.must("curl -s " + yours.URL + "/openapi.yaml | bin/sidecar init -o - -")
	_, shown, _ := strings.Cut(beginning(t, page, "version: 1\n\nroutes:\n  # Line"), "routes:\n")
	for route := range strings.SplitSeq(strings.TrimSpace(shown), "\n\n") {
		if !strings.Contains(proposed, strings.TrimSpace(route)+"\n") {
			t.Errorf("the page shows a route that is not proposed:\n%s\n\nbut\n%s", route, proposed)
		}
	}
}
