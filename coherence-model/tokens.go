package main

// The protocol. One cache key, tags ALL (the incarnation), T1 (known from the route), T2 (named
// only by the response) and GD, the guard of T2's family. A token is a small number, renamed
// canonically; 0 is "no such key".
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
	hv             uint8    // version + 1 of an entry that is alive and stale, 0 none: validated
	ht             [3]uint8 // its tokens
}

const (
	fNoStore = 1 << iota
	fInit    // the process met a new server during this hit or fill
	fGuard   // the guard was closed: it counts as changed
	fKnows   // T2 is known from a dead entry, and opened before the fetch
)

type twrite struct {
	pc, ver uint8
	begun   uint8 // bit per tag whose begin was acknowledged
	ended   uint8 // refused: bit per tag whose end is done
	late    uint8 // bit per tag whose begin was given up, and may still execute
	owed    uint8 // the end was lost: bit per tag to delete, and per intent to give back (<< NT)
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
	known uint8     // bit per shard: its present replication id is known
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
	late        bool // lossy: a begin that was given up executes at any time later
	unknown     bool // time-outs with a later commit
	expire      bool
	renew       bool // begin again during the backend request, or late
	p2          bool // a dead writer's expired intent counts
	join        bool
	refuse      uint8 // bit per write that the backend refuses
	mayRefuse   uint8 // ... refuses or commits
	jobs        uint8 // ... that only ends: a job, a purge, a write that is not announced
	early       uint8 // ... whose backend may commit before the whole body came, so before begin
	madeGood    bool  // lossy: an end that was lost is made good later
	kept        bool  // only refused writes, no faults: the tokens must be restored
	noLearned   bool  // response names no tag
	guarded     bool  // noLearned: guards are opened nevertheless
	knows       bool  // fillers open the names of a dead entry
	stale       bool  // an alive entry may be stale; a time in seconds may validate it wrongly
	guardClosed bool  // must be live even while others keep the guard closed
	lean        bool  // neither open nor a refused end without its intent drops the aside

	// flaws
	tokensAfterFetch bool
	noGuard          bool
	guardLast        bool
	closedSame       bool // a guard closed before and after the fetch counts as unchanged
	noIncarnation    bool
	joinAny          bool
	joinClosed       bool // flights shared while the guard is closed
	joinKey          bool // flights keyed by request-derived tags only, without the guard
	noIntent         bool
	singleIntent     bool // one flag instead of one per writer
	ackFirst         bool
	noConnGen        bool
	serveDead        bool // stale-if-error from invalidated entries
	staleUnproved    bool // validated although the opened tokens differ from the entry's
	noSettle         bool
	deleteOnlyBegin  bool
	missingOK        bool
	oldRead          bool // tokens of before the GET: lagging replica, or a shared earlier read
	noAside          bool
	restoreBeside    bool // restored although another intent stands
	expirySilent     bool // an expired intent goes, the aside stays
	endKeepsAside    bool
	// a write counts once its backend has committed, before the whole body came
	earlyCounts   bool
	onlyGivenBack bool // a lost end is made good by giving back the intents alone
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

// canon renames tokens in order of first appearance and sorts equal GETs and equal writes.
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
		for j := range s.g[i].ht {
			ren(&s.g[i].ht[j])
		}
	}
}

// alike: two writes with the same effect. Where a trace is wanted they keep their names.
func (c *tconf) alike(a, b int) bool {
	same := func(mask uint8) bool { return mask>>a&1 == mask>>b&1 }
	return !c.expectBad && c.writes[a] == c.writes[b] && same(c.refuse) &&
		same(c.mayRefuse) && same(c.jobs)
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
	if x.hv != y.hv {
		return x.hv < y.hv
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
		for _, v := range s.g[i].ht {
			up(v)
		}
	}
	return m + 1
}

// refusals: without refusals nothing reads the aside, and leaving it out gives the same states.
func (c *tconf) refusals() bool { return c.refuse|c.mayRefuse != 0 }

// open is the script of that name: it returns the tag's token, created if absent, or 0 while a
// writer is outstanding.
func (s *tstate) open(c *tconf, tag int) uint8 {
	if s.r.t[tag] == 0 && s.r.w[tag] == 0 {
		s.r.t[tag] = s.fresh()
		if !c.lean {
			s.r.a[tag] = 0
		}
	}
	return s.r.t[tag]
}

// begin puts the token aside, for a refusal to restore. The first of several writers finds it; for
// the others it is gone already.
func (s *tstate) begin(c *tconf, tag, wid int) {
	if s.r.t[tag] != 0 && s.r.w[tag] == 0 && c.refusals() && !c.noAside {
		s.r.a[tag] = s.r.t[tag]
	}
	if !c.deleteOnlyBegin {
		s.r.w[tag] |= 1 << wid
	}
	s.r.t[tag] = 0
}

// end of a write that may have committed: the aside is older than it.
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

// endRefused deletes nothing. The last writer restores the token if all writes beside it were
// refused too: a commit drops the aside when it ends, or when its intent is lost.
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
	// warm start: a valid entry of version 0, tokens for all
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
	// with runs f if process p's connections to those shards are to the present primaries;
	// otherwise it offers to initialise the connection.
	with := func(p int, shards []uint8, f func()) {
		for _, sh := range shards {
			if s.conn[p]&(1<<sh) == 0 {
				n := s
				if c.noIncarnation {
					n.conn[p] |= 1 << sh
				} else if sh != 0 &&
					s.conn[p]&1 == 0 { // the known set lives with ALL: connect there first
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

// initConn: INFO gives the shard's replication id; `if SADD(known, id) == 1 then DEL(ALL)` is one
// script on ALL's slot.
func (s *tstate) initConn(p int, sh uint8) {
	if s.r.known&(1<<sh) == 0 {
		s.r.known |= 1 << sh
		s.r.t[ALL] = 0
	}
	s.conn[p] |= 1 << sh
}
