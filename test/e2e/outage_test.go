package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// outageBound is the longest time of a request while Redis is away: REDIS_TIMEOUT and a good deal
// for a busy machine, yet less than the faults last. openBound is that of half of the requests once
// the breaker is open: they do not wait for Redis, so it is less than REDIS_TIMEOUT.
const outageBound, openBound = 4 * time.Second, 250 * time.Millisecond

// TestWhateverBefallsRedisClientsSeeTheAPIAndNoJobRunsTwice walks through the ways in which Redis
// fails, with clients that keep sending.
func TestWhateverBefallsRedisClientsSeeTheAPIAndNoJobRunsTwice(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "NPC_DELAY=5ms")
	g := newGate(t, api)
	// An accepted job outlives a Redis that is killed only if it is on disk.
	s := &stack{t: t, redis: redisd.Start(t, redisd.AOF("always")), api: g.URL}
	s.sidecar, s.url, s.ops = startSidecar(t, g.URL, s.redis.Addr(), shippedPolicies(t),
		hasty("BREAKER_TIMEOUT=300ms", "BREAKER_INTERVAL=5s")...)
	s.awaitCaching()
	awaitThat(t, "the sidecar is ready", func() bool {
		return do(t, http.MethodGet, s.ops+"/readyz", nil).status == http.StatusOK
	})
	thorin, lyra := login(t, s.url, "thorin"), login(t, s.url, "lyra")
	c := &traffic{t: t, s: s, owner: thorin, poster: lyra, late: proc.Late(t)}

	for _, fault := range []struct {
		name         string
		begin, endIt func()
	}{
		{"killed", s.redis.Kill, s.redis.Restart},
		{"frozen", s.redis.Freeze, s.redis.Thaw},
		{"slow", func() { s.redis.Do("CLIENT", "PAUSE", "8000", "ALL") }, func() {}},
		{"READONLY", func() { s.redis.Do("REPLICAOF", "127.0.0.1", "1") },
			func() { s.redis.Do("REPLICAOF", "NO", "ONE") }},
		{"OOM", func() { s.redis.Do("CONFIG", "SET", "maxmemory", "1") },
			func() { s.redis.Do("CONFIG", "SET", "maxmemory", "0") }},
		{"NOPERM", func() { s.redis.Do("ACL", "SETUSER", "default", "-@all", "+acl", "+ping") },
			func() { s.redis.Do("ACL", "SETUSER", "default", "+@all") }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			c.t, s.t = t, t
			stop := c.run()
			defer stop()
			c.awaitHits(3)
			fault.begin()
			c.awaitRequests(30)
			proc.Await(t, 60*time.Second, func() error {
				if a := do(t, http.MethodGet, s.ops+"/healthz/redis",
					nil); a.status != http.StatusServiceUnavailable {
					return fmt.Errorf("the sidecar does not know that Redis is away: %d", a.status)
				}
				return nil
			})
			if a := do(t, http.MethodGet, s.ops+"/readyz", nil); a.status != http.StatusOK {
				t.Errorf("not ready: %d %s", a.status, a.body)
			}
			c.forget()
			c.awaitRequests(30)
			if median := c.median(); median > openBound {
				t.Errorf("with the breaker open, half of the requests took over %v", median)
			}
			fault.endIt()
			c.awaitHits(3)
		})
	}
	s.t = t
	// Every POST was carried out once: as a job, or by the backend at once.
	posted := int(c.posts.Load())
	if posted < 20 {
		t.Fatalf("only %d POSTs were sent: that proves nothing", posted)
	}
	proc.Await(t, 150*time.Second, func() error {
		if done := g.answered(generation, http.StatusCreated); done < posted {
			return fmt.Errorf("%d of %d are done", done, posted)
		}
		return nil
	})
	if done := g.asked(generation); done != posted {
		t.Errorf("%d POSTs reached the backend as %d requests", posted, done)
	}

	t.Run("restarted empty", func(t *testing.T) { // which loses jobs, so that nobody posts
		c.t, s.t, c.silent = t, t, true
		stop := c.run()
		defer stop()
		c.awaitHits(3)
		s.redis.Kill()
		c.awaitRequests(30)
		s.redis.RestartEmpty()
		c.awaitHits(3)
	})
}

// traffic is clients that keep sending, and look at every answer.
type traffic struct {
	t             *testing.T
	s             *stack
	owner, poster string

	requests, hits, posts atomic.Int64
	version               int
	silent                bool // nobody posts

	late func() time.Duration // of the machine

	mu   sync.Mutex
	took []time.Duration // of each request since forget
}

func (c *traffic) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = nil
}

func (c *traffic) median() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.took)
	return c.took[len(c.took)/2]
}

// run sends until the function that it returns is called.
func (c *traffic) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	for _, client := range []func(context.Context){c.readAndWrite, c.post} {
		clients.Go(func() {
			for ctx.Err() == nil {
				client(ctx)
			}
		})
	}
	return sync.OnceFunc(func() {
		cancel()
		clients.Wait()
	})
}

// readAndWrite changes a character and reads it: no read returns an older version.
func (c *traffic) readAndWrite(ctx context.Context) {
	c.version++
	name := fmt.Sprintf("Version %d.", c.version)
	// A write is not cut off when the client has to stop: it could reach the backend after the
	// next.
	a, ok := c.send(context.WithoutCancel(ctx), http.MethodPatch, "/api/v1/characters/c1",
		map[string]string{"name": name}, c.owner)
	if ok && a.status != http.StatusOK {
		c.t.Errorf("PATCH: %d %s", a.status, a.body)
	}
	for range 4 {
		a, ok := c.send(ctx, http.MethodGet, "/api/v1/characters/c1", nil, c.owner)
		if !ok {
			return
		}
		if a.status != http.StatusOK || !strings.Contains(string(a.body), name) {
			c.t.Errorf("GET after %q: %d %q %s", name, a.status, a.cache(), a.body)
		}
		if a.hit() {
			c.hits.Add(1)
		}
	}
	think(ctx)
}

func (c *traffic) post(ctx context.Context) {
	if c.silent {
		<-ctx.Done()
		return
	}
	prompt := fmt.Sprintf("number %d", c.posts.Add(1))
	a, ok := c.send(context.Background(), http.MethodPost, "/api/v1/npc/generate",
		map[string]string{"prompt": prompt}, c.poster)
	if ok && a.status != http.StatusAccepted && a.status != http.StatusCreated {
		c.t.Errorf("POST: %d %s", a.status, a.body)
	}
	think(ctx)
}

// think is the pause of a client between its requests.
func think(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Millisecond):
	}
}

// send sends one request. ok is false if the client had to stop meanwhile.
func (c *traffic) send(ctx context.Context, method, path string, body any,
	who string) (a answer, ok bool) {
	start, late := time.Now(), c.late()
	a, err := try(ctx, method, c.s.url+path, body, who)
	took := time.Since(start) - (c.late() - late)
	switch {
	case ctx.Err() != nil:
		return a, false
	case err != nil:
		c.t.Errorf("%s %s: %v", method, path, err)
		return a, false
	case took > outageBound:
		c.t.Errorf("%s %s took %v", method, path, took)
	}
	c.mu.Lock()
	c.took = append(c.took, took)
	c.mu.Unlock()
	c.requests.Add(1)
	return a, true
}

func (c *traffic) await(count *atomic.Int64, n int64, what string) {
	c.t.Helper()
	until := count.Load() + n
	proc.Await(c.t, 60*time.Second, func() error {
		if got := count.Load(); got < until {
			return fmt.Errorf("%d of %d more %s", got-until+n, n, what)
		}
		return nil
	})
}

func (c *traffic) awaitHits(n int64)     { c.await(&c.hits, n, "hits") }
func (c *traffic) awaitRequests(n int64) { c.await(&c.requests, n, "requests") }

func TestTheSidecarStartsWithoutRedisAndFindsItWhenItComes(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	probe := startBefore(t, api, shippedPolicies(t)) // for its Redis alone
	probe.redis.Kill()
	_, url, ops := startSidecar(t, api, probe.redis.Addr(), shippedPolicies(t),
		hasty("BREAKER_TIMEOUT=300ms")...)
	thorin := login(t, url, "thorin")
	if a := do(t, http.MethodGet, url+"/api/v1/characters", nil,
		thorin); a.status != http.StatusOK || a.hit() {
		t.Fatalf("without Redis: %d %q", a.status, a.cache())
	}
	proc.Await(t, 20*time.Second, func() error { // it waits for the first word of Redis for a while
		if a := do(t, http.MethodGet, ops+"/readyz", nil); a.status != http.StatusOK {
			return fmt.Errorf("not ready without Redis: %d %s", a.status, a.body)
		}
		return nil
	})
	probe.redis.Restart()
	proc.Await(t, 60*time.Second, func() error {
		if a := do(t, http.MethodGet, url+"/api/v1/characters", nil, thorin); !a.hit() {
			return fmt.Errorf("no hit yet: %q", a.cache())
		}
		return nil
	})
}
