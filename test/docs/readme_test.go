package docs

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// The demo prints what README.md shows, and its commands do what it says.
func TestTheDemo(t *testing.T) {
	t.Parallel()
	s := open(t, clone(t))
	command := strings.TrimSpace(beginning(t, "README.md", "make demo"))
	demo := s.start(command + " DEMO='--listen " + s.data + " --ops " + s.ops + "'")
	s.await(demo, "^Ctrl-C ends it")
	tour := demo.String()
	prints(t, beginning(t, "README.md", "A game API listens"), tour)

	var steps []string
	step := regexp.MustCompile("(?ms)^(\\d)\\. .*?\n\n(.*?)\n\n")
	for _, m := range step.FindAllStringSubmatch(tour, -1) {
		steps = append(steps, m[2])
	}
	if len(steps) != 4 {
		t.Fatalf("%d steps in\n%s", len(steps), tour)
	}
	prints(t, beginning(t, "README.md", "HTTP/1.1 200 OK"), s.must(steps[0]+"\n"+steps[1]))
	prints(t, `…"status":"queued"…
…"name":"Grum the 1."…`, strings.ReplaceAll(s.must(strings.ReplaceAll(steps[2], "$job\n",
		"$job; echo\n")), "running", "queued"))

	stopped := s.must(steps[3])
	if !strings.Contains(stopped, "HTTP/1.1 200 OK") || !strings.Contains(stopped, "degraded") {
		t.Errorf("without Redis:\n%s", stopped)
	}
	thorin := "Authorization: Bearer demo-thorin"
	proc.Await(t, time.Minute, func() error {
		_, header, body := s.exchange("GET", s.data, "/api/v1/characters/1", "", thorin)
		if cache := header.Get("Cache-Status"); !strings.Contains(cache, "hit") {
			return fmt.Errorf("with Redis again: %s %s", cache, body)
		}
		return nil
	})
}

// The commands of the game API's README, but its tests, which make test runs.
func TestTheGameAPI(t *testing.T) {
	t.Parallel()
	const page = "examples/gameapi/README.md"
	lines := strings.Split(beginning(t, page, "cd examples/gameapi"), "\n")
	if len(lines) != 4 || lines[2] != "go test ./..." {
		t.Fatalf("other commands: %q", lines)
	}
	s := open(t, clone(t), "GAME_DB="+filepath.Join(t.TempDir(), "game.db"), "PASSWORD_COST=4")
	game := s.start(lines[0] + "\n" + lines[1])
	s.await(game, "listening on http://"+s.api)
	output := s.must(beginning(t, page, "api="))
	if !strings.Contains(output, `"id":"c1"`) || !strings.Contains(output, `"success":true`) {
		t.Errorf("the last command prints\n%s", output)
	}
}

// yourAPI is an API with the routes of the policies in README.md, on the shell's API address.
func yourAPI(t *testing.T, s *shell) {
	t.Helper()
	var hp atomic.Int64
	api := httptest.NewUnstartedServer(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			switch r.Method {
			case http.MethodPut:
				hp.Add(1)
			case http.MethodPost:
				w.WriteHeader(http.StatusCreated)
			}
			fmt.Fprintf(w, `{"hp": %d}`, hp.Load())
		}))
	listener, err := net.Listen("tcp", s.api)
	if err != nil {
		t.Fatal(err)
	}
	api.Listener.Close()
	api.Listener = listener
	api.Start()
	t.Cleanup(api.Close)
}

// What README.md says under "Use it".
func TestUseIt(t *testing.T) {
	t.Parallel()
	page := "README.md"
	dir := t.TempDir()
	s := open(t, dir)
	yourAPI(t, s)
	const caller = "Authorization: Bearer a-token"
	policies := beginning(t, page, "version: 1")
	if err := os.WriteFile(filepath.Join(dir, "my-policies.yaml"), []byte(policies),
		0o600); err != nil {
		t.Fatal(err)
	}
	_, build, _ := strings.Cut(beginning(t, page, "make build"), "\n") // clone has built it
	checked := s.must(build)
	for _, part := range []string{"my-policies.yaml:", "2 warnings", "nobody verifies",
		"GET /api/v1/characters/{id}", "character:42"} {
		if !strings.Contains(checked, part) {
			t.Errorf("validate and explain print no %q:\n%s", part, checked)
		}
	}

	var runs []string
	for _, b := range blocks(t, page) {
		if strings.HasPrefix(b.text, "BACKEND_URL=") {
			runs = append(runs, b.text)
		}
	}
	if len(runs) != 2 {
		t.Fatalf("%d ways to run it", len(runs))
	}
	const character = "/api/v1/characters/42"
	cache := func(s *shell, method, target, content string, more ...string) string {
		_, header, _ := s.exchange(method, s.data, target, content,
			append(more, caller, "Host: api.example", "Content-Type: application/json")...)
		return header.Get("Cache-Status")
	}
	hits := func(s *shell) {
		t.Helper()
		proc.Await(t, time.Minute, func() error {
			if got := cache(s, "GET", character, ""); !strings.Contains(got, "sidecar; hit; ttl=") {
				return fmt.Errorf("%s: %q", character, got)
			}
			return nil
		})
	}
	s.start(runs[0])
	s.ready()
	if got := cache(s, "GET", character, ""); got != "sidecar; fwd=uri-miss; stored" {
		t.Errorf("the first read: %q", got)
	}
	hits(s)
	if got := cache(s, "PUT", character, `{"hp": 5}`); got != "sidecar; fwd=method" {
		t.Errorf("a write: %q", got)
	}
	if got := cache(s, "GET", character, ""); got != "sidecar; fwd=miss; stored" {
		t.Errorf("the read after it: %q", got)
	}
	if got := cache(s, "GET", "/api/v1/characters", ""); got != "sidecar; fwd=bypass" {
		t.Errorf("a route without a policy: %q", got)
	}
	status, header, body := s.exchange("POST", s.data, "/api/v1/npc/generate",
		`{"prompt": "a smith"}`, caller, "Content-Type: application/json")
	job := header.Get("Location")
	if status != http.StatusAccepted || !strings.HasPrefix(job, "/_jobs/") {
		t.Errorf("a job route: %d, Location %q: %s", status, job, body)
	}
	proc.Await(t, time.Minute, func() error {
		status, body := s.ask("GET", s.data, job+"/result", caller)
		if status != http.StatusCreated {
			return fmt.Errorf("the result: %d %s", status, body)
		}
		return nil
	})
	if status, body := s.ask("GET", s.ops, "/"); status != http.StatusOK ||
		!strings.Contains(body, "<html") {
		t.Errorf("the page: %d %.100s", status, body)
	}
	if out := s.must("bin/sidecar env"); !strings.Contains(out, "BACKEND_URL") ||
		!strings.Contains(out, "http://127.0.0.1:3000") {
		t.Errorf("bin/sidecar env prints\n%s", out)
	}

	redis := redisd.Start(t)
	first := open(t, dir, "REDIS_PORT="+redis.Port())
	second := open(t, dir, "REDIS_PORT="+redis.Port())
	for _, one := range []*shell{first, second} {
		one.swap = strings.NewReplacer("127.0.0.1:3000", s.api)
		one.start(runs[1])
		one.ready()
	}
	hits(first)
	if got := cache(second, "GET", character, ""); !strings.Contains(got, "hit") {
		t.Errorf("the other sidecar has %q of what one has stored", got)
	}
}

// Each row of the table of Cache-Status in README.md is seen, with other numbers.
func TestEachCacheStatusOfTheReadme(t *testing.T) {
	t.Parallel()
	_, table, found := strings.Cut(read(t, "README.md"),
		"| `Cache-Status` | meaning |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if !found || strings.Count(table, "\n") < 6 {
		t.Fatalf("no table: %s", table)
	}
	var wanted []string
	number := regexp.MustCompile(`(ttl=-?)\d+`)
	for row := range strings.Lines(table) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "| `"), "`")
		wanted = append(wanted, number.ReplaceAllString(cell, "${1}N"))
	}

	var status atomic.Int64
	status.Store(http.StatusOK)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := int(status.Load()); code != http.StatusOK {
			w.WriteHeader(code)
			return
		}
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
		}
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(file, []byte(`version: 1
routes:
  - {name: a, match: GET /a, cache: {scope: shared, ttl: 1s}}
  - {name: b, match: GET /b, cache: {scope: shared, ttl: 1s, stale_while_revalidate: 1m}}
  - {name: c, match: GET /c, cache: {scope: shared, ttl: 1s, stale_if_error: 1m}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "BACKEND_URL="+api.URL, "REDIS_EMBEDDED=true", "POLICIES_FILE="+file)
	s.start("bin/sidecar")
	s.ready()
	var seen []string
	see := func(method, target string) {
		_, header, _ := s.exchange(method, s.data, target, "")
		cache := number.ReplaceAllString(header.Get("Cache-Status"), "${1}N")
		if !slices.Contains(seen, cache) {
			seen = append(seen, cache)
		}
	}
	see("PUT", "/a")
	see("GET", "/nothing")
	proc.Await(t, time.Minute, func() error {
		if _, header, _ := s.exchange("GET", s.data, "/c", ""); !strings.Contains(
			header.Get("Cache-Status"), "hit") {
			return fmt.Errorf("/c: %q", header)
		}
		return nil
	})
	proc.Await(t, time.Minute, func() error {
		status.Store(http.StatusOK)
		see("GET", "/a")
		see("GET", "/b")
		status.Store(http.StatusServiceUnavailable)
		see("GET", "/c") // which nothing refreshes
		for _, cache := range wanted {
			if !slices.Contains(seen, cache) {
				return fmt.Errorf("%q was not seen: %q", cache, seen)
			}
		}
		return nil
	})
}
