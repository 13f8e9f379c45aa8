package main

import (
	"fmt"
	"strings"
)

// The protocol. One cache key, tags ALL (the incarnation), T1 (known from the route), T2 (named only by the
// response) and GD, the guard of T2's family. A token is a small number, renamed canonically; 0 is "no such key".
const (
	ALL = iota
	T1
	T2
	GD
	NT
)

const (
	maxG = 3
	maxW = 3
)

// GET's program counter.
const (
	gIdle = iota
	gRead
	gOpen
	gFetch
	gLearn // fetched; T2 named by the response
	gGuard
	gStore
	gNames // guard closed or changed: the names alone are stored
	gDone
)

// WRITE's program counter.
const (
	wBegin = iota
	wForward
	wEnd  // outcome known: guard first
	wEnd2 // then the tag
	wDone
	wUEnd // outcome unknown, commit still possible
	wUEnd2
	wLate // answered 504, commit may still come
	wREnd // refused: nothing was committed
)

// evNames in place of an entry's version: names alone, without a body.
const evNames = 255

type tget struct {
	pc, floor, ver uint8
	mask           uint8     // reads or opens already done
	ev             uint8     // copy of the entry: data version + 1, 0 none
	et             [3]uint8  // its tokens for ALL, T1, T2
	rt             [NT]uint8 // tokens read or opened
	fl             uint8
}

const (
	fNoStore = 1 << iota
	fInit    // the process met a new server in the course of this hit or fill
	fGuard   // the guard was closed: it counts as changed
	fKnows   // T2 is known from a dead entry, and opened before the fetch
)

type twrite struct {
	pc, ver uint8
	begun   uint8 // bit per tag whose begin was acknowledged
	ended   uint8 // refused: bit per tag whose end is over
	late    uint8 // bit per tag whose begin was given up, and may still execute
	fl      uint8
}

const (
	wCounts  = 1 << iota // answered: property holds for it
	wExpired             // some intent of it has run out
	wFailed              // begin was not acknowledged
	wCovered             // committed while all its intents stood
)

type tredis struct {
	ev    uint8
	et    [3]uint8
	t     [NT]uint8
	w     [NT]uint8 // outstanding writers, a bit each
	a     [NT]uint8 // token put aside, in the same Redis key as w
	known uint8     // bit per shard: its present replication id is in the known set
}

type tstate struct {
	r, snap  tredis
	snapped  uint8
	v, acked uint8
	g        [maxG]tget
	w        [maxW]twrite
	conn     [maxG + maxW]uint8 // bit per shard: connection is to the present process there
	evicts   uint8
	bad      uint8
}

type tconf struct {
	name, note string
	expectBad  bool
	big        bool            // only with -big
	live       map[tstate]bool // found to be live

	gets        int
	writes      []uint8 // tag of each write
	cluster     bool    // every key op is its own step; else scripts over several keys are atomic
	evict       int     // how many evictions
	evictW      bool
	flush       bool
	rollback    int // 0 none, 1 whole server (single) ; in cluster: any one shard
	lossy       bool
	late        bool // lossy: a begin given up executes at any time later
	unknown     bool // time-outs with the commit afterwards
	expire      bool
	renew       bool // begin again while the backend request is under way, or late
	p2          bool // a dead writer's expired intent counts
	join        bool
	refuse      uint8 // bit per write that the backend refuses
	mayRefuse   uint8 // ... refuses or commits
	jobs        uint8 // ... that only ends: a job, a purge
	kept        bool  // nothing but refused writes, no faults: the tokens must come back
	noLearned   bool  // response names no tag
	guarded     bool  // noLearned: guards are opened all the same
	knows       bool  // fillers open the names of a dead entry
	guardClosed bool  // must be live even while others keep the guard closed
	lean        bool  // the aside is dropped neither by open nor by a refused end that finds its intent gone

	// flaws
	tokensAfterFetch bool
	noGuard          bool
	guardLast        bool
	closedSame       bool // a guard closed before and after the fetch taken for unchanged
	noIncarnation    bool
	joinAny          bool
	joinClosed       bool // flights shared while the guard is closed
	joinKey          bool // flights keyed by request-derived tags only, guard not compared
	noIntent         bool
	singleIntent     bool // one flag instead of one per writer
	ackFirst         bool
	noConnGen        bool
	serveDead        bool // stale-if-error from invalidated entries
	noSettle         bool
	deleteOnlyBegin  bool
	missingOK        bool
	oldRead          bool // tokens as they stood before the GET came: lagging replica, or a Redis read shared with an earlier GET
	noAside          bool
	restoreBeside    bool // set back although another intent stands
	expirySilent     bool // an expired intent goes, the aside stays
	endKeepsAside    bool
}

func (c *tconf) shard(tag int) uint8 {
	if !c.cluster {
		return 0
	}
	return [NT]uint8{0, 1, 2, 1}[tag]
}
func (c *tconf) entryShard() uint8 {
	if c.cluster {
		return 2
	}
	return 0
}
func (c *tconf) shards() int {
	if c.cluster {
		return 3
	}
	return 1
}

// canon renames tokens in order of first appearance and sorts the GETs, which are alike, and the writes that are.
func (s *tstate) canon(c *tconf) {
	for i := 1; i < c.gets; i++ {
		for j := i; j > 0 && lessGet(s, j, j-1); j-- {
			s.g[j], s.g[j-1] = s.g[j-1], s.g[j]
			s.conn[j], s.conn[j-1] = s.conn[j-1], s.conn[j]
		}
	}
	for i := 1; i < len(c.writes); i++ {
		for j := i; j > 0 && c.alike(j, j-1) && s.rankWrite(j) < s.rankWrite(j-1); j-- {
			s.w[j], s.w[j-1] = s.w[j-1], s.w[j]
			s.conn[maxG+j], s.conn[maxG+j-1] = s.conn[maxG+j-1], s.conn[maxG+j]
			for t := range NT {
				for _, w := range []*uint8{&s.r.w[t], &s.snap.w[t]} {
					if x := (*w>>j ^ *w>>(j-1)) & 1; x != 0 {
						*w ^= 1<<j | 1<<(j-1)
					}
				}
			}
		}
	}
	var m [64]uint8
	n := uint8(0)
	ren := func(p *uint8) {
		v := *p
		if v == 0 {
			return
		}
		if m[v] == 0 {
			n++
			m[v] = n
		}
		*p = m[v]
	}
	each := func(r *tredis) {
		for i := range r.t {
			ren(&r.t[i])
		}
		for i := range r.et {
			ren(&r.et[i])
		}
		for i := range r.a {
			ren(&r.a[i])
		}
	}
	each(&s.r)
	each(&s.snap)
	for i := 0; i < c.gets; i++ {
		for j := range s.g[i].rt {
			ren(&s.g[i].rt[j])
		}
		for j := range s.g[i].et {
			ren(&s.g[i].et[j])
		}
	}
}

// alike: two writes that do the same. Where a trace is wanted they keep their names.
func (c *tconf) alike(a, b int) bool {
	same := func(mask uint8) bool { return mask>>a&1 == mask>>b&1 }
	return !c.expectBad && c.writes[a] == c.writes[b] && same(c.refuse) && same(c.mayRefuse) && same(c.jobs)
}

func (s *tstate) rankWrite(i int) uint64 {
	w := &s.w[i]
	rank := uint64(0)
	for _, b := range []uint8{w.pc, w.ver, w.begun, w.ended, w.late, w.fl} {
		rank = rank<<8 | uint64(b)
	}
	for t := range NT {
		rank = rank<<2 | uint64(s.r.w[t]>>i&1)<<1 | uint64(s.snap.w[t]>>i&1)
	}
	return rank<<3 | uint64(s.conn[maxG+i])
}

func lessGet(s *tstate, a, b int) bool {
	x, y := &s.g[a], &s.g[b]
	if x.pc != y.pc {
		return x.pc < y.pc
	}
	if x.floor != y.floor {
		return x.floor < y.floor
	}
	if x.ver != y.ver {
		return x.ver < y.ver
	}
	if x.mask != y.mask {
		return x.mask < y.mask
	}
	if x.ev != y.ev {
		return x.ev < y.ev
	}
	if x.fl != y.fl {
		return x.fl < y.fl
	}
	for i := range x.rt {
		if x.rt[i] != y.rt[i] {
			return x.rt[i] < y.rt[i]
		}
	}
	return s.conn[a] < s.conn[b]
}

func (s *tstate) fresh() uint8 {
	m := uint8(0)
	up := func(v uint8) {
		if v > m {
			m = v
		}
	}
	for _, r := range []*tredis{&s.r, &s.snap} {
		for _, v := range r.t {
			up(v)
		}
		for _, v := range r.et {
			up(v)
		}
		for _, v := range r.a {
			up(v)
		}
	}
	for i := range s.g {
		for _, v := range s.g[i].rt {
			up(v)
		}
		for _, v := range s.g[i].et {
			up(v)
		}
	}
	return m + 1
}

// refusals: where nothing is refused, nothing ever reads the aside, and leaving it out gives the same states.
func (c *tconf) refusals() bool { return c.refuse|c.mayRefuse != 0 }

// open is the script of that name: the tag's token, created if absent; nothing (0) while a writer is outstanding.
func (s *tstate) open(c *tconf, tag int) uint8 {
	if s.r.t[tag] == 0 && s.r.w[tag] == 0 {
		s.r.t[tag] = s.fresh()
		if !c.lean {
			s.r.a[tag] = 0
		}
	}
	return s.r.t[tag]
}

// begin puts the token aside for a refusal to set back. The first of several writers finds it; to the others it is gone already.
func (s *tstate) begin(c *tconf, tag, wid int) {
	if s.r.t[tag] != 0 && s.r.w[tag] == 0 && c.refusals() && !c.noAside {
		s.r.a[tag] = s.r.t[tag]
	}
	if !c.deleteOnlyBegin {
		s.r.w[tag] |= 1 << wid
	}
	s.r.t[tag] = 0
}

// end of a write that may have committed: what was put aside is older than it.
func (s *tstate) end(c *tconf, tag, wid int, settle bool) {
	s.r.t[tag] = 0
	if !c.endKeepsAside {
		s.r.a[tag] = 0
	}
	if settle {
		s.r.w[tag] |= 1 << wid
		return
	}
	if c.singleIntent {
		s.r.w[tag] = 0
	} else {
		s.r.w[tag] &^= 1 << wid
	}
}

// endRefused deletes nothing. The last writer to go sets the token back, if all that stood beside it were refused too:
// a commit drops the aside when it ends, or when its intent is lost.
func (s *tstate) endRefused(c *tconf, tag, wid int) {
	mine := s.r.w[tag]&(1<<wid) != 0
	s.r.w[tag] &^= 1 << wid
	switch {
	case !mine:
		if !c.lean {
			s.r.a[tag] = 0
		}
	case s.r.a[tag] != 0 && (s.r.w[tag] == 0 || c.restoreBeside):
		s.r.t[tag], s.r.a[tag] = s.r.a[tag], 0
	}
}

func (c *tconf) initState() tstate {
	var s tstate
	s.v = 1
	s.r.known = 7
	for i := range s.conn {
		s.conn[i] = 7
	}
	// start warm: a valid entry of version 0, tokens for all.
	s.r.t = [NT]uint8{1, 2, 3, 4}
	s.r.ev = 1
	s.r.et = [3]uint8{1, 2, 3}
	if c.noLearned {
		s.r.et[2] = 0
		s.r.t[T2], s.r.t[GD] = 0, 0
	}
	s.v = 0
	for i := range c.writes {
		if c.jobs&(1<<i) != 0 {
			s.w[i] = twrite{pc: wForward, fl: wFailed}
		}
	}
	if c.kept {
		s.snap = s.r // to compare with
	}
	s.canon(c)
	return s
}

func (c *tconf) next(s tstate, out emit[tstate]) {
	if s.bad != 0 {
		return
	}
	yield := func(n tstate, kind string, who int) {
		n.canon(c)
		out(n, kind, who)
	}
	// with runs f once process p's connections to those shards are to the present primaries; otherwise it offers the connection's initialisation.
	with := func(p int, shards []uint8, f func()) {
		for _, sh := range shards {
			if s.conn[p]&(1<<sh) == 0 {
				n := s
				if c.noIncarnation {
					n.conn[p] |= 1 << sh
				} else if sh != 0 && s.conn[p]&1 == 0 { // the known set lives with ALL: connect there first
					n.initConn(p, 0)
				} else {
					n.initConn(p, sh)
				}
				if p < maxG && n.g[p].pc != gIdle {
					n.g[p].fl |= fInit
				}
				yield(n, "initialise connection", p)
				return
			}
		}
		f()
	}
	for p := 0; p < c.gets; p++ {
		c.stepGet(s, p, with, yield)
	}
	for i := range c.writes {
		c.stepWrite(s, i, with, yield)
	}
	c.stepWorld(s, yield)
}

// initConn: INFO gives the shard's replication id; `if SADD(known, id) == 1 then DEL(ALL)` is one script on ALL's slot.
func (s *tstate) initConn(p int, sh uint8) {
	if s.r.known&(1<<sh) == 0 {
		s.r.known |= 1 << sh
		s.r.t[ALL] = 0
	}
	s.conn[p] |= 1 << sh
}

func (c *tconf) stepGet(s tstate, p int, with func(int, []uint8, func()), yield func(tstate, string, int)) {
	g := s.g[p]
	switch g.pc {
	case gIdle, gRead:
		start := func(n *tstate) *tget {
			q := &n.g[p]
			if q.pc == gIdle {
				q.pc, q.floor = gRead, n.acked
			}
			return q
		}
		if !c.cluster {
			with(p, []uint8{0}, func() {
				n := s
				q := start(&n)
				q.ev, q.et, q.rt = n.r.ev, n.r.et, n.r.t
				q.mask = 15
				n.decide(c, p)
				yield(n, "MGET entry and tokens", p)
				if c.oldRead && s.snapped&1 != 0 {
					n := s
					q := start(&n)
					q.ev, q.et, q.rt = s.snap.ev, s.snap.et, s.snap.t
					q.mask = 15
					n.decide(c, p)
					yield(n, "MGET answered as of the snapshot", p)
				}
			})
			return
		}
		read := func(bit uint8, sh uint8, kind string, f func(n *tstate, q *tget)) {
			if g.mask&bit != 0 {
				return
			}
			with(p, []uint8{sh}, func() {
				n := s
				q := start(&n)
				f(&n, q)
				q.mask |= bit
				if q.mask == 15 {
					n.decide(c, p)
				}
				yield(n, kind, p)
			})
		}
		read(1, c.entryShard(), "GET entry", func(n *tstate, q *tget) { q.ev, q.et = n.r.ev, n.r.et })
		read(2, c.shard(ALL), "GET ALL", func(n *tstate, q *tget) { q.rt[ALL] = n.r.t[ALL] })
		read(4, c.shard(T1), "GET T1", func(n *tstate, q *tget) { q.rt[T1] = n.r.t[T1] })
		read(8, c.shard(T2), "GET T2", func(n *tstate, q *tget) { q.rt[T2] = n.r.t[T2] })
	case gOpen:
		if c.tokensAfterFetch {
			n := s
			n.g[p].ver = s.v
			n.g[p].pc = gFetch
			yield(n, "backend answers (tokens not yet read)", p)
			return
		}
		c.opens(s, p, gFetch, with, yield)
	case gFetch:
		if c.tokensAfterFetch { // flaw: opens now
			c.opens(s, p, gLearn, with, yield)
			return
		}
		n := s
		q := &n.g[p]
		q.ver = s.v
		switch {
		case q.fl&fNoStore != 0:
			n.finish(p)
		case c.noLearned || q.fl&fKnows != 0: // every tag was opened early: the guard has nothing to say
			q.pc = gStore
		case q.fl&fGuard != 0 && !c.closedSame:
			n.namesAlone(c, p)
		default:
			q.pc = gLearn
		}
		yield(n, "backend answers", p)
		if c.join {
			for f := 0; f < c.gets; f++ {
				o := s.g[f]
				if f == p || o.pc < gLearn || o.pc > gNames {
					continue
				}
				open := g.fl&fNoStore == 0 && (g.fl&fGuard == 0 || c.joinClosed)
				same := open && (g.fl&fInit == 0 || !c.cluster || c.noConnGen) && o.rt[ALL] == g.rt[ALL] && o.rt[T1] == g.rt[T1] && (o.rt[GD] == g.rt[GD] || c.joinKey)
				if same || c.joinAny {
					n := s
					n.answer(p, o.ver)
					yield(n, "joins a flight and answers", p)
				}
			}
		}
	case gLearn:
		with(p, []uint8{c.shard(T2)}, func() {
			n := s
			q := &n.g[p]
			q.rt[T2] = n.open(c, T2)
			q.pc = gGuard
			if c.noGuard {
				q.pc = gStore
			}
			if q.rt[T2] == 0 {
				n.namesAlone(c, p)
			}
			yield(n, "open T2, named by the response", p)
		})
	case gGuard:
		with(p, []uint8{c.shard(GD)}, func() {
			n := s
			q := &n.g[p]
			if n.r.t[GD] == q.rt[GD] && (q.rt[GD] != 0 || c.closedSame) {
				q.pc = gStore
			} else {
				n.namesAlone(c, p)
			}
			yield(n, "GET guard and compare", p)
		})
	case gStore:
		if g.fl&fInit != 0 && c.cluster && !c.noConnGen {
			n := s
			n.finish(p)
			yield(n, "does not store: met a new server meanwhile", p)
			return
		}
		with(p, []uint8{c.entryShard()}, func() {
			n := s
			n.r.ev = g.ver + 1
			n.r.et = [3]uint8{g.rt[ALL], g.rt[T1], g.rt[T2]}
			if c.noLearned {
				n.r.et[2] = 0
			}
			n.finish(p)
			yield(n, "SET entry", p)
		})
	case gNames:
		with(p, []uint8{c.entryShard()}, func() {
			n := s
			n.r.ev, n.r.et = evNames, [3]uint8{}
			n.finish(p)
			yield(n, "SET the names alone", p)
		})
	}
}

func (s *tstate) namesAlone(c *tconf, p int) {
	if !c.knows { // nobody would read them
		s.finish(p)
		return
	}
	s.g[p].pc = gNames
}

func (s *tstate) finish(p int) { s.g[p] = tget{pc: gDone} }

func (s *tstate) answer(p int, ver uint8) {
	if ver < s.g[p].floor {
		s.bad = 1
	}
	s.finish(p)
}

func (s *tstate) decide(c *tconf, p int) {
	q := &s.g[p]
	same := func(tag int) bool {
		if q.rt[tag] == 0 {
			return c.missingOK
		}
		return q.et[tag] == q.rt[tag]
	}
	valid := q.ev != 0 && q.ev != evNames && (c.noIncarnation || same(ALL)) && same(T1) && (c.noLearned || same(T2))
	if q.fl&fInit != 0 && c.cluster && !c.noConnGen {
		valid = false
	}
	if c.serveDead && q.ev != 0 {
		valid = true
	}
	if valid {
		s.answer(p, q.ev-1)
		return
	}
	known := uint8(0)
	if c.knows && q.ev != 0 {
		known = fKnows
	}
	*q = tget{pc: gOpen, floor: q.floor, fl: known} // a new operation as far as fInit goes: its tokens are read from here on
}

func (c *tconf) opens(s tstate, p int, then uint8, with func(int, []uint8, func()), yield func(tstate, string, int)) {
	tags := []int{ALL, T1, GD}
	if s.g[p].fl&fKnows != 0 {
		tags = []int{ALL, T1, T2, GD}
	}
	if c.noLearned && !c.guarded {
		tags = tags[:2]
	}
	apply := func(n *tstate, tag int) {
		q := &n.g[p]
		q.rt[tag] = n.open(c, tag)
		q.mask |= 1 << tag
		if q.rt[tag] == 0 && tag == GD {
			q.fl |= fGuard
		} else if q.rt[tag] == 0 {
			q.fl |= fNoStore
		}
	}
	done := func(n *tstate) {
		q := &n.g[p]
		for _, t := range tags {
			if q.mask&(1<<t) == 0 {
				return
			}
		}
		q.mask, q.pc = 0, then
		if c.tokensAfterFetch && c.noLearned {
			q.pc = gStore
		}
	}
	if !c.cluster {
		with(p, []uint8{0}, func() {
			n := s
			for _, t := range tags {
				apply(&n, t)
			}
			done(&n)
			kind := "open"
			for _, t := range tags {
				kind += " " + tagName[t]
			}
			yield(n, kind, p)
		})
		return
	}
	for _, t := range tags {
		if s.g[p].mask&(1<<t) == 0 {
			with(p, []uint8{c.shard(t)}, func() {
				n := s
				apply(&n, t)
				done(&n)
				yield(n, "open "+tagName[t], p)
			})
		}
	}
}

var tagName = [NT]string{"ALL", "T1", "T2", "guard"}

// writeTags: the guard of a learned tag's family is written like a tag, and ended first. A write to the guard alone is one to
// another member of the family.
func (c *tconf) writeTags(i int) []int {
	if c.writes[i] == T2 && !c.noGuard {
		if c.guardLast {
			return []int{T2, GD}
		}
		return []int{GD, T2}
	}
	return []int{int(c.writes[i])}
}

func (c *tconf) stepWrite(s tstate, i int, with func(int, []uint8, func()), yield func(tstate, string, int)) {
	w := s.w[i]
	p := maxG + i
	who := 100 + i
	tags := c.writeTags(i)
	conn := func(tags []int, f func()) {
		var sh []uint8
		for _, t := range tags {
			sh = append(sh, c.shard(t))
		}
		with(p, sh, f)
	}
	atOnce := len(tags) == 1 || !c.cluster
	// begins offers begin for those tags, at once or each by itself.
	begins := func(mask uint8, kind string, then func(n *tstate, mask uint8)) {
		if mask == 0 {
			return
		}
		step := func(mask uint8, kind string) {
			n := s
			for _, t := range tags {
				if mask&(1<<t) != 0 {
					n.begin(c, t, i)
				}
			}
			then(&n, mask)
			yield(n, kind, who)
		}
		if atOnce {
			step(mask, kind)
			return
		}
		for _, t := range tags {
			if mask&(1<<t) != 0 {
				step(1<<t, kind+" "+tagName[t])
			}
		}
	}
	begins(w.late, "begin executes late: DEL, record intent", func(n *tstate, mask uint8) { n.w[i].late &^= mask })
	if c.renew && w.pc != wBegin {
		gone := uint8(0)
		for _, t := range tags {
			if s.r.w[t]&(1<<i) == 0 {
				gone |= 1 << t
			}
		}
		begins(gone, "renews: DEL, record intent", func(n *tstate, mask uint8) {
			if mask == gone && w.pc != wDone { // all stand again, and no token of before: as good as a begin
				n.w[i].fl &^= wExpired
			}
		})
	}
	switch w.pc {
	case wBegin:
		if c.noIntent {
			n := s
			n.w[i].pc = wForward
			n.w[i].fl |= wFailed
			yield(n, "forwarded (no intent)", who)
			return
		}
		if c.lossy {
			n := s
			n.w[i].pc, n.w[i].fl = wForward, wFailed
			for _, t := range tags {
				if c.late && w.begun&(1<<t) == 0 {
					n.w[i].late |= 1 << t
				}
			}
			yield(n, "begin lost; forwarded all the same", who)
		}
		if !c.cluster {
			conn(tags, func() {
				n := s
				for _, t := range tags {
					n.begin(c, t, i)
				}
				n.w[i].begun = 1
				n.w[i].pc = wForward
				yield(n, "begin: DEL tag, record intent", who)
				if c.lossy {
					n.w[i].fl |= wFailed
					yield(n, "begin executed, reply lost", who)
				}
			})
			return
		}
		for _, t := range tags {
			if w.begun&(1<<t) == 0 {
				conn([]int{t}, func() {
					n := s
					n.begin(c, t, i)
					n.w[i].begun |= 1 << t
					all := true
					for _, u := range tags {
						all = all && n.w[i].begun&(1<<u) != 0
					}
					if all {
						n.w[i].pc, n.w[i].begun = wForward, 1
					}
					yield(n, "begin "+tagName[t]+": DEL, record intent", who)
				})
			}
		}
	case wForward:
		if (c.refuse|c.mayRefuse)&(1<<i) != 0 {
			n := s
			n.w[i].pc = wREnd
			yield(n, "backend refuses", who)
		}
		if c.refuse&(1<<i) != 0 {
			return
		}
		n := s
		n.commit(c, i)
		n.w[i].pc = wEnd
		if w.fl&(wExpired|wFailed) == 0 {
			n.w[i].fl |= wCovered
		}
		if c.ackFirst {
			n.ack(i)
		}
		yield(n, "backend commits", who)
		if c.unknown {
			n := s
			n.w[i].pc = wUEnd
			yield(n, "backend times out before committing", who)
		}
	case wEnd, wEnd2, wUEnd, wUEnd2:
		settle := w.pc >= wUEnd && !c.noSettle
		kind := "end: DEL tag, drop own intent"
		if settle {
			kind = "end: DEL tag, leave intent to settle"
		}
		done := func(n *tstate) { // answered in the same step: waiting would only weaken the check
			if w.pc >= wUEnd {
				n.w[i].pc = wLate
				return
			}
			n.w[i].pc = wDone
			n.ack(i)
		}
		if w.pc >= wUEnd {
			kind += "; answered 504"
		}
		if atOnce {
			conn(tags, func() {
				n := s
				for _, t := range tags {
					n.end(c, t, i, settle)
				}
				done(&n)
				yield(n, kind, who)
			})
		} else {
			k := 0
			if w.pc == wEnd2 || w.pc == wUEnd2 {
				k = 1
			}
			conn(tags[k:k+1], func() {
				n := s
				n.end(c, tags[k], i, settle)
				n.w[i].pc++
				if k == 1 {
					done(&n)
				}
				yield(n, kind+" "+tagName[tags[k]], who)
			})
		}
		if c.lossy && (w.pc == wEnd || w.pc == wEnd2) {
			n := s
			n.w[i].pc = wDone
			if w.fl&(wFailed|wExpired) == 0 { // intent stands: the answer may go out, others are held off until it runs out
				n.ack(i)
				yield(n, "end lost, intent stands; answered", who)
			} else { // available: answered outside the promise; strict: answered 503
				yield(n, "end lost, no intent; answered outside the promise", who)
			}
		}
	case wREnd: // nobody waits for it: late is any later step. In Cluster in any order, for nothing was committed
		refused := func(now []int, kind string) {
			conn(now, func() {
				n := s
				for _, t := range now {
					n.endRefused(c, t, i)
				}
				again := n
				n.refusedEnd(tags, now, i)
				yield(n, kind, who)
				if c.lossy {
					yield(again, kind+"; reply lost, will be sent again", who)
				}
			})
			if c.lossy {
				n := s
				n.refusedEnd(tags, now, i)
				yield(n, kind+": lost", who)
			}
		}
		kind := "end refused: drop own intent, set token back"
		if atOnce {
			refused(tags, kind)
			return
		}
		for _, t := range tags {
			if w.ended&(1<<t) == 0 {
				refused([]int{t}, kind+" "+tagName[t])
			}
		}
	case wLate:
		n := s
		n.commit(c, i)
		n.w[i].pc = wDone
		if w.fl&wExpired == 0 {
			n.ack(i)
			yield(n, "backend commits late, within the settle time", who)
		} else {
			yield(n, "backend commits after the settle time (not covered)", who)
		}
	}
}

// commit: a write to another member of the family is none to our register.
func (s *tstate) commit(c *tconf, i int) {
	if c.writes[i] != GD {
		s.v++
		s.w[i].ver = s.v
	}
}

func (s *tstate) refusedEnd(tags, now []int, i int) {
	w := &s.w[i]
	for _, t := range now {
		w.ended |= 1 << t
	}
	for _, t := range tags {
		if w.ended&(1<<t) == 0 {
			return
		}
	}
	w.pc, w.ended = wDone, 0
}

func (s *tstate) ack(i int) {
	s.w[i].fl |= wCounts
	if s.w[i].ver > s.acked {
		s.acked = s.w[i].ver
	}
}

func (c *tconf) stepWorld(s tstate, yield func(tstate, string, int)) {
	if c.expire {
		for i := range c.writes {
			for t := 0; t < NT; t++ {
				if s.r.w[t]&(1<<i) == 0 {
					continue
				}
				// Nothing happens in Redis when an intent runs out; but every script first removes those that did, and the aside with
				// them, and only scripts look at the aside. (A tag with an intent has no token, so `open` cannot answer without looking.)
				// So dropping it here and now is the same.
				n := s
				n.r.w[t] &^= 1 << i
				if !c.expirySilent {
					n.r.a[t] = 0
				}
				n.w[i].fl |= wExpired
				if c.p2 && n.w[i].fl&wCovered != 0 {
					gone := true
					for _, u := range c.writeTags(i) {
						gone = gone && n.r.w[u]&(1<<i) == 0
					}
					if gone {
						n.ack(i)
					}
				}
				yield(n, fmt.Sprintf("intent of W%d on %s runs out", i+1, tagName[t]), -1)
			}
		}
	}
	if int(s.evicts) < c.evict {
		for t := 0; t < NT; t++ {
			if s.r.t[t] != 0 {
				n := s
				n.r.t[t] = 0
				n.evicts++
				yield(n, "evict "+tagName[t], -1)
			}
			if c.evictW && s.r.w[t]|s.r.a[t] != 0 {
				n := s
				n.r.w[t], n.r.a[t] = 0, 0 // one key
				n.evicts++
				yield(n, "evict intents of "+tagName[t], -1)
			}
		}
		if c.knows && s.r.ev != 0 {
			n := s
			n.r.ev, n.r.et = 0, [3]uint8{}
			n.evicts++
			yield(n, "evict the entry", -1)
		}
		if s.r.known != 0 {
			n := s
			n.r.known = 0
			n.evicts++
			yield(n, "evict the known set", -1)
		}
	}
	if c.flush && s.snapped&4 == 0 {
		n := s
		n.r = tredis{}
		n.snapped |= 4
		yield(n, "FLUSHALL", -1)
	}
	if c.rollback > 0 || c.oldRead {
		if s.snapped&1 == 0 {
			n := s
			n.snap = s.r
			n.snapped |= 1
			yield(n, "(snapshot)", -1)
		} else if s.snapped&2 == 0 && c.rollback > 0 {
			for sh := 0; sh < c.shards(); sh++ {
				n := s
				n.snapped |= 2
				for t := 0; t < NT; t++ {
					if int(c.shard(t)) == sh {
						n.r.t[t], n.r.w[t], n.r.a[t] = n.snap.t[t], n.snap.w[t], n.snap.a[t]
					}
				}
				if int(c.entryShard()) == sh {
					n.r.ev, n.r.et = n.snap.ev, n.snap.et
				}
				if sh == 0 {
					n.r.known = n.snap.known
				}
				n.r.known &^= 1 << sh
				n.snap = tredis{}
				for p := range n.conn {
					n.conn[p] &^= 1 << sh
				}
				yield(n, fmt.Sprintf("shard %d comes back as in the snapshot", sh), -1)
			}
		}
	}
}

func (c *tconf) badState(s tstate) string {
	if s.bad != 0 {
		return "STALE: a GET that started after the write was answered got older data"
	}
	if c.kept && s.r.t != s.snap.t {
		over := true
		for i := range c.writes {
			over = over && s.w[i].pc == wDone
		}
		if over {
			return "LOST: every write was refused, and a token is not the one from before"
		}
	}
	if c.expectBad {
		return ""
	}
	for t := range NT { // what the expiry of intents in stepWorld rests on
		if s.r.w[t] != 0 && s.r.t[t] != 0 {
			return "a token beside an intent"
		}
		if s.r.w[t] == 0 && s.r.a[t] != 0 {
			return "a token put aside, and no intent"
		}
	}
	return c.lively(s)
}

// lively: with all faults over and intents run out, one process that runs alone gets a hit within a few GETs
// (the first may meet a new server, the second fills). It takes the protocol's own steps.
func (c *tconf) lively(s tstate) string {
	alone := *c
	alone.gets, alone.join = 1, false
	// Only this is looked at, so most states are alike.
	s = tstate{r: s.r, v: s.v, acked: s.acked, conn: [maxG + maxW]uint8{s.conn[0]}}
	s.r.w, s.r.a = [NT]uint8{}, [NT]uint8{}
	if c.guardClosed {
		s.r.w[GD], s.r.t[GD] = 1<<maxW, 0
	}
	s.canon(&alone)
	if c.live == nil {
		c.live = map[tstate]bool{}
	}
	start := s
	if c.live[start] {
		return ""
	}
	for try := 0; try < 4; try++ {
		s.g = [maxG]tget{}
		fetched := false
		for s.g[0].pc != gDone {
			var n tstate
			moved := false
			take := func(t tstate, _ string, _ int) {
				if !moved {
					n, moved = t, true
				}
			}
			blocked := false
			alone.stepGet(s, 0, func(p int, shards []uint8, f func()) {
				for _, sh := range shards {
					if s.conn[p]&(1<<sh) == 0 {
						t := s
						if sh != 0 && s.conn[p]&1 == 0 {
							t.initConn(p, 0)
						} else {
							t.initConn(p, sh)
						}
						if t.g[p].pc != gIdle {
							t.g[p].fl |= fInit
						}
						take(t, "", p)
						blocked = true
						return
					}
				}
				f()
			}, take)
			if !moved {
				return "NOT LIVE: stuck"
			}
			if !blocked && s.g[0].pc == gFetch {
				fetched = true
			}
			s = n
		}
		if s.bad != 0 {
			return "STALE after the faults"
		}
		if !fetched {
			c.live[start] = true
			return ""
		}
		s.canon(&alone)
	}
	return "NOT LIVE: no hit after all faults"
}

func (c *tconf) show(from, to tstate, kind string, who int) string {
	name := "  env "
	if who >= 100 {
		name = fmt.Sprintf("  W%d  ", who-99)
	} else if who >= 0 {
		name = "  GET "
		g := from.g[who]
		if g.pc == gFetch || g.pc == gStore || g.pc == gLearn {
			if kind == "backend answers" {
				g.ver = from.v
			}
			if !strings.HasPrefix(kind, "joins") {
				kind += fmt.Sprintf(" [data v%d]", g.ver)
			}
		}
	}
	tok := func(v uint8) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprint(v)
	}
	e := "-"
	if to.r.ev == evNames {
		e = "names"
	} else if to.r.ev != 0 {
		e = fmt.Sprintf("v%d(%s,%s,%s)", to.r.ev-1, tok(to.r.et[0]), tok(to.r.et[1]), tok(to.r.et[2]))
	}
	if c.refusals() {
		for t := range NT {
			if to.r.w[t] != 0 {
				e += fmt.Sprintf(" | %s: intents %0*b aside %s", tagName[t], len(c.writes), to.r.w[t], tok(to.r.a[t]))
			}
		}
	}
	pad := strings.Repeat(" ", max(1, 58-len(kind)))
	return fmt.Sprintf("%s%s%s| db v%d acked v%d | ALL %s T1 %s T2 %s guard %s entry %s", name, kind, pad, to.v, to.acked,
		tok(to.r.t[ALL]), tok(to.r.t[T1]), tok(to.r.t[T2]), tok(to.r.t[GD]), e)
}
