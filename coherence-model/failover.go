package main

import "fmt"

// A failover that leaves connections to the demoted server open: the address moves from server 1
// to server 2. Two sidecars, A (0, which takes the writes) and B (1), over the token protocol with
// one tag. Time passes in ticks, at any point between two steps. Each sidecar looks again and
// again: it dials the address. A look that reaches the server of its connections proves them for
// trustTicks, counted from when the look began. A look that reaches the other server drops the
// connections and all that is stored there. When every proof from before the move has run out, the
// sidecar drops all that is stored once more; until then it uses no connection. A frozen or killed
// sidecar takes no step.
const (
	trustTicks = 1
	boundTicks = 2 // a response is no older than a write that was acknowledged so long ago
	maxFW      = 2
)

type fserver struct {
	all, tag, intent uint8
	ev, eall, etag   uint8 // the entry: data version + 1, 0 none; its tokens
}

type fside struct {
	at     uint8 // server of its connections
	proved uint8 // ticks since the look began that proved them, trustTicks at most
	look   uint8 // ticks since the look under way began, and 1; 0 none
	found  uint8 // server that it reached, and 1
	quiet  uint8 // ticks until all is dropped again, and 1; 0: connections may be used
}

// An fop is a GET or a write. at is the server of the connection that its command is on.
type fop struct {
	pc, at, floor, ver, all, tag uint8
}

type fstate struct {
	srv    [2]fserver
	lags   bool // server 2 has stopped to follow server 1
	addr   uint8
	back   bool // the address has moved back to server 1
	side   [2]fside
	w      fop
	writes uint8
	g      [2]fop
	v      uint8
	acked  [maxFW]uint8 // ticks since a version was acknowledged, and 1; 0: not yet
	next   uint8
	bad    bool
}

type fconf struct {
	name, note string
	expectBad  bool
	writes     uint8
	sides      [2]uint8 // where each GET arrives; 9: there is none
	lossy      bool     // begin is lost, and the write is forwarded all the same
	returns    bool     // the address moves back to server 1, when both have seen server 2

	// flaws
	noTrust bool // a connection is used for as long as it is open
	fromEnd bool // a proof counts from when the look ended
	noDrop  bool // the entries on the new server stay
	atOnce  bool // it is dropped when the other server is noticed, and not again
	reuses  bool // the server before is used at once when it comes back
}

// Steps of a GET and of a write. Each command is checked, executed, and checked again when its
// reply is there.
const (
	fStart = iota
	fSend
	fReply
	fOpen
	fOpened
	fFetch
	fStore
	fDone
)

func (c *fconf) initState() fstate {
	s := fstate{next: 3}
	s.srv[0] = fserver{all: 1, tag: 2, ev: 1, eall: 1, etag: 2}
	for i, side := range c.sides {
		if side > 1 {
			s.g[i].pc = fDone
		}
	}
	return s
}

func (c *fconf) trusted(d fside) bool {
	return d.quiet == 0 && (c.noTrust || d.proved < trustTicks)
}

func (s *fstate) fresh(token *uint8) {
	if *token == 0 {
		*token = s.next
		s.next++
	}
}

func (c *fconf) next(s fstate, out emit[fstate]) {
	if s.bad {
		return
	}
	for p := range s.g {
		c.stepGet(s, p, out)
	}
	c.stepWrite(s, out)
	for i := range s.side {
		c.stepLook(s, i, out)
	}
	c.stepWorld(s, out)
}

func (c *fconf) stepGet(s fstate, p int, out emit[fstate]) {
	side := c.sides[p]
	if s.g[p].pc == fDone {
		return
	}
	n := s
	g, d := &n.g[p], s.side[side]
	lost := g.at != d.at // the connection was dropped
	switch {
	case g.pc == fStart && c.trusted(d):
		g.pc, g.at = fSend, d.at
		for v, age := range s.acked {
			if age > boundTicks {
				g.floor = uint8(v + 1)
			}
		}
		out(n, "begins", p)
	case g.pc == fSend && lost, g.pc == fOpened && lost:
		*g = fop{pc: fDone}
		out(n, "its connection is dropped", p)
	case g.pc == fSend:
		r := s.srv[g.at]
		if r.ev != 0 && r.eall == r.all && r.etag == r.tag {
			g.ver = r.ev
		}
		g.pc = fReply
		out(n, fmt.Sprintf("MGET at server %d", g.at+1), p)
	case g.pc == fReply && c.trusted(d) && g.ver != 0:
		n.bad = g.ver-1 < g.floor
		*g = fop{pc: fDone}
		out(n, "is answered from the store", p)
	case g.pc == fReply && c.trusted(d):
		g.pc, g.at = fOpened, d.at
		out(n, "misses", p)
	case g.pc == fOpened:
		r := &n.srv[g.at]
		n.fresh(&r.all)
		if r.intent == 0 {
			n.fresh(&r.tag)
		}
		g.all, g.tag, g.pc = r.all, r.tag, fFetch
		out(n, fmt.Sprintf("opens at server %d", g.at+1), p)
	case g.pc == fFetch:
		g.ver, g.pc = s.v+1, fStore
		if g.tag == 0 {
			*g = fop{pc: fDone}
		}
		out(n, "backend answers", p)
	case g.pc == fStore && c.trusted(d):
		r := &n.srv[d.at]
		r.ev, r.eall, r.etag = g.ver, g.all, g.tag
		*g = fop{pc: fDone}
		out(n, fmt.Sprintf("stores v%d at server %d", r.ev-1, d.at+1), p)
	}
}

// Steps of a write.
const (
	fwStart = iota
	fwBegin
	fwCommit
	fwCheck
	fwEnd
	fwReply
)

func (c *fconf) stepWrite(s fstate, out emit[fstate]) {
	n := s
	w, d := &n.w, s.side[0]
	take := func(pc uint8, kind string) {
		w.pc = pc
		out(n, kind, 100)
	}
	if w.pc == fwBegin && c.lossy {
		lost := n
		lost.w.pc = fwCommit
		out(lost, "begin is lost; forwarded", 100)
	}
	switch {
	case w.pc == fwStart && s.writes < c.writes && c.trusted(d):
		w.at = d.at
		n.writes++
		take(fwBegin, "begins")
	case w.pc == fwBegin && w.at == d.at:
		n.srv[w.at].tag, n.srv[w.at].intent = 0, 1
		take(fwCommit, fmt.Sprintf("begin at server %d", w.at+1))
	case w.pc == fwCommit:
		n.v++
		take(fwCheck, fmt.Sprintf("backend commits v%d", n.v))
	case w.pc == fwCheck && c.trusted(d):
		w.at = d.at
		take(fwEnd, "sends the end")
	case w.pc == fwEnd && w.at == d.at:
		n.srv[w.at].tag, n.srv[w.at].intent = 0, 0
		take(fwReply, fmt.Sprintf("end at server %d", w.at+1))
	case w.pc == fwEnd:
		take(fwCheck, "the connection is dropped: sent again")
	case w.pc == fwReply && c.trusted(d):
		n.acked[s.v-1] = 1
		take(fwStart, fmt.Sprintf("v%d is acknowledged", s.v))
	}
}

func (c *fconf) stepLook(s fstate, i int, out emit[fstate]) {
	n := s
	d := &n.side[i]
	name := 'A' + i
	drop := func(kind string) {
		if !c.noDrop {
			n.srv[d.at].all = 0
		}
		out(n, fmt.Sprintf("%c %s", name, kind), -1)
	}
	switch {
	case d.quiet == 1:
		d.quiet = 0
		drop("drops all that is stored, again")
	case d.quiet > 1 && d.look == 0 && d.at == s.addr: // its looks go on; they prove the same
	case d.look == 0:
		d.look = 1
		out(n, fmt.Sprintf("%c begins to look", name), -1)
	case d.found == 0:
		d.found = s.addr + 1
		out(n, fmt.Sprintf("%c reaches server %d", name, s.addr+1), -1)
	default:
		moved := d.found-1 != d.at
		if moved && c.reuses && d.quiet > 0 {
			moved, d.quiet = false, 0
		}
		d.at, d.proved = d.found-1, d.look-1
		if c.fromEnd {
			d.proved = 0
		}
		d.look, d.found = 0, 0
		if !moved {
			out(n, fmt.Sprintf("%c has proved its connections", name), -1)
			return
		}
		if !c.atOnce {
			d.quiet = trustTicks + 1
		}
		drop("drops its connections and all that is stored")
	}
}

func (c *fconf) stepWorld(s fstate, out emit[fstate]) {
	n := s
	for i := range n.side {
		d := &n.side[i]
		d.proved = min(d.proved+1, trustTicks)
		if d.look > 0 {
			d.look = min(d.look+1, trustTicks+1)
		}
		if d.quiet > 1 {
			d.quiet--
		}
	}
	for v, age := range n.acked {
		if age > 0 {
			n.acked[v] = min(age+1, boundTicks+1)
		}
	}
	if n != s {
		out(n, "(tick)", -1)
	}
	if !s.lags {
		n := s
		n.lags, n.srv[1] = true, n.srv[0]
		out(n, "server 2 stops to follow", -1)
	} else if s.addr == 0 && !s.back {
		n := s
		n.addr = 1
		out(n, "the address moves to server 2", -1)
	} else if s.addr == 1 && c.returns && s.side[0].at == 1 && s.side[1].at == 1 {
		n := s
		n.addr, n.back = 0, true
		out(n, "the address moves back to server 1", -1)
	}
	for i := range s.srv {
		if s.srv[i].intent != 0 {
			n := s
			n.srv[i].intent = 0
			out(n, fmt.Sprintf("intent at server %d runs out", i+1), -1)
		}
	}
}

func (c *fconf) badState(s fstate) string {
	if s.bad {
		return "STALE: older than a write that was acknowledged longer ago than the bound"
	}
	return ""
}

func (c *fconf) show(_, to fstate, kind string, who int) string {
	name := "env  "
	if who >= 100 {
		name = "W@A  "
	} else if who >= 0 {
		name = fmt.Sprintf("G%d@%c ", who+1, 'A'+c.sides[who])
	}
	return "  " + name + kind
}

func fail(name, note string, expectBad bool, f func(c *fconf)) *fconf {
	c := &fconf{
		name: "failover/" + name, note: note, expectBad: expectBad, writes: 1,
		sides: [2]uint8{1, 1},
	}
	f(c)
	return c
}

var failoverConfs = []*fconf{
	fail("proposed", "1 write at A, 2 GETs at B", false, func(c *fconf) {}),
	fail("proposed-at-A", "a GET at A, a GET at B", false,
		func(c *fconf) { c.sides = [2]uint8{0, 1} }),
	fail("proposed-lossy", "", false, func(c *fconf) { c.lossy = true }),
	fail("proposed-2w", "2 writes, 1 GET at B", false,
		func(c *fconf) { c.writes, c.sides = 2, [2]uint8{1, 9} }),
	fail("proposed-returns", "1 GET at B", false,
		func(c *fconf) { c.returns, c.sides = true, [2]uint8{1, 9} }),
	fail("flaw/reused-at-once", "the server that comes back is not emptied", true, func(c *fconf) {
		c.returns, c.reuses, c.sides = true, true, [2]uint8{1, 9}
	}),
	fail("flaw/no-trust", "connections are used for as long as they are open", true,
		func(c *fconf) { c.noTrust = true }),
	fail("flaw/proof-from-its-end", "a slow look proves for too long", true,
		func(c *fconf) { c.fromEnd = true }),
	fail("flaw/nothing-dropped", "", true, func(c *fconf) { c.noDrop = true }),
	fail("flaw/dropped-at-once", "then A acknowledges on the old server, and is killed", true,
		func(c *fconf) { c.atOnce = true }),
}
