package jobscheck

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// A world is three sidecars on one Redis, before one API.
type world struct {
	t        testing.TB
	redis    *redisd.Server
	api      *api
	sidecars []*sidecar
	policies string

	mu       sync.Mutex
	requests []*request
}

type sidecar struct {
	*proc.Proc
	wire   *faultproxy.Proxy // the way to Redis; nil: there is none between
	listen string
	ops    string
}

func (s *sidecar) url() string { return "http://" + s.listen }

// timeout is that of each attempt. No order takes half of it: a job that fails by it was failed
// by the sidecar.
const timeout = 4 * time.Second

// limit is how many jobs of the route few may run at once.
const limit = 3

// policies: one failure of an attempt is final on the route once, where the API never fails.
var policies = fmt.Sprintf(`version: 1
defaults: {job: {timeout: %v, retention: 1h}}
routes:
  - {name: once, match: POST /once, job: {mode: always, max_retry: 0}}
  - {name: again, match: POST /again, job: {mode: always, max_retry: 5}}
  - {name: prefer, match: POST /prefer, job: {mode: prefer, max_retry: 0}}
  - {name: after, match: POST /after, job: {mode: after, after: 300ms, max_retry: 5}}
  - name: few
    match: POST /few
    job: {mode: always, max_running: %d, max_running_per_caller: 2, max_retry: 0}
`, timeout, limit)

func newWorld(t *testing.T, redis ...redisd.Option) *world {
	t.Helper()
	w := &world{t: t, redis: redisd.Start(t, redis...), api: newAPI(t, nil)}
	w.policies = filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(w.policies, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s := &sidecar{
			wire: faultproxy.Start(t, w.redis.Addr()), listen: "127.0.0.1:0", ops: "127.0.0.1:0",
		}
		w.sidecars = append(w.sidecars, s)
		w.start(s)
	}
	for _, s := range w.sidecars {
		w.awaitRedis(s)
	}
	return w
}

// start starts a sidecar, where it was before if it was.
func (w *world) start(s *sidecar, env ...string) {
	w.t.Helper()
	way := w.redis.Addr()
	if s.wire != nil {
		way = s.wire.Addr()
	}
	host, port, _ := net.SplitHostPort(way)
	s.Proc = proc.Start(w.t, proc.Cmd{
		Path: proc.Build(w.t, "../../cmd/sidecar"),
		Env: append([]string{
			"BACKEND_URL=" + w.api.URL, "REDIS_HOST=" + host, "REDIS_PORT=" + port,
			"POLICIES_FILE=" + w.policies, "LISTEN_ADDR=" + s.listen, "OPS_ADDR=" + s.ops,
			"KEY_SECRET=the checker's secret of 32 bytes!", "JOBS_CONCURRENCY=4",
			"REDIS_TIMEOUT=500ms", "BREAKER_TIMEOUT=300ms", "BREAKER_MAX_REQUESTS=1",
			"CACHE_STATUS=full", "LOG_FORMAT=json", "SHUTDOWN_TIMEOUT=6s", "SHUTDOWN_DELAY=0",
			"READY_REQUIRES_BACKEND=never",
		}, env...),
	})
	line := s.AwaitLine(30*time.Second, `"msg":"listening","data":"([^"]+)","ops":"([^"]+)"`)
	s.listen, s.ops = line[1], line[2]
}

// awaitRedis waits until a sidecar has its Redis.
func (w *world) awaitRedis(s *sidecar) {
	w.t.Helper()
	proc.Await(w.t, 30*time.Second, func() error {
		resp, err := http.Get("http://" + s.ops + "/healthz/redis")
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
