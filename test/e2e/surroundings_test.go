package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// counted is an API whose answers are numbered.
func counted(t *testing.T) string {
	t.Helper()
	var n int
	more := make(chan int)
	go func() {
		for {
			n++
			select {
			case more <- n:
			case <-t.Context().Done():
				return
			}
		}
	}()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "answer %d", <-more)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const allCached = "version: 1\nroutes: [{match: 'GET /', cache: {scope: shared, ttl: 1h}}]\n"

// freeAddress is a loopback address where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// inShell starts a sidecar by a shell, which runs setup first, and returns its base URL. Its log
// may be lost, so the test chooses the ports; another process may take one of them first.
func inShell(t *testing.T, setup, backend, redis string,
	env ...string) (p *proc.Proc, url, ops string) {
	t.Helper()
	for range 5 {
		if p, url, ops = tryInShell(t, setup, backend, redis, env...); p != nil {
			return p, url, ops
		}
	}
	t.Fatal("it ended five times at the start")
	return nil, "", ""
}

// tryInShell is inShell once; p is nil if the sidecar has ended.
func tryInShell(t *testing.T, setup, backend, redis string,
	env ...string) (p *proc.Proc, url, ops string) {
	t.Helper()
	data, opsAddr := freeAddress(t), freeAddress(t)
	host, port, _ := strings.Cut(redis, ":")
	p = proc.Start(t, proc.Cmd{
		Path: "/bin/sh", Args: []string{
			"-c", setup + ` "$0" run` + redirected(setup), proc.Build(t, "../../cmd/sidecar"),
		},
		Env: append([]string{
			"BACKEND_URL=" + backend, "REDIS_HOST=" + host, "REDIS_PORT=" + port,
			"LISTEN_ADDR=" + data, "OPS_ADDR=" + opsAddr,
			"POLICIES_FILE=" + policiesFile(t, allCached),
			"KEY_SECRET=key-secret-for-tests-of-32-bytes!",
			"CACHE_STATUS=full", "LOG_LEVEL=debug", "LOG_FORMAT=json", "REDIS_TIMEOUT=5s",
			"SHUTDOWN_DELAY=0",
		}, env...),
	})
	ops = "http://" + opsAddr
	proc.Await(t, 60*time.Second, func() error {
		a, err := try(t.Context(), http.MethodGet, ops+"/readyz", nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		if err != nil && p.Exited() {
			return nil
		}
		return err
	})
	if p.Exited() {
		return nil, "", ""
	}
	return p, "http://" + data, ops
}

func redirected(setup string) string {
	if strings.HasPrefix(setup, "exec 2>") {
		return ""
	}
	return " 2>&1"
}

// /readyz waits for the first word of Redis, and no longer than 2 s; for the API it waits.
func TestItStartsBeforeRedisAndTheAPI(t *testing.T) {
	t.Parallel()
	redis := redisd.Start(t)
	redis.Kill()
	address := freeAddress(t)
	_, url, ops := startSidecar(t, "http://"+address, redis.Addr(), policiesFile(t, allCached),
		hasty("BREAKER_TIMEOUT=300ms")...)
	began := time.Now()
	first := do(t, http.MethodGet, ops+"/readyz", nil)
	if asked := time.Since(began); asked < time.Second &&
		!strings.Contains(string(first.body), "Redis has not answered") {
		t.Errorf("%v after the start: %d %s", asked, first.status, first.body)
	}
	proc.Await(t, 10*time.Second, func() error {
		if a := do(t, http.MethodGet, ops+"/readyz",
			nil); !strings.Contains(string(a.body), "refused") {
			return fmt.Errorf("it does not wait for the API alone: %d %s", a.status, a.body)
		}
		return nil
	})
	if a := do(t, http.MethodGet, url+"/", nil); a.status != http.StatusBadGateway {
		t.Errorf("without the API: %d", a.status)
	}

	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	api := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "here")
		}),
	}
	go func() { _ = api.Serve(l) }()
	defer api.Close()
	proc.Await(t, 10*time.Second, func() error {
		if a := do(t, http.MethodGet, ops+"/readyz", nil); a.status != http.StatusOK {
			return fmt.Errorf("not ready when the API is: %s", a.body)
		}
		return nil
	})
	if a := do(t, http.MethodGet, url+"/", nil); string(a.body) != "here" || a.hit() {
		t.Errorf("without Redis: %d %q", a.status, a.cache())
	}
	redis.Restart()
	awaitHit(t, url+"/")
}

// A rollout must not send every first request past the cache.
func TestReadinessComesAfterTheFirstWordOfRedis(t *testing.T) {
	t.Parallel()
	redis, api := redisd.Start(t), counted(t)
	_, before, _ := startSidecar(t, api, redis.Addr(), policiesFile(t, allCached))
	awaitHit(t, before+"/")
	redis.Freeze()
	_, url, ops := startSidecar(t, api, redis.Addr(), policiesFile(t, allCached))
	began := time.Now()
	a := do(t, http.MethodGet, ops+"/readyz", nil)
	if asked := time.Since(began); asked < time.Second &&
		!strings.Contains(string(a.body), "Redis has not answered") {
		t.Errorf("%v after the start: %d %s", asked, a.status, a.body)
	}
	redis.Thaw()
	proc.Await(t, 20*time.Second, func() error {
		if a := do(t, http.MethodGet, ops+"/readyz", nil); a.status != http.StatusOK {
			return fmt.Errorf("%s", a.body)
		}
		return nil
	})
	host := "Host: " + strings.TrimPrefix(before, "http://")
	if a := do(t, http.MethodGet, url+"/", nil, host); !a.hit() {
		t.Errorf("the first request of a sidecar that is ready: %q", a.cache())
	}
}

func TestKilledAndStartedAgainItGoesOn(t *testing.T) {
	t.Parallel()
	redis, api := redisd.Start(t), counted(t)
	listen := "LISTEN_ADDR=" + freeAddress(t)
	var body string
	for round := range 3 {
		p, url, _ := startSidecar(t, api, redis.Addr(), policiesFile(t, allCached), listen)
		awaitHit(t, url+"/")
		a := do(t, http.MethodGet, url+"/", nil)
		if round > 0 && string(a.body) != body {
			t.Errorf("round %d: %q, where %q was stored", round, a.body, body)
		}
		body = string(a.body)
		p.Kill()
	}
}

func TestAFullDiskForTheLogStopsNothing(t *testing.T) {
	t.Parallel()
	p, url, _ := inShell(t, "exec 2>/dev/full; exec", counted(t), redisd.Start(t).Addr())
	awaitHit(t, url+"/")
	for range 20 {
		if a := do(t, http.MethodGet, url+"/", nil); !a.hit() {
			t.Fatalf("%d %q", a.status, a.cache())
		}
	}
	if n := len(p.Lines()); n != 0 {
		t.Errorf("the log went elsewhere: %d lines", n)
	}
}

// With few files further clients wait for their turn. Those that are accepted are served, and
// Redis and the ops address always have a file.
func TestWithAThousandFilesAcceptedClientsAreServed(t *testing.T) {
	t.Parallel()
	const clients, files = 1200, 1000
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(100 * time.Millisecond) // the API's own time: connections to it pile up
		_, _ = io.WriteString(w, "answer")
	}))
	defer slow.Close()
	p, url, ops := inShell(t, fmt.Sprintf("ulimit -n %d; exec", files), slow.URL,
		redisd.Start(t).Addr())
	if p.Count(`"msg":"limits".*"files":1000`) != 1 {
		t.Error("the limit is not logged")
	}
	answered := make(chan error, clients)
	for i := range clients {
		go func() { answered <- askOnce(strings.TrimPrefix(url, "http://"), i) }()
	}
	for range clients {
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
	}
	if a := do(t, http.MethodGet, ops+"/healthz", nil); a.status != http.StatusOK {
		t.Errorf("/healthz answers %d", a.status)
	}
	if n := p.Count("too many open files"); n > 0 {
		t.Errorf("%d times there were too few files", n)
	}
}

// askOnce asks for something that is not stored, on a connection of its own.
func askOnce(address string, i int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET /?%d HTTP/1.1\r\nHost: a\r\n\r\n", i); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
