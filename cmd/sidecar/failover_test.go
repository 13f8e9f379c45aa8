package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/config"
	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// staleness is how much older than an acknowledged write an answer may be after a failover that
// leaves connections up (docs/coherence.md).
const staleness = time.Second

func TestAfterAFailoverThatLeavesConnectionsUpNoAnswerIsASecondOld(t *testing.T) {
	for _, c := range []struct {
		name, consistency string
		demote            func(old, promoted *redisd.Server)
	}{
		{"the address moves", "available", func(_, _ *redisd.Server) {}},
		{"the address moves", "strict", func(_, _ *redisd.Server) {}},
		{"the old primary follows the new one", "strict", func(old, promoted *redisd.Server) {
			old.Do("REPLICAOF", promoted.Host(), promoted.Port())
		}},
		{"the old primary is a replica without a link", "strict", func(old, _ *redisd.Server) {
			old.Do("REPLICAOF", "127.0.0.1", "1")
		}},
	} {
		t.Run(c.name+", "+c.consistency, func(t *testing.T) {
			t.Parallel()
			f := startFailover(t, c.consistency)
			f.failOver(c.demote)
			f.readAndWrite(3 * time.Second)
		})
	}
}

// A sidecar that acknowledges a write by the old primary, and is not there any more to notice the
// failover, is outlived by nobody's hit.
func TestAWriteByTheOldPrimaryIsNotForgottenWithItsSidecar(t *testing.T) {
	t.Parallel()
	nowhere, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	for range 8 { // the writer's proof is over soon, and a busy machine may be too late for it
		f := startFailover(t, "strict")
		for _, p := range []process{f.writer, f.reader} {
			f.awaitHit(p)
		}
		f.replica.Do("REPLICAOF", "NO", "ONE")
		f.writer.way.Divert(nowhere.Addr().String())
		f.reader.way.Lead(f.replica.Addr())
		filled := false
		for begun := time.Now(); !filled && time.Since(begun) < 300*time.Millisecond; {
			cache := f.ask("GET", f.reader.url+"/value").Header.Get("Cache-Status")
			filled = strings.HasPrefix(cache, "sidecar; hit")
		}
		if !f.put(f.writer.url) {
			continue // the writer has no proof any more: too late
		}
		acknowledged := time.Now()
		proc.Await(t, 20*time.Second, func() error {
			resp := f.ask("GET", f.reader.url+"/value")
			if time.Since(acknowledged) < staleness ||
				!strings.HasPrefix(resp.Header.Get("Cache-Status"), "sidecar; hit") {
				return errors.New(resp.Header.Get("Cache-Status"))
			}
			return nil
		})
		if got := f.get(f.reader.url); got != f.value.Load() {
			t.Errorf("the answer is %d, and %d was acknowledged more than a second before",
				got, f.value.Load())
		}
		return
	}
	t.Error("no write was acknowledged by the old primary")
}

// A failover is two sidecars before one API, each with its own way to a primary that has a replica.
type failover struct {
	t                *testing.T
	value            atomic.Int64 // of the resource
	quiet            atomic.Int64 // of one that is written once
	primary, replica *redisd.Server
	writer, reader   process
}

type process struct {
	url, ops string
	sidecar  *sidecar
	log      *lockedBuffer
	way      *faultproxy.Proxy // nil: none
}

func startFailover(t *testing.T, consistency string) *failover {
	t.Helper()
	f := &failover{t: t, primary: redisd.Start(t), replica: redisd.Start(t)}
	f.replica.Do("REPLICAOF", f.primary.Host(), f.primary.Port())
	proc.Await(t, 20*time.Second, func() error {
		if info := fmt.Sprint(f.replica.Do("INFO", "replication")); !strings.Contains(info,
			"master_link_status:up") {
			return fmt.Errorf("%s", info)
		}
		return nil
	})
	for _, p := range []*process{&f.writer, &f.reader} {
		p.way = faultproxy.Start(t, f.primary.Addr())
		host, port, _ := strings.Cut(p.way.Addr(), ":")
		p.start(t, f.api(), consistency, "REDIS_HOST="+host, "REDIS_PORT="+port)
	}
	return f
}

// api serves the resource.
func (f *failover) api() (url string) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		value := &f.value
		if r.URL.Path == "/quiet" {
			value = &f.quiet
		}
		if r.Method == http.MethodPut {
			value.Add(1)
			return
		}
		fmt.Fprint(w, value.Load())
	}))
	f.t.Cleanup(api.Close)
	return api.URL
}

// start starts a sidecar with the Redis of environ.
func (p *process) start(t *testing.T, api, consistency string, environ ...string) {
	t.Helper()
	env := append([]string{
		"BACKEND_URL=" + api, "LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
		"SHUTDOWN_DELAY=0s",
		"KEY_SECRET=key-secret-for-tests-of-32-bytes!", "CACHE_STATUS=full",
		"BREAKER_TIMEOUT=200ms", "REDIS_TIMEOUT=1s",
		"POLICIES_FILE=" + written(t, "policies.yaml", `
version: 1
routes:
  - {match: GET /value, cache: {scope: shared, ttl: 1h, tags: [value]}}
  - {match: PUT /value, invalidate: [value], consistency: `+consistency+`}
  - {match: GET /quiet, cache: {scope: shared, ttl: 1h, tags: [quiet]}}
  - {match: PUT /quiet, invalidate: [quiet]}
  - {name: craft, match: POST /craft, job: {mode: always}, invalidate: [value]}
`),
	}, environ...)
	cfg, err := config.Load(env, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.log = new(lockedBuffer)
	s, err := assemble(cfg, environment(env), slog.New(slog.NewTextHandler(p.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.run(ctx) })
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections() // the server would wait for them
		stop()
		running.Wait()
	})
	proc.Await(t, 20*time.Second, s.cache.Healthy)
	proc.Await(t, 20*time.Second, s.jobsConn.Healthy)
	p.url, p.ops = "http://"+s.data.listener.Addr().String(), "http://"+
		s.ops.listener.Addr().String()
	p.sidecar = s
}

// failOver promotes the replica. The writer's connections break, the reader's stay up.
func (f *failover) failOver(demote func(old, promoted *redisd.Server)) {
	f.t.Helper()
	for _, p := range []process{f.writer, f.reader} {
		f.awaitHit(p)
	}
	f.replica.Do("REPLICAOF", "NO", "ONE")
	f.reader.way.Divert(f.replica.Addr())
	f.writer.way.Lead(f.replica.Addr())
	demote(f.primary, f.replica)
}

// awaitHit waits until p answers from the cache.
func (f *failover) awaitHit(p process) {
	f.t.Helper()
	proc.Await(f.t, 20*time.Second, func() error {
		if cache := f.ask("GET", p.url+"/value").
			Header.Get("Cache-Status"); !strings.HasPrefix(cache, "sidecar; hit") {
			return fmt.Errorf("%s", cache)
		}
		return nil
	})
}

// readAndWrite writes through one sidecar and reads through the other for d, and for as long as it
// takes until there are enough of both.
func (f *failover) readAndWrite(d time.Duration) {
	f.t.Helper()
	var mu sync.Mutex
	acknowledged := map[time.Time]int64{} // value by the time at which its write was answered
	ctx, cancel := context.WithTimeout(f.t.Context(), d+time.Minute)
	defer cancel()
	enough := time.Now().Add(d)
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			if f.put(f.writer.url) {
				mu.Lock()
				acknowledged[time.Now()] = f.value.Load()
				mu.Unlock()
			}
			time.Sleep(100 * time.Millisecond) // between two writes, so that there are hits
		}
	})
	reads := 0
	for ; ctx.Err() == nil; reads++ {
		begun := time.Now()
		got := f.get(f.reader.url)
		mu.Lock()
		for at, value := range acknowledged {
			if got < value && begun.Sub(at) > staleness {
				f.t.Errorf("%v after the write of %d was acknowledged, the answer is %d",
					begun.Sub(at), value, got)
				cancel()
			}
		}
		if len(acknowledged) >= 5 && reads >= 100 && begun.After(enough) {
			cancel()
		}
		mu.Unlock()
		time.Sleep(2 * time.Millisecond) // the pace of one reader
	}
	writing.Wait()
	if len(acknowledged) < 5 || reads < 100 {
		f.t.Errorf("%d writes were acknowledged and %d reads answered", len(acknowledged), reads)
	}
}

// put writes, and reports whether that was acknowledged.
func (f *failover) put(url string) bool {
	return f.ask("PUT", url+"/value").StatusCode == http.StatusOK
}

// get reads the value.
func (f *failover) get(url string) int64 {
	f.t.Helper()
	resp := f.ask("GET", url+"/value")
	n, err := strconv.ParseInt(resp.Status, 10, 64)
	if err != nil {
		f.t.Error(err)
	}
	return n
}

// ask sends a request. Status is the content of the answer.
func (f *failover) ask(method, url string) *http.Response {
	f.t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		f.t.Error(err)
		return &http.Response{Status: "0"}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	resp.Status = string(body)
	return resp
}
