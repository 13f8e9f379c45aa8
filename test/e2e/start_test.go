package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
)

// The commands of docs/start.md print, in their order, the lines that it shows.
func TestTheStartPageDoesWhatItSays(t *testing.T) {
	t.Parallel()
	var item atomic.Value
	item.Store(`{"name": "sword"}`)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			body, _ := io.ReadAll(r.Body)
			item.Store(string(body))
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, item.Load())
	}))
	t.Cleanup(api.Close)
	page, err := os.ReadFile("../../docs/start.md")
	if err != nil {
		t.Fatal(err)
	}
	data, ops := freeAddress(t), freeAddress(t)
	addresses := strings.NewReplacer("127.0.0.1:3000", strings.TrimPrefix(api.URL, "http://"),
		"127.0.0.1:8080", data, "127.0.0.1:9090", ops)
	var script, shown []string
	for _, block := range regexp.MustCompile("(?s)\n```(sh)?\n(.*?)```").
		FindAllStringSubmatch(string(page), -1) {
		switch {
		case block[1] == "sh":
			script = append(script, addresses.Replace(block[2]))
		case len(script) > 0: // lines before the first command cannot be its output
			shown = append(shown, strings.Split(strings.TrimSpace(block[2]), "\n")...)
		}
	}
	if len(script) < 6 || len(shown) < 6 {
		t.Fatalf("%d blocks of commands, %d lines of output", len(script), len(shown))
	}

	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(proc.Build(t, "../../cmd/sidecar"),
		filepath.Join(dir, "bin/sidecar")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-ec",
		"trap 'kill $!; wait $!' EXIT\n"+strings.Join(script, "\n"))
	command.WaitDelay = 10 * time.Second
	command.Dir = dir
	command.Env = append(proc.Env(), "LISTEN_ADDR="+data, "OPS_ADDR="+ops, "SHUTDOWN_DELAY=0",
		"REDIS_TIMEOUT=5s")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	rest := string(output)
	for _, line := range shown {
		_, after, found := strings.Cut(rest, strings.TrimSpace(line))
		if !found {
			t.Fatalf("%q does not come, or not there, in\n%s", line, output)
		}
		rest = after
	}
	if strings.Contains(string(output), "DATA RACE") ||
		!strings.Contains(rest+string(output), `{"name": "axe"}`) {
		t.Errorf("%s", output)
	}
}
