package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An op is one operation of the history.
type op struct {
	start, end time.Duration // since the run began
	what       string        // GET /r/3, PUT /w/3?v=17
	sidecar    int
	status     int
	version    int64 // that was written, or read of the register
	register   int
	note       string // Cache-Status, or an error
}

func (o op) String() string {
	return fmt.Sprintf("%10v to %10v  sidecar %d  %-28s %3d v%d  %s",
		o.start.Round(time.Microsecond), o.end.Round(time.Microsecond), o.sidecar, o.what, o.status,
		o.version, o.note)
}

// A floor is the newest version of a register that somebody was told is there, and when.
type floor struct {
	version int64
	since   time.Duration
}

// A history records the operations of all clients. A read that began after version n was
// acknowledged has to return n or newer.
type history struct {
	began time.Time

	issued [registers]atomic.Int64
	mu     sync.Mutex
	acked  [registers]floor
	own    [3][registers]floor // acknowledged through this sidecar
	recent [registers][]op     // the latest, for the report of a violation
	late   []lost              // writes through sidecars that were killed

	answers, hits, memory int // to requests
	// reads of registers; one answer may have all of them
	reads, writes, refused, failed int
	stale                          []string // reads that broke the promise
	// how long after its acknowledgement a version was missing at the most
	worst      time.Duration
	staleReads int
}

// lost is a write whose outcome is unknown, since its sidecar was killed.
type lost struct {
	register int
	version  int64
}

// keepRecent bounds the operations remembered for each register.
const keepRecent = 60

func (h *history) now() time.Duration { return time.Since(h.began) }

// A reader's floors are noted before its request is sent.
type floors struct{ all, own [registers]floor }

func (h *history) floors(sidecar int) (f floors) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return floors{h.acked, h.own[sidecar]}
}

// read judges a read of one register. Writes that other sidecars acknowledged may be missing for
// the time elsewhere.
func (h *history) read(o op, f floors, elsewhere time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(o)
	h.reads++
	want := f.all[o.register]
	if o.version >= want.version {
		return
	}
	h.staleReads++
	h.worst = max(h.worst, o.start-want.since)
	if own := f.own[o.register]; o.version < own.version || o.start-want.since > elsewhere {
		h.violation(o, want)
	}
}

// answered counts where an answer to a read came from.
func (h *history) answered(o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answers++
	if strings.Contains(o.note, "sidecar; hit") {
		h.hits++
		if strings.Contains(o.note, "memory") {
			h.memory++
		}
	}
}

// violation reports a stale read and the operations before it. h.mu is held.
func (h *history) violation(o op, want floor) {
	if len(h.stale) >= 3 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b,
		"a read returned v%d of register %d, %v after v%d was acknowledged:\n  %v\n"+
			"what was done with the register:\n",
		o.version, o.register, o.start-want.since, want.version, o)
	for _, r := range h.recent[o.register] {
		fmt.Fprintf(&b, "  %v\n", r)
	}
	h.stale = append(h.stale, b.String())
}

// remember keeps o among the latest. h.mu is held.
func (h *history) remember(o op) {
	r := append(h.recent[o.register], o)
	h.recent[o.register] = r[max(0, len(r)-keepRecent):]
}

// wrote takes a write's end.
func (h *history) wrote(o op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remember(o)
	h.writes++
	switch {
	case o.status == http.StatusOK:
		h.acknowledge(o.register, o.version, o.end)
		if h.own[o.sidecar][o.register].version < o.version {
			h.own[o.sidecar][o.register] = floor{o.version, o.end}
		}
	case o.status == http.StatusConflict:
		h.refused++
	default:
		h.failed++
		if o.status == 0 && !stranger(o.register) {
			h.late = append(h.late, lost{o.register, o.version})
		}
	}
}

// stranger reports whether writes to the register have no credentials. They are not announced: of
// one whose sidecar is killed nothing is promised.
func stranger(register int) bool { return register%4 == 3 }

// acknowledge raises the floor. h.mu is held.
func (h *history) acknowledge(register int, version int64, at time.Duration) {
	if h.acked[register].version < version {
		h.acked[register] = floor{version, at}
	}
}

// A client does one operation after another, as its seed says, until ctx is done.
type client struct {
	world   *world
	class   class
	history *history
	rand    *rand.Rand
	http    *http.Client
}

// quietPause is between the operations of a client while its world is quiet.
const quietPause = 50 * time.Millisecond

func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		if c.world.quiet.Load() {
			time.Sleep(quietPause) // the rate of the load, and nothing that is waited for
		}
		sidecar, register := c.rand.IntN(len(c.world.sidecars)), c.rand.IntN(c.class.registers)
		switch n := c.rand.IntN(100); {
		case n < c.class.posts():
			c.write(ctx, sidecar, register, fmt.Sprintf("POST /w?id=%d&", register))
		case n < c.class.writes:
			c.write(ctx, sidecar, register, fmt.Sprintf("PUT /w/%d?", register))
		case n < c.class.writes+c.class.lists && !c.class.memory:
			c.list(ctx, sidecar)
		case c.class.memory:
			c.read(ctx, sidecar, register, fmt.Sprintf("/m/%d", register))
		case c.class.dated:
			c.read(ctx, sidecar, register, fmt.Sprintf("/s/%d", register))
		case c.class.off == "" && register%2 == 1: // else a refresh would soon hide a missing guard
			c.read(ctx, sidecar, register, fmt.Sprintf("/b/%d", register))
		default:
			c.read(ctx, sidecar, register, fmt.Sprintf("/r/%d", register))
		}
	}
}

// patience bounds one operation.
const patience = 15 * time.Second

func (c *client) do(ctx context.Context, o *op, method, path string, into any) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	o.start = c.history.now()
	defer func() { o.end = c.history.now() }()
	req, err := http.NewRequestWithContext(ctx, method,
		c.world.sidecars[o.sidecar].url+path, http.NoBody)
	if err != nil {
		o.note = err.Error()
		return
	}
	req.Host = "registers.example" // one API: sidecars share their entries
	if method != http.MethodGet && !stranger(o.register) {
		req.Header.Set("Authorization", "Basic eDp5")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		o.note = err.Error()
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		o.note = err.Error()
		return
	}
	o.status, o.note = resp.StatusCode, strings.Join(resp.Header.Values("Cache-Status"), ", ")
	if resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(body, into); err != nil {
			o.status, o.note = 0, err.Error()
		}
	}
}

type answer struct {
	ID string `json:"id"`
	V  int64  `json:"v"`
}

func (c *client) read(ctx context.Context, sidecar, register int, path string) {
	o := op{what: "GET " + path, sidecar: sidecar, register: register}
	var got answer
	before := c.history.floors(sidecar)
	c.do(ctx, &o, http.MethodGet, path, &got)
	if o.version = got.V; o.status == http.StatusOK {
		c.history.answered(o)
		c.history.read(o, before, c.class.elsewhere)
	}
}

func (c *client) list(ctx context.Context, sidecar int) {
	o := op{what: "GET /list", sidecar: sidecar}
	var got struct {
		Items []answer `json:"items"`
	}
	before := c.history.floors(sidecar)
	// A new list every now and then: no sidecar knows its tags yet.
	c.do(ctx, &o, http.MethodGet, fmt.Sprintf("/list?%d", c.history.now()/(100*time.Millisecond)),
		&got)
	if o.status != http.StatusOK {
		return
	}
	c.history.answered(o)
	for _, item := range got.Items {
		register, err := strconv.Atoi(item.ID)
		if err != nil || register >= registers {
			continue
		}
		one := o
		one.register, one.version = register, item.V
		c.history.read(one, before, c.class.elsewhere)
	}
}

func (c *client) write(ctx context.Context, sidecar, register int, what string) {
	o := op{sidecar: sidecar, register: register, version: c.history.issued[register].Add(1)}
	method, path, _ := strings.Cut(what, " ")
	path += fmt.Sprintf("v=%d", o.version)
	switch n := c.rand.IntN(1000); {
	case n < c.class.refused:
		path += "&fate=refuse"
	case n < c.class.refused+c.class.unknown:
		path += "&fate=late"
	case n < c.class.refused+2*c.class.unknown:
		path += "&fate=cut"
	}
	o.what = method + " " + path
	var got answer
	c.do(ctx, &o, method, path, &got)
	c.history.wrote(o)
}

// sum is a summary for the log.
func (h *history) sum() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Sprintf(
		"%d reads, %d answers, %d hits (%d from memory), %d writes (%d refused, %d failed), %d "+
			"stale, at the most %v after the answer",
		h.reads, h.answers, h.hits, h.memory, h.writes, h.refused, h.failed, h.staleReads,
		h.worst.Round(time.Millisecond))
}

// checked is how many operations were checked.
func (h *history) checked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads + h.writes
}

// counts are how many answers to reads came, and how many were hits.
func (h *history) counts() (answers, hits int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answers, h.hits
}

// lostWrites returns the writes whose outcome is unknown, and forgets them.
func (h *history) lostWrites() []lost {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := slices.Clone(h.late)
	h.late = nil
	return out
}

// broken reports whether something stale was read that the promise forbids.
func (h *history) broken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.stale) > 0
}

var errNotYet = errors.New("not yet")

func itoa(n int) string { return strconv.Itoa(n) }
