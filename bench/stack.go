package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A stack is everything that runs: the origin in this process, Redis, and the servers.
type stack struct {
	*processes
	origin  *origin
	redis   *process
	client  *redis.Client // of that Redis
	binary  string        // the sidecar
	profile string        // the sidecar with the tag profile; "" if it is not built
	missing []string      // peers that are left out, and why
}

func newStack(ctx context.Context, binary, profile string) (_ *stack, err error) {
	ps, err := newProcesses()
	if err != nil {
		return nil, err
	}
	s := &stack{processes: ps, binary: binary, profile: profile}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.origin, err = startOrigin(filepath.Join(s.dir, "api.sock")); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	s.redis, err = s.start("redis", nil, "redis-server", "--port", port, "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", s.dir)
	if err != nil {
		return nil, err
	}
	s.client = redis.NewClient(&redis.Options{Addr: addr})
	return s, s.redis.await(ctx, func() error { return s.client.Ping(ctx).Err() })
}

func (s *stack) close() {
	s.stop()
	if s.origin != nil {
		_ = s.origin.server.Close()
	}
	if s.client != nil {
		_ = s.client.Close()
	}
}

// build builds the sidecar as make build does, but with the compiled packages of other builds.
func build(ctx context.Context, module, out string, tags ...string) error {
	args := []string{"build", "-tags", strings.Join(tags, ","), "-o", out}
	if len(tags) == 0 { // a profile needs the symbols
		args = append(args, "-ldflags", "-s -w")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/sidecar")...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w: %s", err, out)
	}
	return nil
}

// A server answers on addr.
type server struct {
	*process
	addr string
	ops  string // of a sidecar
	// profiles is where a profiled sidecar shows them
	profiles string
}

func (v server) url(path string) string { return "http://" + v.addr + path }

// answers asks a server until it answers a path as the origin would.
func (s *stack) answers(ctx context.Context, v server, path string) error {
	want := s.origin.body(filepath.Base(path))
	return v.await(ctx, func() error {
		_, body, err := get(v.url(path))
		if err == nil && !bytes.Equal(body, want) {
			err = fmt.Errorf("%s: another body of %d bytes", path, len(body))
		}
		return err
	})
}

// policiesHead begins each policies file. By default no entry of a caller whose credentials are not
// verified lives for longer than 5 minutes.
const policiesHead = `version: 1
caller: {max_age: 1h}
routes:
`

// policies are those of the comparison.
const policies = policiesHead + `
  - match: GET /hit/{id}
    cache: {ttl: 1h, scope: private, tags: ["character:{id}"], memory: 1h}
  - match: GET /redis/{id}
    cache: {ttl: 1h, scope: private, tags: ["character:{id}"], memory: off}
`

// sidecar starts one.
func (s *stack) sidecar(ctx context.Context, name, policies string, env ...string) (server, error) {
	return s.startSidecar(ctx, s.binary, name, policies, env)
}

// profiled starts one that shows its profiles.
func (s *stack) profiled(ctx context.Context, name, policies string, env ...string) (
	server, error) {
	addr, err := freeAddr()
	if err != nil {
		return server{}, err
	}
	v, err := s.startSidecar(ctx, s.profile, name, policies, append(env, "PROFILE_ADDR="+addr))
	v.profiles = "http://" + addr + "/debug/pprof/"
	return v, err
}

func (s *stack) startSidecar(ctx context.Context, binary, name, policies string, env []string) (
	v server, err error) {
	file, err := s.file(name+".yaml", policies)
	if err != nil {
		return v, err
	}
	if v.addr, err = freeAddr(); err != nil {
		return v, err
	}
	if v.ops, err = freeAddr(); err != nil {
		return v, err
	}
	host, port, _ := net.SplitHostPort(s.client.Options().Addr)
	env = append([]string{
		"BACKEND_URL=http://" + s.origin.addr, "LISTEN_ADDR=" + v.addr, "OPS_ADDR=" + v.ops,
		"POLICIES_FILE=" + file, "REDIS_HOST=" + host, "REDIS_PORT=" + port, "LOG_LEVEL=warn",
		"KEY_SECRET=a secret of the benchmark, long enough",
	}, env...)
	if v.process, err = s.start(name, env, binary); err != nil {
		return v, err
	}
	return v, s.answers(ctx, v, "/pass/ready")
}

// large is from which size on paths say that bodies are large.
const large = 10_000

// sizeName is the last element of the path of a body of this size.
func sizeName(size int) string {
	if size < large {
		return "b" + strconv.Itoa(size)
	}
	return "B" + strconv.Itoa(size)
}
