package main

var tagName = [NT]string{"ALL", "T1", "T2", "guard"}

// writeTags: the guard of a learned tag's family is written like a tag, and ended first. A write to
// the guard alone is one to another member of the family.
func (c *tconf) writeTags(i int) []int {
	if c.writes[i] == T2 && !c.noGuard {
		if c.guardLast {
			return []int{T2, GD}
		}
		return []int{GD, T2}
	}
	return []int{int(c.writes[i])}
}

func (c *tconf) stepWrite(s tstate, i int, with func(int, []uint8, func()),
	yield func(tstate, string, int)) {
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
	// begins offers begin for those tags, all at once or each by itself.
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
	begins(w.late, "begin executes late: DEL, record intent",
		func(n *tstate, mask uint8) { n.w[i].late &^= mask })
	if c.renew && w.pc != wBegin {
		gone := uint8(0)
		for _, t := range tags {
			if s.r.w[t]&(1<<i) == 0 {
				gone |= 1 << t
			}
		}
		begins(gone, "renews: DEL, record intent", func(n *tstate, mask uint8) {
			// all stand again, and no earlier token: as good as a begin
			if mask == gone && w.pc != wDone {
				n.w[i].fl &^= wExpired
			}
		})
	}
	switch w.pc {
	case wDone:
		c.makeGood(s, i, conn, yield)
	case wBegin:
		if c.early&(1<<i) != 0 {
			n := s
			if w.ver == 0 {
				n.commit(c, i)
				if c.earlyCounts {
					n.ack(i)
				}
				yield(n, "backend commits before the whole body came", who)
			} else {
				n.w[i].pc = wEnd
				n.w[i].fl |= wFailed
				yield(n, "backend answers before the whole body came", who)
			}
		}
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
				n.cover(i)
				yield(n, "begin: DEL tag, record intent", who)
				if c.lossy {
					n.w[i].fl = n.w[i].fl&^wCovered | wFailed
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
						n.cover(i)
					}
					yield(n, "begin "+tagName[t]+": DEL, record intent", who)
				})
			}
		}
	case wForward:
		if w.ver != 0 { // committed early
			n := s
			n.w[i].pc = wEnd
			yield(n, "backend answers", who)
			return
		}
		if (c.refuse|c.mayRefuse)&(1<<i) != 0 {
			n := s
			n.w[i].pc = wREnd
			if c.jobs&(1<<i) != 0 { // nothing was announced
				n.w[i].pc = wDone
			}
			yield(n, "backend refuses", who)
		}
		if c.refuse&(1<<i) != 0 {
			return
		}
		n := s
		n.commit(c, i)
		n.w[i].pc = wEnd
		n.cover(i)
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
			if c.madeGood {
				for _, t := range tags {
					n.w[i].owed |= 1<<t | 1<<(NT+t)
				}
				if c.onlyGivenBack {
					n.w[i].owed &^= 1<<NT - 1
				}
			}
			// intent stands: the answer may go out, others wait until it expires
			if w.fl&(wFailed|wExpired) == 0 {
				n.ack(i)
				yield(n, "end lost, intent stands; answered", who)
			} else { // available: answered outside the promise; strict: answered 503
				yield(n, "end lost, no intent; answered outside the promise", who)
			}
		}
	// nobody waits for it, so late is any later step. In Cluster in any order, since nothing was
	// committed
	case wREnd:
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

// makeGood repeats an end that was lost: first all tags are deleted, guards before them, then the
// intents are given back as those of a refused write.
func (c *tconf) makeGood(s tstate, i int, conn func([]int, func()),
	yield func(tstate, string, int)) {
	var now []int
	owed := s.w[i].owed
	deletes := owed&(1<<NT-1) != 0
	for _, t := range c.writeTags(i) {
		if deletes && owed&(1<<t) != 0 || !deletes && owed&(1<<(NT+t)) != 0 {
			now = append(now, t)
		}
	}
	if len(now) == 0 {
		return
	}
	if c.cluster {
		now = now[:1]
	}
	conn(now, func() {
		n := s
		kind := "made good: DEL tag"
		for _, t := range now {
			if deletes {
				n.r.t[t], n.r.a[t] = 0, 0
				n.w[i].owed &^= 1 << t
				continue
			}
			kind = "made good: give the intent back"
			n.endRefused(c, t, i)
			n.w[i].owed &^= 1 << (NT + t)
		}
		yield(n, kind, 100+i)
	})
}

// cover: a committed write stands under all its intents.
func (s *tstate) cover(i int) {
	if s.w[i].ver != 0 && s.w[i].fl&(wExpired|wFailed) == 0 {
		s.w[i].fl |= wCovered
	}
}

// commit: a write to another member of the family does not change our register.
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
