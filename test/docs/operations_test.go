package docs

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

const operations = "docs/operations.md"

// What docs/operations.md shows, of a sidecar with two Redis, as there.
func TestOperations(t *testing.T) {
	t.Parallel()
	var version atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			version.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"version": %d}`, version.Load())
	}))
	t.Cleanup(api.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "policies.yaml")
	if err := os.WriteFile(file, []byte(`version: 1
caller: {credentials: ["header:Authorization"]}
routes:
  - name: character
    match: GET /api/v1/characters/{id}
    cache: {scope: private, ttl: 1h, tags: ["character:{id}"], verify: {share: 100%}}
  - {name: characters, match: GET /api/v1/characters, cache: {scope: private, ttl: 1h}}
  - {match: "PUT /api/v1/characters/{id}", invalidate: ["character:{id}"]}
  - {name: generate, match: POST /api/v1/npc/generate, job: {mode: always}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	cache, jobs := redisd.Start(t), redisd.Start(t)
	s := open(t, dir, "REDIS_PORT="+cache.Port(), "JOBS_REDIS_PORT="+jobs.Port(),
		"REDIS_KEY_PREFIX=game", "ADMIN_TOKEN=a-token-of-the-operator", "TOKEN=x",
		"CACHE_STATUS=full")
	s.swap = strings.NewReplacer("http://127.0.0.1:3000", api.URL,
		"REDIS_HOST=redis-cache", "REDIS_HOST=127.0.0.1",
		"JOBS_REDIS_HOST=redis-jobs", "JOBS_REDIS_HOST=127.0.0.1")
	s.start(beginning(t, operations, "BACKEND_URL="))
	s.ready()

	explained := s.must(beginning(t, operations, "sidecar explain"))
	for _, part := range []string{"characters", "{caller}", "character:42", "lifetime"} {
		if !strings.Contains(explained, part) {
			t.Errorf("explain prints no %q:\n%s", part, explained)
		}
	}
	endpoints(t, s)
	commandsOfRedis(t, s, cache, jobs)

	var status struct {
		Verified map[string]any `json:"verified"`
	}
	proc.Await(t, time.Minute, func() error {
		s.ask("GET", s.data, "/api/v1/characters/42", "Authorization: Bearer x")
		_, body := s.ask("GET", s.ops, "/status")
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(fmt.Sprint(status.Verified), "none of ") {
			return fmt.Errorf("nothing was verified: %s", body)
		}
		return nil
	})
	var shown struct {
		Verified map[string]any `json:"verified"`
	}
	if err := json.Unmarshal([]byte("{"+beginning(t, operations, `"verified":`)+"}"),
		&shown); err != nil {
		t.Fatal(err)
	}
	if names(shown.Verified) != names(status.Verified) {
		t.Errorf("/status has %v, the page shows %v", status.Verified, shown.Verified)
	}
}

// names are those of the members of a JSON value, at every depth, but those of counts that are left
// out where they are zero.
func names(value any) string {
	switch v := value.(type) {
	case map[string]any:
		found := map[string]string{}
		for name, member := range v {
			if name != "inconclusive_by" {
				found[name] = names(member)
			}
		}
		return fmt.Sprint(found)
	case []any:
		if len(v) > 0 {
			return names(v[0])
		}
	}
	return ""
}

// endpoints asks for each endpoint of the page's table, once.
func endpoints(t *testing.T, s *shell) {
	t.Helper()
	const admin = "Authorization: Bearer a-token-of-the-operator"
	_, header, _ := s.exchange("POST", s.data, "/api/v1/npc/generate", "{}",
		"Authorization: Bearer x")
	job := strings.TrimPrefix(header.Get("Location"), "/_jobs/")
	content := map[string]string{
		"/admin/purge":   `{"tags": ["character:42"]}`,
		"/admin/explain": "GET /api/v1/characters/42 HTTP/1.1\r\nHost: api\r\n\r\n",
	}
	row := regexp.MustCompile("(?m)^\\| ((?:`[A-Z]+`, )*)`([A-Z]+) (/[^`]*)` \\|")
	found := row.FindAllStringSubmatch(read(t, operations), -1)
	if len(found) < 12 {
		t.Fatalf("%d endpoints", len(found))
	}
	left := "/admin/leave" // ends the traffic: it is asked last, by its command
	for _, m := range found {
		methods := append(regexp.MustCompile("[A-Z]+").FindAllString(m[1], -1), m[2])
		for _, method := range methods {
			path := strings.ReplaceAll(m[3], "{id}", job)
			if path == left || method == "GET" && path == "/" {
				continue
			}
			if status, _ := s.ask(method, s.data, path); status == 0 {
				t.Errorf("%s %s on the data plane: no answer", method, path)
			}
			status, _, body := s.exchange(method, s.ops, path, content[path], admin)
			if status >= 300 && !strings.Contains(path, job) || status == http.StatusNotFound ||
				status >= 500 {
				t.Errorf("%s %s: %d %s", method, path, status, body)
			}
			if !strings.HasPrefix(path, "/admin") {
				continue
			}
			if status, _, _ := s.exchange(method, s.ops, path, content[path]); status < 400 {
				t.Errorf("%s %s without the token: %d", method, path, status)
			}
		}
	}
	for _, command := range []string{
		"sidecar purge character:42 /api/v1/characters", "sidecar jobs ls --status failed",
		"sidecar healthcheck", "sidecar explain --live",
	} {
		if !strings.Contains(read(t, operations), "`"+command+"`") {
			t.Errorf("the page does not name %s", command)
		}
	}
	s.must("sidecar purge character:42 /api/v1/characters\nsidecar jobs ls --status failed\n" +
		"sidecar healthcheck --ready\nsidecar explain --live GET /api/v1/characters/42")
}

// commandsOfRedis looks at Redis as the page's debugging session does.
func commandsOfRedis(t *testing.T, s *shell, cache, jobs *redisd.Server) {
	t.Helper()
	const reader, target = "Authorization: Bearer y", "/api/v1/characters/42"
	monitor := s.start("redis-cli -p " + cache.Port() + " MONITOR")
	s.await(monitor, "^OK")
	lines := func(of string, do func()) string {
		cache.Do("ECHO", "begin of "+of)
		do()
		proc.Await(t, time.Minute, func() error {
			cache.Do("ECHO", "end of "+of)
			if !strings.Contains(monitor.String(), "end of "+of) {
				return fmt.Errorf("no end in %s", monitor)
			}
			return nil
		})
		_, part, _ := strings.Cut(monitor.String(), "begin of "+of)
		part, _, _ = strings.Cut(part, "end of "+of)
		return part
	}
	stored := func() {
		proc.Await(t, time.Minute, func() error {
			_, header, _ := s.exchange("GET", s.data, target, "", reader)
			if got := header.Get("Cache-Status"); !strings.Contains(got, "sidecar; hit") {
				return fmt.Errorf("%q", got)
			}
			return nil
		})
	}
	miss := lines("a miss", stored)
	hit := lines("a hit", func() { s.ask("GET", s.data, target, reader) })
	write := lines("a write", func() { s.ask("PUT", s.data, target, reader) })

	var shown []string
	for _, b := range blocks(t, operations) {
		if strings.HasPrefix(b.text, `"mget"`) {
			shown = append(shown, b.text)
		}
	}
	if len(shown) != 2 {
		t.Fatalf("%d parts of MONITOR", len(shown))
	}
	comes(t, shown[0], hit)
	comes(t, shown[1], miss)
	for _, command := range []string{`"DEL" "game:t:{`, `"ZADD" "game:w:{`, `"ZREM" "game:w:{`,
		`"PUBLISH" "game:invalidated"`} {
		if !strings.Contains(strings.ToLower(write), strings.ToLower(command)) {
			t.Errorf("a write sends no %s:\n%s", command, write)
		}
	}
	for _, sent := range []string{`"game:probe"`, `"game:known:{all}"`, `"hello"`,
		`"info" "replication"`} {
		s.await(monitor, sent)
	}

	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	clients := s.must("redis-cli -p " + cache.Port() + " CLIENT LIST\nredis-cli -p " +
		jobs.Port() + " CLIENT LIST")
	for line := range strings.Lines(beginning(t, operations, "id=3")) {
		for _, field := range strings.Fields(line) {
			name, value, found := strings.Cut(field, "=")
			switch {
			case !found:
			case name == "name":
				field = strings.ReplaceAll(value, "api-7c9d-x2x", host)
				fallthrough
			default:
				if name != "name" {
					field = " " + name + "="
				}
				if !strings.Contains(" "+clients, field) {
					t.Errorf("CLIENT LIST has no %q:\n%s", field, clients)
				}
			}
		}
	}
	info := s.must("redis-cli -p " + cache.Port() + " INFO memory\nredis-cli -p " + cache.Port() +
		" INFO stats")
	for line := range strings.Lines(beginning(t, operations, "used_memory")) {
		name, _, _ := strings.Cut(line, ":")
		if !strings.Contains(info, "\n"+name+":") {
			t.Errorf("INFO has no %s", name)
		}
	}
}

// comes checks that the commands of the page are sent in their order, with other digests.
func comes(t *testing.T, shown, sent string) {
	t.Helper()
	digest := strings.NewReplacer("QYFxvP9WaTMJjJWoxeY_hA", "[A-Za-z0-9_-]{22}",
		"k8R9IZE6OtefmuhVRMYH5Q", "[A-Za-z0-9_-]{22}", "3bab7f83", "[0-9a-f]{8}",
		"e00b6c67", "[0-9a-f]{8}", `"13"`, `"\d+"`, `"6"`, `"\d+"`, "…", "[^\n]*?")
	rest := sent
	scanner := bufio.NewScanner(strings.NewReader(shown))
	for scanner.Scan() {
		line := digest.Replace(regexp.QuoteMeta(scanner.Text()))
		at := regexp.MustCompile(line).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("%s is not sent, or not there, but\n%s", scanner.Text(), sent)
		}
		rest = rest[at[1]:]
	}
}

// With the variables of docs/tracing.md the collector gets a trace of that service.
func TestTraces(t *testing.T) {
	t.Parallel()
	got := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content, _ := io.ReadAll(r.Body)
		select {
		case got <- r.URL.Path + " " + string(content):
		default:
		}
	}))
	t.Cleanup(collector.Close)
	dir := t.TempDir()
	file := filepath.Join(dir, "policies.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nroutes: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, "BACKEND_URL="+collector.URL, "REDIS_EMBEDDED=true")
	s.swap = strings.NewReplacer("http://collector:4318", collector.URL)
	s.start(beginning(t, "docs/tracing.md", "OTEL_EXPORTER"))
	s.ready()
	s.ask("GET", s.data, "/traced")
	proc.Await(t, time.Minute, func() error {
		select {
		case trace := <-got:
			if strings.HasPrefix(trace, "/v1/traces ") && strings.Contains(trace, "game-sidecar") {
				return nil
			}
			return fmt.Errorf("another request: %.100q", trace)
		default:
			return errors.New("no trace")
		}
	})
}

// The loop of docs/redis.md writes a token to its file, and ends when there is none.
func TestATokenThatIsWrittenAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, "PATH="+dir+":"+os.Getenv("PATH"))
	command := "#!/bin/sh\nmv left gone && echo a-token\n"
	for name, content := range map[string]string{"aws-token-command": command, "left": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.swap = strings.NewReplacer("/tokens/", dir+"/", "sleep 600", "")
	s.must(beginning(t, "docs/redis.md", "while token="))
	content, err := os.ReadFile(filepath.Join(dir, "redis"))
	if err != nil || string(content) != "a-token" {
		t.Errorf("the file has %q: %v", content, err)
	}
}

// Every policies file of the pages is accepted by the program.
func TestEveryPoliciesFileIsValid(t *testing.T) {
	t.Parallel()
	secret := "=a-secret-that-is-long-enough-for-HS256"
	s := open(t, t.TempDir(), "JWT_SECRET"+secret, "PGRST_JWT_SECRET"+secret,
		"CLEANUP_TOKEN"+secret)
	count := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if !isPolicies(b) {
				continue
			}
			count++
			output, status := s.run("bin/sidecar validate - <<'EOF'\n" + b.text + "EOF")
			if status != 0 {
				t.Errorf("%s:%d: status %d\n%s", page, b.line, status, output)
			}
		}
	}
	if count < 15 {
		t.Errorf("only %d policies files", count)
	}
}

// Commands and flags that the pages name are those of the program.
func TestEveryCommandAndFlagIsThere(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	named := regexp.MustCompile(`(?:^|[/ ])sidecar ((?:jobs )?[a-z]+)($|[^a-z].*)`)
	code := regexp.MustCompile("`[^`\n]+`")
	flag := regexp.MustCompile(` (--[a-z][a-z-]*|-[a-zA-Z]\b)`)
	help := map[string]string{}
	used := map[string]bool{}
	for _, page := range pages(t) {
		var commands []string
		for _, m := range code.FindAllString(fence.ReplaceAllString(read(t, page), ""), -1) {
			commands = append(commands, strings.Trim(m, "`"))
		}
		for _, b := range blocks(t, page) {
			if b.language == "sh" || strings.HasPrefix(b.text, "bin/sidecar") {
				commands = append(commands, strings.Split(
					strings.ReplaceAll(b.text, "\\\n", " "), "\n")...)
			}
		}
		for _, text := range commands {
			m := named.FindStringSubmatch(text)
			if m == nil || strings.Contains(text, "git clone") {
				continue
			}
			name := m[1]
			if help[name] == "" {
				output, status := s.run("bin/sidecar " + name + " --help")
				if status != 0 {
					t.Errorf("%s names sidecar %s: %s", page, name, output)
				}
				help[name] = output
			}
			used[name] = true
			rest, _, _ := strings.Cut(m[2], "#")
			for _, f := range flag.FindAllStringSubmatch(rest, -1) {
				if !regexp.MustCompile(`[ ,\[]` + f[1] + `[ ,\]]`).MatchString(help[name]) {
					t.Errorf("%s: %s has no %s", page, text, f[1])
				}
			}
		}
	}
	if len(used) < 10 {
		t.Errorf("only %v are named", maps.Keys(used))
	}
}
