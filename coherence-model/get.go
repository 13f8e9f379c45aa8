package main

func (c *tconf) stepGet(s tstate, p int, with func(int, []uint8, func()),
	yield func(tstate, string, int)) {
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
				stale := n
				n.decide(c, p)
				yield(n, "MGET entry and tokens", p)
				if stale.hold(c, p) {
					yield(stale, "MGET entry and tokens: stale", p)
				}
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
				stale := n
				if q.mask == 15 {
					n.decide(c, p)
				}
				yield(n, kind, p)
				if q.mask == 15 && stale.hold(c, p) {
					yield(stale, kind+": stale", p)
				}
			})
		}
		read(1, c.entryShard(), "GET entry",
			func(n *tstate, q *tget) { q.ev, q.et = n.r.ev, n.r.et })
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
		fetched := func(ver uint8, kind string) {
			n := s
			q := &n.g[p]
			q.ver, q.hv, q.ht = ver, 0, [3]uint8{}
			if ver < q.floor {
				n.bad = 1
			}
			switch {
			case q.fl&fNoStore != 0:
				n.finish(p)
			// every tag was opened early: the guard is not needed
			case c.noLearned || q.fl&fKnows != 0:
				q.pc = gStore
			case q.fl&fGuard != 0 && !c.closedSame:
				n.namesAlone(c, p)
			default:
				q.pc = gLearn
			}
			yield(n, kind, p)
		}
		fetched(s.v, "backend answers")
		if g.hv != 0 && (c.staleUnproved || g.holds(c)) {
			fetched(g.hv-1, "backend says that what is stale holds")
		}
		if c.join {
			for f := 0; f < c.gets; f++ {
				o := s.g[f]
				if f == p || o.pc < gLearn || o.pc > gNames {
					continue
				}
				open := g.fl&fNoStore == 0 && (g.fl&fGuard == 0 || c.joinClosed)
				same := open && (g.fl&fInit == 0 || !c.cluster || c.noConnGen) &&
					o.rt[ALL] == g.rt[ALL] && o.rt[T1] == g.rt[T1] &&
					(o.rt[GD] == g.rt[GD] || c.joinKey)
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

// alive: the entry read carries the tokens read.
func (q *tget) alive(c *tconf) bool {
	same := func(tag int) bool {
		if q.rt[tag] == 0 {
			return c.missingOK
		}
		return q.et[tag] == q.rt[tag]
	}
	valid := q.ev != 0 && q.ev != evNames && (c.noIncarnation || same(ALL)) && same(T1) &&
		(c.noLearned || same(T2))
	if q.fl&fInit != 0 && c.cluster && !c.noConnGen {
		valid = false
	}
	return valid
}

func (s *tstate) decide(c *tconf, p int) {
	q := &s.g[p]
	if q.alive(c) || c.serveDead && q.ev != 0 {
		s.answer(p, q.ev-1)
		return
	}
	s.miss(c, p)
}

// miss: a new operation as far as fInit goes: its tokens are read from here on.
func (s *tstate) miss(c *tconf, p int) {
	q := &s.g[p]
	known := uint8(0)
	if c.knows && q.ev != 0 {
		known = fKnows
	}
	*q = tget{pc: gOpen, floor: q.floor, fl: known}
}

// hold: the entry is alive and beyond its lifetime. It is kept while the tokens are opened.
func (s *tstate) hold(c *tconf, p int) bool {
	q := s.g[p]
	if !c.stale || !q.alive(c) {
		return false
	}
	s.miss(c, p)
	s.g[p].hv, s.g[p].ht = q.ev, q.et
	return true
}

// holds: each token of the kept entry equals the opened one, so no write to it came before.
func (q *tget) holds(c *tconf) bool {
	same := func(tag int) bool { return q.rt[tag] != 0 && q.rt[tag] == q.ht[tag] }
	return same(ALL) && same(T1) && (c.noLearned || q.fl&fKnows != 0 && same(T2))
}

func (c *tconf) opens(s tstate, p int, then uint8, with func(int, []uint8, func()),
	yield func(tstate, string, int)) {
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
