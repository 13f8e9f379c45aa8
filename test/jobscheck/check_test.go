// Package jobscheck tries to break the promises of a job: clients submit hundreds of jobs in every
// mode through any of three sidecars, on a real Redis with AOF and before an API that writes down
// every execution, while a seeded schedule kills, ends and freezes sidecars and Redis, and loses
// and delays single replies. At the end each job that was answered 202 has its result, all
// executions of a request carried one Idempotency-Key, and nothing of a request is left in Redis.
//
// A run that finds a fault prints its seed; -jobs.seed runs the same schedule again.
package jobscheck

import (
	"flag"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var (
	seed  = flag.Uint64("jobs.seed", 1, "seed of clients and faults")
	count = flag.Int("jobs.count", 60, "requests in each class of faults")
	// patient waits for leases and slots of dead sidecars as their jobs would have to.
	patient = flag.Bool("jobs.patient", false, "wait until leases run out by themselves")
	// With everysec a reply may come before the write: while Redis waits for an earlier fsync it
	// puts writes off, for two seconds at most. A killed process then loses them.
	fsync = flag.String("jobs.fsync", "always", "appendfsync of Redis")
)

// atOnce is how many worlds stand side by side. Most of the time a world waits.
const atOnce = 4

func TestMain(m *testing.M) {
	proc.SideBySide(atOnce)
	built := proc.BuildAhead("../../cmd/sidecar")
	code := m.Run()
	built()
	proc.Clean()
	os.Exit(code)
}

// A class is a kind of trouble.
type class struct {
	name   string
	fault  fault // nil: none
	rounds int   // of the fault, at the least
	dies   bool  // sidecars die in the middle of requests, or lose their jobs to others
	long   bool  // only where the test is patient
}

var classes = []class{
	{name: "nothing"},
	{name: "sidecar killed", fault: sidecarKilled, rounds: 4, dies: true},
	{name: "sidecar ended", fault: sidecarEnded, rounds: 3},
	{name: "sidecar frozen", fault: sidecarFrozen, rounds: 3},
	{name: "sidecar frozen for long", fault: frozenForLong, rounds: 1, dies: true, long: true},
	{name: "redis killed", fault: redisKilled, rounds: 4},
	{name: "redis ended", fault: redisEnded, rounds: 4},
	{name: "redis frozen", fault: redisFrozen, rounds: 4},
	{name: "replies lost", fault: repliesLost, rounds: 3},
	{name: "pieces late", fault: piecesLate, rounds: 3},
	{name: "connections cut", fault: connectionsCut, rounds: 4},
	{name: "everything", rounds: 8, dies: true, fault: oneOf(
		sidecarKilled, sidecarEnded, sidecarFrozen,
		redisKilled, redisEnded, redisFrozen, repliesLost, piecesLate, connectionsCut)},
}

// clients is how many clients there are.
const clients = 5

func TestEveryJobThatWasPromisedHasOneOutcome(t *testing.T) {
	for i, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			if c.long && !*patient {
				t.Skip("it waits for a minute: make check-jobs")
			}
			t.Parallel()
			w := newWorld(t, redisd.AOF(*fsync))
			schedule := rand.New(rand.NewPCG(*seed, uint64(i)))
			w.trouble(c, schedule)
			w.heal(c)
			w.judge(c)
		})
	}
}

// trouble lets clients and faults loose until all requests are sent and the fault has had its
// rounds.
func (w *world) trouble(c class, schedule *rand.Rand) {
	var running sync.WaitGroup
	share := *count / clients
	for i := range clients {
		r := rand.New(rand.NewPCG(schedule.Uint64(), uint64(i)))
		one := &client{world: w, rand: r, name: string(rune('a' + i))}
		running.Go(func() { one.run(share) })
	}
	sent := make(chan struct{})
	go func() { running.Wait(); close(sent) }()
	for round, done := 0, false; !done || round < c.rounds; round++ {
		select {
		case <-sent:
			done = true
			if c.fault == nil || round >= c.rounds {
				return
			}
		case <-time.After(between(schedule, 50*time.Millisecond, time.Second)):
		}
		if c.fault == nil || c.long && round >= c.rounds { // one takes a minute
			continue
		}
		c.fault(w, schedule)
		for _, s := range w.sidecars {
			w.awaitRedis(s)
		}
	}
	<-sent
}
