// Package e2e tests the binaries as a user would run them: real processes, a real Redis, the game
// API with its database, real sockets and signals. Each file is named by the promise that it tests.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// jwtSecret is the secret that the game API and the sidecar share.
const jwtSecret = "a secret for tests that is long enough"

// adminToken is the ADMIN_TOKEN of every sidecar of these tests.
const adminToken = "admin-token-for-tests"

// hasty bounds the operations of a Redis that does not answer. Without it a test waits for seconds,
// so that a busy machine is not taken for such a Redis.
func hasty(env ...string) []string {
	return append([]string{"REDIS_TIMEOUT=500ms", "REDIS_STORE_TIMEOUT=2s"}, env...)
}

// A stack is a sidecar in front of a backend, with a Redis of its own.
type stack struct {
	t       *testing.T
	redis   *redisd.Server
	sidecar *proc.Proc
	api     string // base URL of the backend
	url     string // base URL of the sidecar
	ops     string // base URL of its ops address
}

// shippedPolicies is the top-level policies file, which is for the game API.
func shippedPolicies(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// policiesFile writes a policies file and returns its path.
func policiesFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startGame starts the game API with a fresh database and returns its process and base URL.
func startGame(t *testing.T, env ...string) (*proc.Proc, string) {
	t.Helper()
	game := proc.Start(t, proc.Cmd{
		Path: proc.Build(t, "../../examples/gameapi"),
		Env: append([]string{
			"GAME_ADDR=127.0.0.1:0", "GAME_DB=" + filepath.Join(t.TempDir(), "game.db"),
			"JWT_SECRET=" + jwtSecret, "NPC_DELAY=50ms", "RATE_LIMIT=1000000",
			// else a start hashes for seconds
			"CLEANUP_TOKEN=cleanup-token-for-tests", "PASSWORD_COST=4",
		}, env...),
	})
	return game, game.AwaitLine(60*time.Second, `listening on (http://\S+)`)[1]
}

// startSidecar starts a sidecar in front of backend with this policies file. redis is host:port.
func startSidecar(t *testing.T, backend, redis, policies string,
	env ...string) (p *proc.Proc, url, ops string) {
	t.Helper()
	host, port, _ := strings.Cut(redis, ":")
	p = proc.Start(t, proc.Cmd{
		Path: proc.Build(t, "../../cmd/sidecar"),
		Env: append([]string{
			"BACKEND_URL=" + backend, "REDIS_HOST=" + host, "REDIS_PORT=" + port,
			"POLICIES_FILE=" + policies,
			"LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0", "JWT_SECRET=" + jwtSecret,
			"ADMIN_TOKEN=" + adminToken,
			"KEY_SECRET=key-secret-for-tests-of-32-bytes!", "CACHE_STATUS=full", "LOG_LEVEL=debug",
			"LOG_FORMAT=json",
			"REDIS_TIMEOUT=5s", "REDIS_STORE_TIMEOUT=10s", // a busy machine is not tested here
			"SHUTDOWN_DELAY=0",
		}, env...),
	})
	line := p.AwaitLine(60*time.Second, `"msg":"listening","data":"([^"]+)","ops":"([^"]+)"`)
	return p, "http://" + line[1], "http://" + line[2]
}

// start starts the game API, a Redis and a sidecar with the shipped policies.
func start(t *testing.T, env ...string) *stack {
	t.Helper()
	_, api := startGame(t)
	return startBefore(t, api, shippedPolicies(t), env...)
}

// startBefore starts a Redis and a sidecar before the backend.
func startBefore(t *testing.T, backend, policies string, env ...string) *stack {
	t.Helper()
	s := &stack{t: t, redis: redisd.Start(t), api: backend}
	s.sidecar, s.url, s.ops = startSidecar(t, backend, s.redis.Addr(), policies, env...)
	s.awaitCaching()
	return s
}

// awaitCaching waits until the sidecar has reached its Redis.
func (s *stack) awaitCaching() {
	s.t.Helper()
	proc.Await(s.t, 60*time.Second, func() error {
		resp, err := http.Get(s.ops + "/healthz/redis")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/healthz/redis answers %s", resp.Status)
		}
		return nil
	})
}

// An answer is the response that a client got.
type answer struct {
	status int
	fields http.Header
	body   []byte
}

// cache is the answer's Cache-Status.
func (a answer) cache() string { return a.fields.Get("Cache-Status") }

// hit reports whether the answer came from the store.
func (a answer) hit() bool { return strings.HasPrefix(a.cache(), "sidecar; hit") }

// do sends a request to base and reads its answer whole. fields are "Name: value". A body that is
// no string is sent as JSON.
func do(t testing.TB, method, url string, body any, fields ...string) answer {
	t.Helper()
	a, err := try(t.Context(), method, url, body, fields...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// try is do for requests that may fail.
func try(ctx context.Context, method, url string, body any, fields ...string) (answer, error) {
	var content io.Reader
	isJSON := false
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		content, isJSON = bytes.NewReader(encoded), true
	}
	req, err := http.NewRequestWithContext(ctx, method, url, content)
	if err != nil {
		return answer{}, err
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Add(name, value)
	}
	if req.Header.Get("Cookie") == "" {
		req.Header.Set("Cookie", "csrf_token=given-before") // as a returning client sends it
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, got}, err
}

// client asks for nothing by itself: no compression, no redirects, no proxy.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       60 * time.Second,
}

// login logs a user of the game in, at base, and returns the Authorization field.
func login(t testing.TB, base, user string) string {
	t.Helper()
	a := do(t, http.MethodPost, base+"/api/v1/auth/login",
		map[string]string{"username": user, "password": user + "-password"})
	var envelope struct {
		Data struct {
			AccessToken string `json:"access_token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(a.body, &envelope); err != nil || envelope.Data.AccessToken == "" {
		t.Fatalf("login of %s: %d %s", user, a.status, a.body)
	}
	return "Authorization: Bearer " + envelope.Data.AccessToken
}

// replace writes a file beside path and puts it in its place, so that nobody reads half of it.
func replace(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
