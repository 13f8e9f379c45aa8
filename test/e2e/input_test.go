package e2e

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
)

// sidecar runs a command to its end and returns its exit status and all that it wrote.
func sidecar(t *testing.T, env []string, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, proc.Build(t, "../../cmd/sidecar"), args...)
	var out bytes.Buffer
	cmd.Env, cmd.Dir = append(proc.Env(), env...), t.TempDir()
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%v did not end: %s", args, out.String())
	case errors.As(err, &exit):
		return exit.ExitCode(), out.String()
	case err != nil:
		t.Fatal(err)
	}
	return 0, out.String()
}

func TestBadInputGetsOneClearAnswer(t *testing.T) {
	t.Parallel()
	good := policiesFile(t, nothing)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	bad := func(content string) string { return policiesFile(t, content) }
	const redis, anyPort = "REDIS_EMBEDDED=true", "LISTEN_ADDR=127.0.0.1:0"
	for _, c := range []struct {
		name   string
		env    []string
		args   []string
		status int
		want   string
	}{
		{"no Redis", []string{"POLICIES_FILE=" + good}, nil, 2,
			"no Redis is configured: set REDIS_HOST"},
		{"two kinds of Redis", []string{redis, "REDIS_HOST=a"}, nil, 2, "more than one Redis"},
		{"a misspelt variable", []string{redis, "REDIS_TIMEUOT=1s"}, nil, 2,
			"did you mean REDIS_TIMEOUT?"},
		{"a malformed value", []string{redis, "BREAKER_TIMEOUT=soon"}, nil, 2, "BREAKER_TIMEOUT"},
		{"no policies file", []string{redis, "POLICIES_FILE=/nowhere/policies.yaml"}, nil, 2,
			"POLICIES_FILE says where the policies are"},
		{"a malformed policies file", []string{redis, "POLICIES_FILE=" + bad("version: [1\n")}, nil,
			2, "policies.yaml:"},
		{"an unknown field", []string{
			redis, "POLICIES_FILE=" + bad("version: 1\nroutes:\n  - {match: GET /a, cach: {}}\n"),
		}, nil, 2, `did you mean "cache"?`},
		{"a share without %", []string{
			redis, "POLICIES_FILE=" +
				bad("version: 1\nroutes:\n"+
					"  - {match: GET /a, cache: {scope: shared, verify: {share: 1}}}\n"),
		}, nil, 2, "from 0% to 100%"},
		{"a conflict", []string{
			redis, "POLICIES_FILE=" +
				bad("version: 1\nroutes:\n  - {match: \"GET /{a}/b\", cache: {scope: shared}}\n"+
					"  - {match: \"GET /a/{b}\", cache: {scope: shared}}\n"),
		}, nil, 2, "neither is more specific"},
		{"an unknown template variable",
			[]string{redis, "POLICIES_FILE=" +
				bad("version: 1\nroutes:\n"+
					"  - {match: \"GET /{a}\", cache: {scope: shared, tags: [\"x:{b}\"]}}\n")}, nil,
			2, "has no wildcard {b}"},
		{"an unset secret", []string{redis, "POLICIES_FILE=" + shippedPolicies(t)}, nil, 2,
			"JWT_SECRET is not set"},
		{"an address in use", []string{
			redis, "POLICIES_FILE=" + good, "LISTEN_ADDR=" + taken.Addr().String(),
			"OPS_ADDR=127.0.0.1:0",
		}, nil, 2, "is in use by another process"},
		{"a backend with a path", []string{
			redis, "POLICIES_FILE=" + good, anyPort, "BACKEND_URL=http://127.0.0.1:1/api",
		}, nil, 2, "BACKEND_URL"},
		{"an odd backend", []string{
			redis, "POLICIES_FILE=" + good, anyPort, "BACKEND_URL=ftp://127.0.0.1",
		}, nil, 2, "http, https, h2c or unix"},
		{"a short sealing key", []string{
			redis, "POLICIES_FILE=" + good, anyPort, "JOBS_ENCRYPTION_KEY=c2hvcnQ=",
		}, nil, 2, "key 1 of JOBS_ENCRYPTION_KEY: 5 bytes, want 32"},
		{"a sealing key that is not base64",
			[]string{redis, "POLICIES_FILE=" + good, anyPort, "JOBS_ENCRYPTION_KEY=a!c2hvcnQ="},
			nil, 2, "key 1 of JOBS_ENCRYPTION_KEY: not base64"},
		{"an unknown command", nil, []string{"frobnicate"}, 2, "there is no command"},
		{"an unknown flag", nil, []string{"run", "--frobnicate"}, 2, "frobnicate"},
		{"validate: faults", nil, []string{
			"validate", bad("version: 1\nroutes:\n  - {match: GET /a, cache: {}}\n"),
		}, 1, "scope must be stated"},
		{"validate: none", nil, []string{"validate", good}, 0, "no faults"},
		{"validate: the shipped policies", nil,
			[]string{"validate", shippedPolicies(t)}, 0, "no faults"},
		{"validate: JSON", nil, []string{"validate", "--format", "json", bad("version: 2\n")}, 1,
			`"severity": "error"`},
		{"validate: GitHub", nil, []string{"validate", "--format=github", bad("version: 2\n")},
			1, "::error file="},
		{"validate: no file", nil, []string{"validate", "/nowhere.yaml"}, 2, "/nowhere.yaml"},
		{"purge without a token", nil, []string{"purge", "a"}, 2, "ADMIN_TOKEN"},
		{"purge of nothing", []string{"ADMIN_TOKEN=a"}, []string{"purge"}, 2, "name the tags"},
		{"env", nil, []string{"env"}, 0, "REDIS_KEY_PREFIX"},
		{"version", nil, []string{"version"}, 0, "sidecar "},
		{"help", nil, []string{"--help"}, 0, "usage: sidecar"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, output := sidecar(t, c.env, c.args...)
			if status != c.status || !strings.Contains(output, c.want) {
				t.Errorf("exit status %d, want %d with %q:\n%s", status, c.status, c.want, output)
			}
			if strings.Contains(output, "c2hvcnQ=") || strings.Contains(output, "goroutine ") {
				t.Errorf("a secret or a crash:\n%s", output)
			}
		})
	}
}

func TestAPathCannotForgeATag(t *testing.T) {
	t.Parallel()
	s := start(t)
	thorin := login(t, s.url, "thorin")
	character := s.url + "/api/v1/characters/c1"
	do(t, http.MethodGet, character, nil, thorin)
	for _, path := range []string{
		"/api/v1/characters/%2A", "/api/v1/characters/c2:*", "/api/v1/characters/x%3Ac1",
		"/api/v1/campaigns/%2E%2E%2Fcharacters%2Fc2",
	} {
		do(t, http.MethodPatch, s.url+path, `{"name":"Forged"}`, thorin,
			"Content-Type: application/json")
		if a := do(t, http.MethodGet, character, nil, thorin); !a.hit() {
			t.Errorf("a write to %s dropped another character's entry: %q", path, a.cache())
		}
	}
}

func TestPoliciesAreReadAgainAndABadFileIsRefused(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	policies := policiesFile(t, nothing)
	s := startBefore(t, api, policies)
	version := func() string {
		a := do(t, http.MethodGet, s.ops+"/admin/policies", nil,
			"Authorization: Bearer "+adminToken)
		if a.status != http.StatusOK {
			t.Fatalf("/admin/policies: %d %s", a.status, a.body)
		}
		_, rest, _ := strings.Cut(string(a.body), `"version": "`)
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	first := version()
	swap := func(content string) {
		t.Helper()
		replace(t, policies, content)
	}
	swap("version: 1\nroutes:\n" +
		"  - {match: GET /healthz, cache: {scope: shared, ttl: 1m, set_cookie: {drop: [csrf_token]}}}\n")
	awaitThat(t, "the new policies are in force", func() bool { return version() != first })
	second := version()
	do(t, http.MethodGet, s.url+"/healthz", nil)
	awaitThat(t, "the new route is cached",
		func() bool { return do(t, http.MethodGet, s.url+"/healthz", nil).hit() })
	swap("version: 1\nroutes: [{match: nonsense}]\n")
	awaitThat(t, "the fault is told", func() bool {
		return strings.Contains(string(do(t, http.MethodGet, s.ops+"/status", nil).body),
			"is refused")
	})
	if version() != second {
		t.Error("a bad file changed what is in force")
	}
	if a := do(t, http.MethodPost, s.ops+"/admin/reload", nil,
		"Authorization: Bearer "+adminToken); a.status != http.StatusUnprocessableEntity {
		t.Errorf("/admin/reload of a bad file: %d %s", a.status, a.body)
	}
}

func awaitThat(t *testing.T, what string, holds func() bool) {
	t.Helper()
	proc.Await(t, time.Minute, func() error {
		if !holds() {
			return errors.New("not yet: " + what)
		}
		return nil
	})
}

func TestTheOpsAddressAnswersAndTheDataPlaneDoesNot(t *testing.T) {
	t.Parallel()
	s := start(t)
	thorin := login(t, s.url, "thorin")
	do(t, http.MethodGet, s.url+"/api/v1/characters", nil, thorin)
	awaitThat(t, "a hit", func() bool {
		return do(t, http.MethodGet, s.url+"/api/v1/characters", nil, thorin).hit()
	})

	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/healthz/redis": "healthy",
		"/status": `"status": "healthy"`, "/metrics": `cache_hits_total{cache_name="characters"}`,
	} {
		if a := do(t, http.MethodGet, s.ops+path, nil); a.status != http.StatusOK ||
			!strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d, without %q: %.400s", path, a.status, want, a.body)
		}
	}
	do(t, http.MethodGet, s.url+"/api/v1/characters", nil, thorin+"x")
	s.awaitJob(generate(t, s.url, "a clerk", thorin), thorin)
	metrics := string(do(t, http.MethodGet, s.ops+"/metrics", nil).body)
	for _, series := range []string{
		`jobs_queued_total{job_type="npc_generation",queue="default"} 1`,
		`jobs_processed_total{job_type="npc_generation",status="succeeded"} 1`,
		`cache_misses_total{cache_name="characters"}`, `sidecar_breaker_state{redis="cache"} 0`,
		`kind="token"} 1`, `queue="default",state="pending"} 0`,
	} {
		if !strings.Contains(metrics, series) {
			t.Errorf("/metrics lacks %s", series)
		}
	}
	for _, who := range []string{"X-None: 1", "Authorization: Bearer wrong", thorin} {
		if a := do(t, http.MethodPost, s.ops+"/admin/purge", `{"all":true}`,
			who); a.status != http.StatusUnauthorized {
			t.Errorf("purge with %q: %d", who, a.status)
		}
	}
	admin := "Authorization: Bearer " + adminToken
	for body, status := range map[string]int{
		`{"tags":["user:u1:characters"]}`: 200, `{"urls":["/api/v1/characters"]}`: 200,
		`{"tags":["user:*"]}`: 200, `{"all":true}`: 200,
		`{}`: 400, `{"tags":["nowhere:*"]}`: 400, `{"tags":[""]}`: 400, `nonsense`: 400,
		`{"tag":["a"]}`: 400,
	} {
		do(t, http.MethodGet, s.url+"/api/v1/characters", nil, thorin)
		awaitThat(t, "a hit", func() bool {
			return do(t, http.MethodGet, s.url+"/api/v1/characters", nil, thorin).hit()
		})
		if a := do(t, http.MethodPost, s.ops+"/admin/purge", body, admin); a.status != status {
			t.Errorf("purge %s: %d %s", body, a.status, a.body)
		}
		if hit := do(t, http.MethodGet, s.url+"/api/v1/characters", nil,
			thorin).hit(); hit != (status != 200) {
			t.Errorf("after purge %s: hit %t", body, hit)
		}
	}
	status, output := sidecar(t, []string{"ADMIN_TOKEN=" + adminToken}, "purge", "--ops", s.ops,
		"user:u1:characters")
	if status != 0 || !strings.Contains(output, "purged") {
		t.Errorf("sidecar purge: %d %s", status, output)
	}
	for _, path := range []string{"/metrics", "/status", "/admin/purge", "/admin/policies"} {
		if a := do(t, http.MethodGet, s.url+path, nil, admin); a.status != http.StatusNotFound {
			t.Errorf("the data plane answers %s with %d %s", path, a.status, a.body)
		}
	}
	if a := do(t, http.MethodPost, s.url+"/internal/cleanup", nil,
		"Authorization: Bearer cleanup-token-for-tests"); a.status != http.StatusNotFound ||
		!strings.HasPrefix(a.cache(), "sidecar") {
		t.Errorf("a denied route: %d %q", a.status, a.cache())
	}
	for _, path := range []string{
		"//internal/cleanup", "/internal/./cleanup", "/internal%2Fcleanup",
		"/x/../internal/cleanup",
	} {
		resp := raw(t, s.url, "POST", "POST "+path+
			" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		if resp.StatusCode != http.StatusNotFound ||
			!strings.HasPrefix(resp.Header.Get("Cache-Status"), "sidecar") {
			t.Errorf("%s is not denied: %d", path, resp.StatusCode)
		}
	}
}

func TestSecretsReachNeitherLogNorRedis(t *testing.T) {
	t.Parallel()
	s := start(t)
	thorin := login(t, s.url, "thorin")
	for range 3 {
		do(t, http.MethodGet, s.url+"/api/v1/characters?page=1&secret=in-a-query", nil, thorin)
		do(t, http.MethodGet, s.url+"/api/v1/characters", nil, thorin)
	}
	s.awaitJob(generate(t, s.url, "a spy", thorin), thorin)
	token := strings.TrimPrefix(thorin, "Authorization: Bearer ")
	signature := token[strings.LastIndexByte(token, '.')+1:]
	for _, line := range s.sidecar.Lines() {
		for _, secret := range []string{
			signature, jwtSecret, adminToken, "key-secret-for-tests", "in-a-query", "a spy",
		} {
			if strings.Contains(line, secret) {
				t.Errorf("the log has a secret: %s", line)
			}
		}
	}
	for _, key := range s.redis.Do("KEYS", "*").([]any) {
		if strings.Contains(key.(string), signature) || strings.Contains(key.(string), ":u1") {
			t.Errorf("a key of Redis gives something away: %v", key)
		}
	}
	dump := string(do(t, http.MethodGet, s.ops+"/metrics", nil).body) +
		string(do(t, http.MethodGet, s.ops+"/status", nil).body)
	if strings.Contains(dump, signature) || strings.Contains(dump, ":u1") {
		t.Error("metrics or status have something of a caller")
	}
}

func TestAGracefulEndFinishesRequestsInFlight(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	g := newGate(t, api)
	s := startBefore(t, g.URL, shippedPolicies(t))
	thorin := login(t, s.url, "thorin")
	open := g.shut()
	got := make(chan answer, 1)
	go func() { got <- do(t, http.MethodGet, s.url+"/api/v1/characters/c1", nil, thorin) }()
	<-g.held
	s.sidecar.Signal(15)
	awaitThat(t, "no new connections are taken", func() bool {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(s.url, "http://"), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	open()
	if a := <-got; a.status != http.StatusOK {
		t.Errorf("the request in flight: %d %s", a.status, a.body)
	}
	if status := s.sidecar.Wait(25 * time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// Not beside others: the demo has a REDIS_TIMEOUT of its own.
func TestTheDemoDoesWhatItPrints(t *testing.T) {
	p := proc.Start(t, proc.Cmd{
		Path: proc.Build(t, "../../cmd/sidecar"),
		Args: []string{"demo", "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"},
	})
	p.AwaitLine(60*time.Second, `Ctrl-C ends it`)
	script := filepath.Join(t.TempDir(), "tour.sh")
	var lines []string
	for _, line := range p.Lines() {
		if strings.HasPrefix(line, "   ") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	replace(t, script, "set -e\n"+strings.Join(lines, "\n")+"\n")
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sh", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"fwd=uri-miss", "sidecar; hit", `"hp":7`, `"job_id"`, "Grum the 1.", "Redis is out.",
		"detail=breaker-open", `"cache_error": "refused: nothing listens there`,
		`"status": "degraded"`, "Redis is in.",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the tour does not show %q:\n%s", want, out)
		}
	}
	for _, line := range p.Lines() {
		if strings.HasPrefix(line, "redis: ") {
			t.Errorf("a library writes between: %s", line)
			break
		}
	}
}
