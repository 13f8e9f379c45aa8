package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
	"sidecar/wire"
)

const embeddedPolicies = `
version: 1
caller: {credentials: ["header:Authorization"]}
routes:
  - {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
  - {name: held, match: "GET /held/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"], memory: 1h}}
  - {name: craft, match: "POST /craft/{id}", job: {mode: always}, invalidate: ["item:{id}"]}
`

// An embedded sidecar runs in this process with the embedded Redis, before an API that counts.
type embedded struct {
	*sidecar
	t         *testing.T
	log       *lockedBuffer
	data, ops string
}

// embed starts one. It is stopped when the test ends.
func embed(t *testing.T, env ...string) *embedded {
	t.Helper()
	n := 0
	var mu sync.Mutex
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		fmt.Fprintf(w, "answer %d", n)
	}))
	t.Cleanup(api.Close)
	env = append([]string{
		"BACKEND_URL=" + api.URL, "REDIS_EMBEDDED=true", "LISTEN_ADDR=127.0.0.1:0",
		"OPS_ADDR=127.0.0.1:0", "CACHE_STATUS=full",
		"POLICIES_FILE=" + written(t, "policies.yaml", embeddedPolicies),
		"ADMIN_TOKEN=admin-secret", "KEY_SECRET=key-secret-of-the-test",
		"JOBS_ENCRYPTION_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "SHUTDOWN_TIMEOUT=10s",
		"REDIS_TIMEOUT=2s", // a busy machine is not tested here
	}, env...)
	cfg, err := config.Load(env, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &embedded{t: t, log: new(lockedBuffer)}
	if e.sidecar, err = assemble(cfg, environment(env),
		slog.New(slog.NewTextHandler(e.log, nil))); err != nil {
		t.Fatal(err)
	}
	e.data, e.ops = "http://"+e.sidecar.data.listener.Addr().String(), "http://"+
		e.sidecar.ops.listener.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	proc.Await(t, 20*time.Second, e.cache.Healthy)
	proc.Await(t, 20*time.Second, e.jobsConn.Healthy)
	return e
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *lockedBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// ask sends a request, and returns status, Cache-Status and body.
func (e *embedded) ask(method, url, body string,
	fields ...string) (status int, cache, content string) {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Cache-Status"), string(got)
}

// awaitHit waits until a GET is answered from the store, and returns the stored answer.
func (e *embedded) awaitHit(path string) (body string) {
	e.t.Helper()
	proc.Await(e.t, 20*time.Second, func() error {
		var cache string
		if _, cache, body = e.ask("GET", e.data+path,
			""); !strings.HasPrefix(cache, "sidecar; hit") {
			return fmt.Errorf("%s", cache)
		}
		return nil
	})
	return body
}

func TestAWholeSidecarWithTheEmbeddedRedis(t *testing.T) {
	t.Parallel()
	e := embed(t)
	before := e.awaitHit("/items/1")
	if _, _, body := e.ask("PUT", e.data+"/items/1", "x"); body == before {
		t.Error("a write is answered from the store")
	}
	after := e.awaitHit("/items/1")
	if after == before {
		t.Error("the write invalidated nothing")
	}
	if status, _, _ := e.ask("GET", e.ops+"/readyz", ""); status != http.StatusOK {
		t.Errorf("/readyz answers %d", status)
	}
}

// Hits from memory are answered below net/http, counted and logged as others are, and never after
// a write.
func TestHitsFromMemoryAreAnsweredBelowNetHTTP(t *testing.T) {
	t.Parallel()
	e := embed(t)
	l := e.sidecar.data.listener.(*wire.Listener)
	below := func() (body string) {
		t.Helper()
		before := l.Answered()
		proc.Await(t, 20*time.Second, func() error {
			if body = e.awaitHit("/held/1"); l.Answered() == before {
				return fmt.Errorf("%d are answered below net/http", before)
			}
			return nil
		})
		return body
	}
	before := below()
	if _, _, body := e.ask("PUT", e.data+"/items/1", "x"); body == before {
		t.Error("a write is answered from the store")
	}
	if _, _, body := e.ask("GET", e.data+"/held/1", ""); body == before {
		t.Error("the write invalidated nothing")
	}
	below()
	hits := func() (n int) {
		_, _, metrics := e.ask("GET", e.ops+"/metrics", "")
		_, rest, _ := strings.Cut(metrics, `cache_hits_total{cache_name="held"} `)
		_, _ = fmt.Sscan(rest, &n)
		return n
	}
	for answered, counted := l.Answered(), hits(); l.Answered() == answered; {
		e.ask("GET", e.data+"/held/1", "")
		if got := hits(); got != counted+1 {
			t.Fatalf("%d hits are counted, not %d", got, counted+1)
		}
		counted++
	}
}

// So are hits from Redis, until clients are sent elsewhere.
func TestHitsFromRedisAreAnsweredBelowNetHTTP(t *testing.T) {
	t.Parallel()
	e := embed(t)
	l := e.sidecar.data.listener.(*wire.Listener)
	before := l.Answered()
	proc.Await(t, 20*time.Second, func() error {
		if e.awaitHit("/items/1"); l.Answered() == before {
			return errors.New("none is answered below net/http")
		}
		return nil
	})
	e.sidecar.sendElsewhere()
	before = l.Answered()
	for range 3 {
		e.awaitHit("/items/1")
	}
	if l.Answered() != before {
		t.Error("a connection is not sent elsewhere by net/http")
	}
}

func TestTheCommandsPurgeARunningSidecar(t *testing.T) {
	t.Parallel()
	e := embed(t)
	for _, args := range [][]string{{"item:1"}, {"item:*"}, {"--all"}} {
		before := e.awaitHit("/items/1")
		got := runArgs(t, []string{"ADMIN_TOKEN=admin-secret"},
			append([]string{"purge", "--ops", e.ops}, args...)...)
		if got.status != exitDone || !strings.Contains(got.stdout, `"purged": 1`) {
			t.Fatalf("%v: %+v", args, got)
		}
		if e.awaitHit("/items/1") == before {
			t.Errorf("%v purged nothing", args)
		}
	}
	for name, env := range map[string]string{
		"another token": "ADMIN_TOKEN=wrong", "no family": "ADMIN_TOKEN=admin-secret",
	} {
		got := runArgs(t, []string{env}, "purge", "--ops", e.ops, "other:*")
		if got.status != exitFaulty || strings.Contains(got.stderr, "secret") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAJobInvalidatesWhatItChanged(t *testing.T) {
	t.Parallel()
	e := embed(t)
	before := e.awaitHit("/items/1")
	status, _, body := e.ask("POST", e.data+"/craft/1", "a sword", "Authorization: alice-secret")
	var doc struct {
		StatusURL string `json:"status_url"`
	}
	if err := json.Unmarshal([]byte(body), &doc); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	proc.Await(t, 20*time.Second, func() error {
		if _, _, body := e.ask("GET", e.data+doc.StatusURL, "",
			"Authorization: alice-secret"); !strings.Contains(body, "succeeded") {
			return fmt.Errorf("%s", body)
		}
		return nil
	})
	if e.awaitHit("/items/1") == before {
		t.Error("the job invalidated nothing")
	}
}

func TestNoSecretIsShownOrLogged(t *testing.T) {
	t.Parallel()
	e := embed(t)
	proc.Await(t, 20*time.Second, func() error { // a slow answer of Redis refuses the job
		status, _, body := e.ask("POST", e.data+"/craft/1", "body-secret",
			"Authorization: alice-secret", "Idempotency-Key: idempotency-secret")
		if status != http.StatusAccepted {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
	e.ask("GET", e.data+"/items/1?token=query-secret", "", "Cookie: session=cookie-secret")
	said := e.log.String()
	for _, path := range []string{
		"/healthz", "/healthz/redis", "/readyz", "/status", "/metrics", "/nothing",
		"/admin/policies",
	} {
		_, _, body := e.ask("GET", e.ops+path, "", "Authorization: Bearer admin-secret")
		said += body
	}
	for _, secret := range []string{
		"key-secret-of-the-test", "admin-secret", "MDEyMzQ1", "body-secret", "alice-secret",
		"idempotency-secret", "query-secret", "cookie-secret",
	} {
		if strings.Contains(said, secret) {
			t.Errorf("%s is shown", secret)
		}
	}
	for _, shown := range []string{`"status": "healthy"`, `jobs_queued_total{job_type="craft"`} {
		if !strings.Contains(said, shown) {
			t.Errorf("%s is not shown: the test looks in the wrong place", shown)
		}
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, variable := range []string{"LISTEN_ADDR", "OPS_ADDR"} {
		env := []string{
			"REDIS_EMBEDDED=true", "LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
			"POLICIES_FILE=" + written(t, "p.yaml", goodPolicies),
			variable + "=" + taken.Addr().String(),
		}
		if got := runArgs(t, env); got.status != exitUsage ||
			!strings.Contains(got.stderr, variable+": "+taken.Addr().String()+" is in use") {
			t.Errorf("%+v", got)
		}
	}
}

// It is ready though nobody asked while Redis was there.
func TestReadinessRemembersTheFirstWordOfRedis(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	e := embed(t, "REDIS_EMBEDDED=false", "REDIS_HOST="+redis.Host(), "REDIS_PORT="+redis.Port())
	e.made = time.Now().Add(time.Hour) // it would wait for long
	redis.Kill()
	proc.Await(t, 20*time.Second, func() error {
		if e.cache.Healthy() == nil {
			return errors.New("its end is not noticed")
		}
		return nil
	})
	if err := e.ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadinessWaitsForTheFirstWordOfRedisAndNoLongerThanItsTime(t *testing.T) {
	t.Parallel()
	e := embed(t)
	silent, err := redisconn.New(redisconn.Options{Name: "cache", Redis: e.cfg.Redis,
		// is not run, and probes nothing
		Breaker: e.cfg.Breaker, Names: cachekeys.NewNames("test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := &sidecar{cfg: e.cfg, backend: e.backend, cache: silent, made: time.Now().Add(time.Hour)}
	if err := s.ready(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "Redis has not answered") {
		t.Errorf("before its first word: %v", err)
	}
	s.made = time.Now().Add(-greetTime)
	if err := s.ready(t.Context()); err != nil {
		t.Errorf("after its time: %v", err)
	}
}

func TestReadinessByWhatTheOperatorWants(t *testing.T) {
	t.Parallel()
	for ready, want := range map[string]int{"started": 503, "always": 503, "never": 200} {
		t.Run(ready, func(t *testing.T) {
			t.Parallel()
			closed := httptest.NewServer(nil)
			closed.Close()
			e := embed(t, "READY_REQUIRES_BACKEND="+ready, "BACKEND_URL="+closed.URL)
			if status, _, body := e.ask("GET", e.ops+"/readyz", ""); status != want {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}
