package jobscheck

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"sidecar/test/faultproxy"
)

// A fault does something to the world, and heals it. It is called by the test's own goroutine while
// clients go on.
type fault func(w *world, r *rand.Rand)

// between is a time of a schedule: how long a fault lasts, or the time until the next. Sleeping for
// it awaits nothing.
func between(r *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(r.Int64N(int64(to-from)))
}

func (w *world) any(r *rand.Rand) *sidecar { return w.sidecars[r.IntN(len(w.sidecars))] }

func sidecarKilled(w *world, r *rand.Rand) {
	s := w.any(r)
	s.Kill()
	time.Sleep(between(r, 0, 500*time.Millisecond))
	w.start(s)
}

func sidecarEnded(w *world, r *rand.Rand) {
	s := w.any(r)
	s.Signal(syscall.SIGTERM)
	if status := s.Wait(30 * time.Second); status != 0 {
		w.t.Errorf("exit status %d", status)
	}
	w.start(s)
}

// sidecarFrozen freezes a sidecar for longer than its attempts may take: the API has answered them
// meanwhile.
func sidecarFrozen(w *world, r *rand.Rand) {
	s := w.any(r)
	s.Signal(syscall.SIGSTOP)
	time.Sleep(timeout + between(r, 0, 3*time.Second))
	s.Signal(syscall.SIGCONT)
}

// frozenForLong freezes a sidecar until others have its jobs.
func frozenForLong(w *world, r *rand.Rand) {
	s := w.any(r)
	s.Signal(syscall.SIGSTOP)
	time.Sleep(between(r, 46*time.Second, 60*time.Second))
	s.Signal(syscall.SIGCONT)
}

func redisKilled(w *world, r *rand.Rand) {
	w.redis.Kill()
	time.Sleep(between(r, 0, 700*time.Millisecond))
	w.redis.Restart()
}

func redisEnded(w *world, r *rand.Rand) {
	w.redis.Stop()
	time.Sleep(between(r, 0, 700*time.Millisecond))
	w.redis.Restart()
}

func redisFrozen(w *world, r *rand.Rand) {
	w.redis.Freeze()
	time.Sleep(between(r, 50*time.Millisecond, 1500*time.Millisecond))
	w.redis.Thaw()
}

func connectionsCut(w *world, r *rand.Rand) {
	s := w.any(r)
	s.wire.SetCut(true)
	time.Sleep(between(r, 0, 600*time.Millisecond))
	s.wire.SetCut(false)
}

// repliesLost breaks single connections of a sidecar to Redis in the place of a command or a reply.
func repliesLost(w *world, r *rand.Rand) {
	lose := meddling(r, func(r *rand.Rand) (time.Duration, bool) {
		return 0, r.IntN(30) == 0
	})
	s := w.any(r)
	s.wire.SetMeddler(lose)
	time.Sleep(between(r, 500*time.Millisecond, 1500*time.Millisecond))
	s.wire.SetMeddler(nil)
}

// piecesLate holds single commands and replies up for longer than a sidecar waits for them. A
// command arrives all the same.
func piecesLate(w *world, r *rand.Rand) {
	late := meddling(r, func(r *rand.Rand) (time.Duration, bool) {
		if r.IntN(20) == 0 {
			return between(r, 300*time.Millisecond, 5*time.Second), false
		}
		return 0, false
	})
	s := w.any(r)
	s.wire.SetMeddler(late)
	time.Sleep(between(r, 500*time.Millisecond, 1500*time.Millisecond))
	s.wire.SetMeddler(nil)
}

// meddling gives the goroutines of a proxy one source of numbers.
func meddling(r *rand.Rand, f func(*rand.Rand) (time.Duration, bool)) faultproxy.Meddler {
	own := rand.New(rand.NewPCG(r.Uint64(), 0))
	var mu sync.Mutex
	return func(bool) (time.Duration, bool) {
		mu.Lock()
		defer mu.Unlock()
		return f(own)
	}
}

// oneOf is any of faults.
func oneOf(faults ...fault) fault {
	return func(w *world, r *rand.Rand) { faults[r.IntN(len(faults))](w, r) }
}
