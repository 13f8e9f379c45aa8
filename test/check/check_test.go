// Package check tries to break the promise that the cache makes after a write: many clients write
// ever newer versions of registers through any of three sidecars and read them through any, on a
// real Redis and a backend with a real database, while a seeded schedule breaks everything that can
// break. A read that began after a version was acknowledged has to return that version at least.
//
// A run that finds a stale read prints its seed and the operations on the register; -check.seed
// runs the same schedule again.
package check

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var (
	seed = flag.Uint64("check.seed", 1, "seed of clients and faults")
	ops  = flag.Int("check.ops", 2000, "operations to check in each class of faults")
)

// atOnce is how many worlds stand side by side. Most of the time a world waits: for a fault to end,
// an intent to run out.
const atOnce = 4

func TestMain(m *testing.M) {
	proc.SideBySide(atOnce)
	built := proc.BuildAhead("../../cmd/sidecar", "../register")
	code := m.Run()
	built()
	proc.Clean()
	os.Exit(code)
}

// A class is a kind of trouble.
type class struct {
	name      string
	fault     fault // nil: none
	rounds    int   // of the fault, at the least
	strict    bool
	writes    int  // percent of the operations; 0: 12, less than 0: none
	lists     int  // percent of the operations that read all registers; 0: 5
	registers int  // that clients use; 0: all
	puts      bool // the request of each write names its tags; else the answers of some do
	refused   int  // per thousand of the writes: refused by the backend
	unknown   int  // likewise: answered 504 and done later, and as many cut off
	memory    bool // reads are of the route with memory
	// reads have Last-Modified alone and are validated at every use: there are no hits
	dated bool
	// elsewhere is how long a version may be missing in other sidecars than the one that
	// acknowledged it: with memory until they hear of it; with available, where begin and end of a
	// write may both be lost, or the end of one whose answer alone names its changes, until it is
	// made good.
	elsewhere time.Duration
	killed    bool // sidecars are killed: their writes are judged when their intents have run out
	failsOver bool
	redis     []redisd.Option
	off       string // guards that are switched off, as JSON
}

// posts is the percentage of operations that are writes whose answer alone names the tags. Where
// the route is strict each closes all registers while it is under way, so there are few.
func (c class) posts() int {
	switch {
	case c.puts:
		return 0
	case c.strict:
		return 1
	}
	return c.writes / 2
}

// intentTime is how long a killed sidecar's tags are closed, and a margin.
const intentTime = 10*time.Second + time.Second

// How long other sidecars may be behind, with a margin for a busy machine.
const (
	untilHeard    = 1500 * time.Millisecond // half a second without an echo, and a margin
	untilMadeGood = 4 * time.Second         // the longest cut, the breaker's time-out, and a margin
)

// clients is how many clients there are.
const clients = 16

func newHTTP() *http.Client {
	return &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: registers, DisableCompression: true},
	}
}

var rdb = []redisd.Option{redisd.Config("dbfilename dump.rdb")}

var classes = []class{
	{name: "nothing", strict: true},
	{name: "redis killed", fault: redisKilled, rounds: 3, strict: true},
	{name: "redis frozen", fault: redisFrozen, rounds: 3, strict: true},
	{name: "redis flushed", fault: redisFlushed, rounds: 8, strict: true},
	{name: "keys evicted", fault: evicted, rounds: 10, strict: true},
	{name: "older dump", fault: olderDump, rounds: 4, strict: true, puts: true, redis: rdb},
	{name: "sidecar killed", fault: sidecarKilled, rounds: 3, strict: true, killed: true},
	{name: "sidecar frozen", fault: sidecarFrozen, rounds: 3, strict: true},
	{name: "connections cut", fault: connectionsCut, rounds: 5, strict: true},
	{name: "connections slow", fault: connectionsSlow, rounds: 3, strict: true},
	{name: "failover", fault: failover, rounds: 2, strict: true, puts: true, failsOver: true},
	{name: "policies swapped", fault: policiesSwapped, rounds: 2, strict: true},
	{name: "rolled out", fault: rolledOut, rounds: 1, strict: true},
	{name: "writes of every fate", strict: true, refused: 300, unknown: 2},
	{name: "known by seconds", dated: true, strict: true, writes: 30, registers: 2, puts: true},
	{name: "known by seconds, connections slow", dated: true, writes: 3, registers: 2, puts: true,
		fault: connectionsSlow, rounds: 5},
	{name: "known by seconds, keys evicted", dated: true, strict: true, fault: evicted, rounds: 10},
	{name: "available, nothing"},
	{name: "available, redis flushed", fault: redisFlushed, rounds: 8},
	{name: "available, keys evicted", fault: evicted, rounds: 10},
	{name: "available, sidecar frozen", fault: sidecarFrozen, rounds: 3, elsewhere: untilMadeGood},
	{name: "available, connections cut", fault: connectionsCut, rounds: 5,
		elsewhere: untilMadeGood},
	{name: "available, sidecar killed", fault: sidecarKilled, rounds: 2, killed: true},
	{name: "available, policies swapped", fault: policiesSwapped, rounds: 2},
	{name: "available, rolled out", fault: rolledOut, rounds: 1},
	{name: "available, redis killed", fault: redisKilled, rounds: 3, elsewhere: untilMadeGood},
	{name: "available, redis frozen", fault: redisFrozen, rounds: 3, elsewhere: untilMadeGood},
	{name: "available, older dump", fault: olderDump, rounds: 3,
		elsewhere: untilMadeGood, redis: rdb},
	{name: "available, failover", fault: failover, rounds: 2,
		elsewhere: untilMadeGood, failsOver: true},
	{name: "available, connections slow", fault: connectionsSlow, rounds: 3,
		elsewhere: untilMadeGood},
	{name: "memory", memory: true, elsewhere: untilHeard},
	{name: "memory, sidecar frozen", fault: sidecarFrozen, rounds: 4, memory: true,
		elsewhere: untilHeard},
	{name: "memory, connections cut", fault: connectionsCut, rounds: 5, memory: true,
		elsewhere: untilMadeGood},
	{name: "everything", strict: true, rounds: 12, refused: 200, killed: true, redis: rdb,
		failsOver: true, fault: oneOf(
			evicted, failover, redisKilled, redisFrozen, redisFlushed, olderDump, sidecarKilled,
			sidecarFrozen, connectionsCut, connectionsSlow, policiesSwapped)},
}

// run lets clients and faults loose until ops operations were checked and the fault has had its
// rounds, or something stale was read.
func (c class) run(t *testing.T, ops int) *history {
	t.Helper()
	if c.writes == 0 {
		c.writes = 12
	}
	if c.lists == 0 {
		c.lists = 5
	}
	if c.registers == 0 {
		c.registers = registers
	}
	w := newWorld(t, c)
	h := &history{began: time.Now()}
	w.history = h
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	stop := sync.OnceFunc(func() { cancel(); running.Wait() })
	defer stop()
	for i := range clients {
		one := &client{world: w, class: c, history: h,
			rand: rand.New(rand.NewPCG(*seed, uint64(i))),
			http: newHTTP()}
		running.Go(func() { one.run(ctx) })
	}
	schedule := rand.New(rand.NewPCG(*seed, 1_000_000))
	for round := 0; (h.checked() < ops || round < c.rounds) && !h.broken(); round++ {
		time.Sleep(between(schedule, 150*time.Millisecond, 500*time.Millisecond))
		if c.fault == nil {
			continue
		}
		c.fault(w, schedule)
		for _, s := range w.sidecars {
			w.awaitCaching(s)
		}
	}
	if c.killed && !h.broken() {
		w.judgeKilled(h)
	}
	if c.off == "" && !c.dated && !h.broken() {
		w.awaitHits(h)
	}
	stop()
	return h
}

// The share of hits to reach after the faults: a cache that stores nothing is never stale.
const (
	hitShare  = 30 // percent
	hitWindow = 300
)

// awaitHits waits until most faults are forgotten: of the latest answers, so many are hits.
func (w *world) awaitHits(h *history) {
	w.t.Helper()
	answers, hits := h.counts()
	proc.Await(w.t, time.Minute, func() error {
		nowAnswers, nowHits := h.counts()
		share := 100 * (nowHits - hits) / max(1, nowAnswers-answers)
		switch {
		case h.broken():
			return nil
		case nowAnswers-answers < hitWindow:
			return errNotYet
		case share < hitShare:
			answers, hits = nowAnswers, nowHits
			return fmt.Errorf("%d %% of the latest answers are hits, want %d", share, hitShare)
		}
		return nil
	})
}

// judgeKilled waits until the intents of killed sidecars have run out. Their writes that the
// backend has done count as acknowledged from then on.
func (w *world) judgeKilled(h *history) {
	w.t.Helper()
	w.quiet.Store(true)    // other worlds have the processors meanwhile
	time.Sleep(intentTime) // nothing says when they have run out: that they do is tested
	w.quiet.Store(false)
	for _, l := range h.lostWrites() {
		resp, err := http.Get(w.backend + "/now/" + itoa(l.register))
		if err != nil {
			w.t.Fatal(err)
		}
		var got answer
		err = json.NewDecoder(resp.Body).Decode(&got)
		_ = resp.Body.Close()
		if err != nil {
			w.t.Fatal(err)
		}
		if got.V >= l.version {
			h.mu.Lock()
			h.acknowledge(l.register, l.version, h.now())
			h.mu.Unlock()
		}
	}
	before := h.checked()
	proc.Await(w.t, time.Minute, func() error { // every register is read again
		if h.checked() < before+20*registers && !h.broken() {
			return errNotYet
		}
		return nil
	})
}

func TestNoReadIsOlderThanAnAcknowledgedWrite(t *testing.T) {
	for _, c := range classes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := c.run(t, *ops)
			t.Log(h.sum())
			for _, v := range h.stale {
				t.Errorf("seed %d: %s", *seed, v)
			}
			if c.memory && h.memory == 0 {
				t.Error("nothing was answered from memory")
			}
		})
	}
}

// With any part of the protocol switched off the checker has to find a stale read: it proves that
// it can see one.
func TestWithoutAGuardTheCheckerFindsAStaleRead(t *testing.T) {
	for _, c := range []class{
		{name: "tokens taken after the fetch", off: `{"TokensAfterFetch": true}`, writes: 30},
		{name: "guards of learned names ignored", off: `{"IgnoreGuards": true}`,
			writes: 4, lists: 80},
		{name: "joined by key alone", off: `{"JoinByKey": true}`, writes: 15,
			registers: 6, puts: true},
		{name: "no begin", off: `{"NoBegin": true}`, fault: sidecarKilled, rounds: 4,
			killed: true, writes: -1},
		{name: "no dirty list", off: `{"NoDirtyList": true}`, fault: connectionsCut, rounds: 5,
			elsewhere: untilMadeGood},
		{name: "all not carried", off: `{"AllNotCarried": true}`, fault: olderDump, rounds: 5,
			redis: rdb, strict: true, puts: true},
		{name: "no hello", off: `{"NoHello": true}`, fault: olderDump, rounds: 5, redis: rdb,
			strict: true, puts: true},
		{name: "stale confirmed under new tokens", off: `{"StaleUnproved": true}`, dated: true,
			writes: 3, registers: 2, puts: true,
			fault: connectionsSlow, rounds: 5},
		{name: "no own echo", off: `{"NoOwnEcho": true}`, fault: sidecarFrozen, rounds: 5,
			memory: true, elsewhere: untilHeard},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var h *history
			if c.killed { // judged when a run is over: so short ones, and several
				for run := 0; run < 5 && (h == nil || !h.broken()); run++ {
					h = c.run(t, 0)
				}
			} else {
				h = c.run(t, 200_000)
			}
			t.Log(h.sum())
			if !h.broken() {
				t.Errorf("seed %d: nothing stale was read without it", *seed)
			}
		})
	}
}
