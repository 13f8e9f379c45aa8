package compose

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
)

func TestMain(m *testing.M) {
	status := m.Run()
	proc.Clean()
	os.Exit(status)
}

// local replaces an address in another container by that of the process that stands for it.
type local struct{ replacer *strings.Replacer }

func (l local) environment(env map[string]string) []string {
	var list []string
	for name, value := range env {
		list = append(list, name+"="+l.replacer.Replace(value))
	}
	return list
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// The processes of the project, without containers: the same commands, variables and files, with
// other addresses.
func TestItsProcessesWorkTogether(t *testing.T) {
	project, err := load("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	redisPort, gamePort, dir := freePort(t), freePort(t), t.TempDir()
	redis, game, sidecar := project.Services["redis"], project.Services["game"],
		project.Services["sidecar"]

	server := proc.Start(t, proc.Cmd{
		Path: redis.Command[0], Args: append(redis.Command[1:], "--port", redisPort, "--bind",
			"127.0.0.1", "--dir", dir),
	})
	server.AwaitLine(20*time.Second, "Ready to accept connections")
	ping := exec.Command(redis.HealthCheck.Test[1],
		append([]string{"-p", redisPort}, redis.HealthCheck.Test[2:]...)...)
	if out, err := ping.CombinedOutput(); err != nil || !strings.Contains(string(out), "PONG") {
		t.Errorf("the healthcheck: %v %s", err, out)
	}

	l := local{strings.NewReplacer(":3000", "127.0.0.1:"+gamePort, "/data/", dir+"/")}
	api := proc.Start(t, proc.Cmd{
		Path: proc.Build(t, game.Build.Context),
		Env:  append(l.environment(environment(game)), "PASSWORD_COST=4"),
	})
	api.AwaitLine(30*time.Second, "listening on")

	l = local{strings.NewReplacer("http://game:3000", "http://127.0.0.1:"+gamePort,
		"/etc/sidecar/policies.yaml", sidecar.Volumes[0].Source)}
	env := environment(sidecar)
	if env["REDIS_HOST"] != "redis" {
		t.Fatalf("REDIS_HOST is %s", env["REDIS_HOST"])
	}
	env["REDIS_HOST"], env["REDIS_PORT"] = "127.0.0.1", redisPort
	env["LISTEN_ADDR"], env["OPS_ADDR"] = "127.0.0.1:0", "127.0.0.1:0"
	env["LOG_FORMAT"], env["REDIS_TIMEOUT"] = "json", "5s" // for the test alone
	binary := proc.Build(t, filepath.Join(sidecar.Build.Context, "cmd/sidecar"))
	s := proc.Start(t, proc.Cmd{Path: binary, Env: l.environment(env)})
	line := s.AwaitLine(30*time.Second, `"msg":"listening","data":"([^"]+)","ops":"([^"]+)"`)
	data, ops := "http://"+line[1], "http://"+line[2]
	proc.Await(t, 20*time.Second, func() error {
		_, err := get(ops+"/healthz/redis", "")
		return err
	})

	health := exec.Command(binary, sidecar.HealthCheck.Test[2:]...)
	health.Env = []string{"OPS_ADDR=" + line[2]}
	if out, err := health.CombinedOutput(); err != nil {
		t.Errorf("the healthcheck of the sidecar: %v %s", err, out)
	}

	token := login(t, data)
	proc.Await(t, 20*time.Second, func() error {
		status, err := get(data+"/api/v1/characters", token)
		if err == nil && !strings.HasPrefix(status, "sidecar; hit") {
			err = fmt.Errorf("no hit: %q", status)
		}
		return err
	})
	if _, err := get(ops+"/metrics", ""); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "appendonlydir")); err != nil {
		t.Errorf("no append-only file: %v", err)
	}
}

// get returns the Cache-Status of an answer; an error if it is not 200.
func get(url, token string) (cacheStatus string, err error) {
	req, err := http.NewRequest(http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Cookie", "csrf_token=given-before")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", url, resp.Status, body)
	}
	return resp.Header.Get("Cache-Status"), err
}

func login(t *testing.T, base string) (token string) {
	t.Helper()
	resp, err := http.Post(base+"/api/v1/auth/login", "application/json",
		strings.NewReader(`{"username": "thorin", "password": "thorin-password"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var envelope struct {
		Data struct {
			AccessToken string `json:"access_token"`
		} `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&envelope); err != nil ||
		envelope.Data.AccessToken == "" {
		t.Fatalf("login: %s %v", resp.Status, err)
	}
	return envelope.Data.AccessToken
}
