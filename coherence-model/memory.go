package main

import "fmt"

// The memory tier of two sidecars, A (0, which takes the writes) and B (1), over the token protocol
// with one tag. Each sidecar has a counter that only grows. A push sets the tag's slot to
// ++counter. An operation notes the counter before it touches Redis; its result enters memory, and
// is served from there, only while slot <= noted. A sidecar has caught up when it gets its own
// echo, a message that it published on the same channel.

type mget struct {
	pc, side, ver, c0, tok uint8
}

type mside struct {
	counter, slot  uint8
	mv, mc         uint8 // memory: version+1, noted counter
	q              [4]uint8
	qn             uint8
	subscribed     bool
	caught         uint8 // every write answered up to here has been heard
	echoOut, alive bool
	own            uint8 // newest own write answered
}

type mstate struct {
	side     [2]mside
	g        [3]mget
	wpc      uint8
	writes   uint8
	v, acked uint8
	tok, in  uint8
	next     uint8
	ev, et   uint8
	losses   uint8
	bad      uint8
}

type mconf struct {
	name, note string
	expectBad  bool
	lateput    bool // flaw: put without comparing the counter
	peerBeat   bool // flaw: any heartbeat counts from its receipt
	noFloor    bool // flaw: resubscribed without raising the floor
	pushFirst  bool // flaw: PUBLISH before DEL
	noOwnBump  bool // flaw: own writes wait for the push
	writes     uint8
	sides      [3]uint8 // where each GET arrives
}

const (
	mPush = 1 // queue items: push; echo carries 16+acked at its sending
	mEcho = 16
)

func (c *mconf) initState() mstate {
	var s mstate
	s.tok, s.next, s.ev, s.et = 1, 2, 1, 1
	for i := range s.side {
		s.side[i].subscribed, s.side[i].alive = true, true
	}
	for i, side := range c.sides {
		s.g[i].side = side
		if side > 1 { // no such GET
			s.g[i] = mget{pc: 9}
		}
	}
	return s
}

func (s *mstate) publish(item uint8) {
	for i := range s.side {
		d := &s.side[i]
		if d.subscribed && int(d.qn) < len(d.q) {
			d.q[d.qn] = item
			d.qn++
		}
	}
}

func (s *mstate) full() bool { return s.side[0].qn >= 3 || s.side[1].qn >= 3 }

func (c *mconf) put(n *mstate, q *mget) {
	d := &n.side[q.side]
	if d.slot <= q.c0 || c.lateput {
		d.mv, d.mc = q.ver+1, q.c0
		if c.lateput {
			d.mc = d.counter
		}
	}
	*q = mget{pc: 9, side: q.side}
}

func (c *mconf) next(s mstate, out emit[mstate]) {
	if s.bad != 0 {
		return
	}
	for p := range s.g {
		g := s.g[p]
		d := s.side[g.side]
		n := s
		q := &n.g[p]
		switch g.pc {
		case 0:
			if d.alive && d.mv != 0 && d.slot <= d.mc {
				if d.mv-1 < max(d.own, d.caught) {
					n.bad = 1
				}
				*q = mget{pc: 9, side: g.side}
				out(n, fmt.Sprintf("GET at %c is a memory hit: v%d", 'A'+g.side, d.mv-1), p)
				continue
			}
			q.c0, q.pc = d.counter, 1
			out(n, fmt.Sprintf("GET at %c notes counter %d", 'A'+g.side, d.counter), p)
		case 1:
			if s.ev != 0 && s.et == s.tok {
				q.ver, q.pc = s.ev-1, 5
				out(n, fmt.Sprintf("Redis hit v%d", q.ver), p)
				continue
			}
			if n.in == 0 && n.tok == 0 {
				n.tok = n.next
				n.next++
			}
			q.tok, q.pc = n.tok, 2
			out(n, "miss, opens the tag", p)
		case 2:
			q.ver, q.pc = s.v, 3
			if g.tok == 0 {
				*q = mget{pc: 9, side: g.side}
			}
			out(n, fmt.Sprintf("backend answers v%d", s.v), p)
		case 3:
			n.ev, n.et = q.ver+1, q.tok
			q.pc = 5
			out(n, fmt.Sprintf("stores v%d in Redis", q.ver), p)
		case 5:
			c.put(&n, q)
			out(n, fmt.Sprintf("puts v%d into memory of %c if no push came since",
				g.ver, 'A'+g.side), p)
		}
	}
	n := s
	a := &n.side[0]
	switch s.wpc {
	case 0:
		if s.writes < c.writes {
			n.writes++
			n.tok, n.in = 0, 1
			n.wpc = 1
			out(n, "begin", 100)
		}
	case 1:
		n.v++
		n.wpc = 2
		out(n, "backend commits", 100)
	case 2:
		if s.full() {
			break
		}
		if c.pushFirst {
			n.publish(mPush)
			n.wpc = 3
			out(n, "PUBLISH", 100)
			break
		}
		n.tok, n.in = 0, 0
		n.publish(mPush)
		n.wpc = 4
		out(n, "end: DEL and PUBLISH", 100)
	case 3:
		n.tok, n.in = 0, 0
		n.wpc = 4
		out(n, "end: DEL", 100)
	case 4:
		if !c.noOwnBump {
			a.counter++
			a.slot = a.counter
		}
		n.acked = s.v
		a.own = s.v
		n.wpc = 0
		out(n, "kills it in its own memory, answers", 100)
	}
	if s.in != 0 { // may expire during the write
		n := s
		n.in = 0
		out(n, "intent runs out", -1)
	}
	for i := range s.side {
		d := s.side[i]
		name := 'A' + i
		if d.qn > 0 {
			n := s
			e := &n.side[i]
			item := e.q[0]
			copy(e.q[:], e.q[1:])
			e.q[3] = 0
			e.qn--
			what := "push"
			if item == mPush {
				e.counter++
				e.slot = e.counter
			} else {
				what = "own echo"
				e.echoOut = false
				e.alive = true
				e.caught = max(e.caught, item-mEcho)
				if c.peerBeat {
					e.caught = max(e.caught, s.acked)
				}
			}
			out(n, fmt.Sprintf("%c receives the %s", name, what), -1)
		}
		// B's view; A is judged by its own writes
		if i == 1 && d.subscribed && !d.echoOut && !s.full() {
			n := s
			e := &n.side[i]
			e.echoOut = true
			e.q[e.qn] = mEcho + s.acked
			e.qn++
			out(n, fmt.Sprintf("%c publishes its echo", name), -1)
		}
		if i == 1 && d.subscribed && s.losses < 1 {
			n := s
			e := &n.side[i]
			n.losses++
			e.subscribed, e.qn, e.q, e.echoOut = false, 0, [4]uint8{}, false
			out(n, fmt.Sprintf("%c's subscription breaks", name), -1)
		}
		if !d.subscribed {
			n := s
			e := &n.side[i]
			e.subscribed = true
			if !c.noFloor {
				e.counter++
				e.slot = e.counter
			}
			out(n, fmt.Sprintf("%c subscribes again", name), -1)
		}
	}
}

func (c *mconf) badState(s mstate) string {
	if s.bad != 0 {
		return "STALE: memory answered older than an own answered write, or than what was " +
			"answered when its newest echo was sent"
	}
	return ""
}

func (c *mconf) show(from, to mstate, kind string, who int) string {
	name := "env "
	if who >= 100 {
		name = "W@A "
	} else if who >= 0 {
		name = fmt.Sprintf("G%d  ", who+1)
	}
	return "  " + name + kind
}

func mem(name, note string, bad bool, f func(c *mconf)) *mconf {
	c := &mconf{
		name: "memory/" + name, note: note, expectBad: bad, writes: 1, sides: [3]uint8{0, 1, 1},
	}
	f(c)
	return c
}

var memConfs = []*mconf{
	mem("proposed", "1 write at A, GETs at A and B, a lost subscription, echoes", false,
		func(c *mconf) {}),
	mem("proposed-at-A", "GETs at A, A, B", false, func(c *mconf) { c.sides = [3]uint8{0, 0, 1} }),
	mem("proposed-2w", "2 writes, 2 GETs at B", false,
		func(c *mconf) { c.writes, c.sides = 2, [3]uint8{1, 1, 9} }),
	mem("flaw/late-put", "a fill enters memory after the push for it", true,
		func(c *mconf) { c.lateput = true }),
	mem("flaw/peer-heartbeat",
		"heartbeat counted from its receipt, pushes still queued (frozen sidecar)", true,
		func(c *mconf) { c.peerBeat = true }),
	mem("flaw/no-floor", "subscribed again without dropping what memory holds", true,
		func(c *mconf) { c.noFloor = true }),
	mem("flaw/push-before-delete", "", true, func(c *mconf) { c.pushFirst = true }),
	mem("flaw/own-write-waits-for-push", "", true,
		func(c *mconf) { c.noOwnBump, c.sides = true, [3]uint8{0, 0, 1} }),
}
