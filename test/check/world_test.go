package check

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// registers is how many registers there are.
const registers = 40

// A world is three sidecars on one Redis, before one backend with a real database.
type world struct {
	t        *testing.T
	redis    *redisd.Server
	replica  *redisd.Server // nil where nothing fails over
	backend  string
	sidecars []*sidecar
	history  *history
	rolled   bool        // the policies are those of the second version
	quiet    atomic.Bool // clients pause between their operations
	strict   bool
	off      string // guards that are switched off, as JSON
	// no write is to be lost for the machine's being busy: nothing that is allowed for that
	patient bool
}

type sidecar struct {
	*proc.Proc
	wire     *faultproxy.Proxy // the way to Redis
	url      string
	policies string
	listen   string
	ops      string
}

// policies are the policies of all sidecars; with other, their tags differ. On the route behind,
// registers soon grow stale and are then served while they are validated. A response that a write
// made old never is.
func policies(strict, other bool) string {
	tag, consistency := "reg", "available"
	if other {
		tag = "other"
	}
	if strict {
		consistency = "strict"
	}
	return strings.NewReplacer("TAG", tag, "CONSISTENCY", consistency).Replace(`version: 1
routes:
  - {name: register, match: "GET /r/{id}", cache: {scope: shared, ttl: 1h, tags: ["TAG:{id}"]}}
  - {name: behind, match: "GET /b/{id}", cache: {scope: shared, ttl: 1s, stale_while_revalidate: 1h, stale_if_error: 1h, tags: ["TAG:{id}"]}}
  - {name: memory, match: "GET /m/{id}", cache: {scope: shared, ttl: 1h, tags: ["TAG:{id}"], memory: 10s}}
  - {name: dated, match: "GET /s/{id}", cache: {scope: shared, tags: ["TAG:{id}"]}}
  - {name: list, match: GET /list, cache: {scope: shared, ttl: 1h, tags: ["TAG:{response.body.items.#.id}"]}}
  - {name: put, match: "PUT /w/{id}", invalidate: ["TAG:{id}"], consistency: CONSISTENCY}
  - {name: post, match: POST /w, invalidate: ["TAG:{response.body.id}"], consistency: CONSISTENCY}
`)
}

func newWorld(t *testing.T, c class) *world {
	t.Helper()
	w := &world{
		t: t, strict: c.strict, off: c.off, patient: !c.strict && c.elsewhere == 0,
		redis: redisd.Start(t, c.redis...),
	}
	if c.failsOver {
		w.replica = redisd.Start(t)
		w.replica.Do("REPLICAOF", w.redis.Host(), w.redis.Port())
	}
	backend := proc.Start(t, proc.Cmd{
		Path: proc.Build(t, "../register"),
		Args: []string{
			"-db", filepath.Join(t.TempDir(), "register.db"), "-n", fmt.Sprint(registers),
		},
	})
	w.backend = backend.AwaitLine(30*time.Second, `listening on (http://\S+)`)[1]
	for i := range 3 {
		s := &sidecar{
			wire: faultproxy.Start(t, w.redis.Addr()), listen: "127.0.0.1:0", ops: "127.0.0.1:0",
			policies: filepath.Join(t.TempDir(), fmt.Sprintf("policies-%d.yaml", i)),
		}
		if err := os.WriteFile(s.policies, []byte(policies(w.strict, false)), 0o600); err != nil {
			t.Fatal(err)
		}
		w.sidecars = append(w.sidecars, s)
		w.start(s)
	}
	for _, s := range w.sidecars {
		w.awaitCaching(s)
	}
	return w
}

// start starts a sidecar, where it was before if it was.
func (w *world) start(s *sidecar) {
	w.t.Helper()
	host, port, _ := net.SplitHostPort(s.wire.Addr())
	var tags, env []string
	if w.off != "" {
		tags, env = []string{"guardsoff"}, []string{"GUARDS_OFF=" + w.off}
	}
	if w.patient {
		env = append(env, "REDIS_TIMEOUT=5s")
	}
	s.Proc = proc.Start(w.t, proc.Cmd{
		Path: proc.Build(w.t, "../../cmd/sidecar", tags...),
		Env: append(env,
			"BACKEND_URL="+w.backend, "REDIS_HOST="+host, "REDIS_PORT="+port,
			"POLICIES_FILE="+s.policies, "JOBS_CONCURRENCY=0",
			"LISTEN_ADDR="+s.listen, "OPS_ADDR="+s.ops,
			"KEY_SECRET=the checker's secret of 32 bytes!", "CACHE_STATUS=full",
			"BREAKER_TIMEOUT=200ms", "BREAKER_MAX_REQUESTS=1", "LOG_FORMAT=json",
			"SHUTDOWN_TIMEOUT=5s", "SHUTDOWN_DELAY=0",
		),
	})
	line := s.AwaitLine(30*time.Second, `"msg":"listening","data":"([^"]+)","ops":"([^"]+)"`)
	if s.url == "" { // clients read it from now on
		s.listen, s.ops, s.url = line[1], line[2], "http://"+line[1]
	}
}

// awaitCaching waits until a sidecar has its Redis.
func (w *world) awaitCaching(s *sidecar) {
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

// swap gives a sidecar other policies, and waits until they are in force.
func (w *world) swap(s *sidecar, other bool) {
	w.t.Helper()
	before := s.Count(`policies loaded`)
	if err := os.WriteFile(s.policies+".new", []byte(policies(w.strict, other)),
		0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(s.policies+".new", s.policies); err != nil {
		w.t.Fatal(err)
	}
	proc.Await(w.t, 10*time.Second, func() error {
		if s.Count(`policies loaded`) == before {
			return fmt.Errorf("the policies were not read again")
		}
		return nil
	})
}
