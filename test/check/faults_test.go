package check

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/test/redisd"
)

// A fault does something to the world, and heals it. It is called by the test's own goroutine while
// clients go on.
type fault func(w *world, r *rand.Rand)

// between is a time of a schedule: how long a fault lasts, or the time until the next. Sleeping for
// it awaits nothing.
func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

func redisKilled(w *world, r *rand.Rand) {
	w.redis.Kill()
	time.Sleep(between(r, 0, 400*time.Millisecond))
	w.redis.RestartEmpty()
}

func redisFrozen(w *world, r *rand.Rand) {
	w.redis.Freeze()
	time.Sleep(between(r, 50*time.Millisecond, 900*time.Millisecond))
	w.redis.Thaw()
}

func redisFlushed(w *world, _ *rand.Rand) { w.redis.Do("FLUSHALL") }

// evicted takes about a third of all keys away, as allkeys-random might, and all of some kind now
// and then.
func evicted(w *world, r *rand.Rand) {
	c := w.redis.Client()
	defer c.Close()
	kinds := []string{"*", "*:t:*", "*:w:*", "*:e:*", "*:known:*", "*:rules:*"}
	keys, err := c.Keys(w.t.Context(), kinds[r.IntN(len(kinds))]).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, key := range keys {
		if len(keys) < 3 || r.IntN(3) == 0 {
			if err := c.Unlink(w.t.Context(), key).Err(); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// olderDump brings Redis back as it was a moment ago.
func olderDump(w *world, r *rand.Rand) {
	w.redis.Do("SAVE")
	dump, err := os.ReadFile(filepath.Join(w.redis.Dir(), "dump.rdb"))
	if err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(between(r, 50*time.Millisecond, 800*time.Millisecond))
	w.redis.Kill()
	if err := os.WriteFile(filepath.Join(w.redis.Dir(), "dump.rdb"), dump, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.redis.Restart()
}

func (w *world) any(r *rand.Rand) *sidecar { return w.sidecars[r.IntN(len(w.sidecars))] }

// sidecarKilled kills a sidecar while it has a write to each register under way.
func sidecarKilled(w *world, r *rand.Rand) {
	s := r.IntN(len(w.sidecars))
	one := &client{
		world: w, class: class{}, history: w.history,
		rand: rand.New(rand.NewPCG(r.Uint64(), 0)), http: newHTTP(),
	}
	var writing sync.WaitGroup
	answered := make(chan struct{}, registers)
	for register := range registers {
		version := w.history.issued[register].Add(1)
		writing.Go(func() {
			o := op{sidecar: s, register: register, version: version,
				what: fmt.Sprintf("PUT /w/%d?v=%d", register, version)}
			one.do(w.t.Context(), &o, http.MethodPut, o.what[len("PUT "):], new(answer))
			w.history.wrote(o)
			answered <- struct{}{}
		})
	}
	// then some of the others are committed and not yet answered
	for range 1 + r.IntN(registers/2) {
		<-answered
	}
	w.sidecars[s].Kill()
	writing.Wait()
	w.start(w.sidecars[s])
}

func sidecarFrozen(w *world, r *rand.Rand) {
	s := w.any(r)
	s.Signal(syscall.SIGSTOP)
	time.Sleep(between(r, 100*time.Millisecond, 1500*time.Millisecond))
	s.Signal(syscall.SIGCONT)
}

func connectionsCut(w *world, r *rand.Rand) {
	s := w.any(r)
	s.wire.SetCut(true)
	time.Sleep(between(r, 0, 600*time.Millisecond))
	s.wire.SetCut(false)
}

func connectionsSlow(w *world, r *rand.Rand) {
	s := w.any(r)
	s.wire.SetStall(between(r, 5*time.Millisecond, 120*time.Millisecond))
	time.Sleep(between(r, 200*time.Millisecond, 800*time.Millisecond))
	s.wire.SetStall(0)
}

// failover promotes a replica that lacks the last writes; the old primary comes back as its
// replica.
func failover(w *world, r *rand.Rand) {
	awaitLink(w.t.Context(), w.replica)
	w.replica.Freeze()
	time.Sleep(between(r, 50*time.Millisecond, 300*time.Millisecond))
	w.redis.Kill()
	w.replica.Thaw()
	w.replica.Do("REPLICAOF", "NO", "ONE")
	for _, s := range w.sidecars {
		s.wire.Lead(w.replica.Addr())
	}
	w.redis.RestartEmpty()
	w.redis.Do("REPLICAOF", w.replica.Host(), w.replica.Port())
	w.redis, w.replica = w.replica, w.redis
}

// awaitLink waits until a replica follows its primary.
func awaitLink(ctx context.Context, s *redisd.Server) {
	c := s.Client()
	defer c.Close()
	for ctx.Err() == nil && !strings.Contains(infoOf(ctx, c), "master_link_status:up") {
		time.Sleep(10 * time.Millisecond) // until it is asked again
	}
}

func infoOf(ctx context.Context, c *redis.Client) string { return c.Info(ctx, "replication").Val() }

// policiesSwapped gives a sidecar policies whose tags the others have never heard of, for a while.
func policiesSwapped(w *world, r *rand.Rand) {
	s := w.any(r)
	w.swap(s, true)
	time.Sleep(between(r, 100*time.Millisecond, 600*time.Millisecond))
	w.swap(s, false)
}

// rolledOut replaces every sidecar by one with other policies, one after the other, as a rollout
// does: SIGTERM under load, and a new process in its place. The next rollout brings the first
// policies back.
func rolledOut(w *world, r *rand.Rand) {
	w.rolled = !w.rolled
	for _, s := range w.sidecars {
		s.Signal(syscall.SIGTERM)
		if status := s.Wait(30 * time.Second); status != 0 {
			w.t.Errorf("exit status %d", status)
		}
		if err := os.WriteFile(s.policies, []byte(policies(w.strict, w.rolled)),
			0o600); err != nil {
			w.t.Fatal(err)
		}
		w.start(s)
		w.awaitCaching(s)
		time.Sleep(between(r, 50*time.Millisecond, 300*time.Millisecond))
	}
}

// oneOf is any of faults.
func oneOf(faults ...fault) fault {
	return func(w *world, r *rand.Rand) { faults[r.IntN(len(faults))](w, r) }
}
