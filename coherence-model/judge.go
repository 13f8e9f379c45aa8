package main

import (
	"fmt"
	"strings"
)

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
	for t := range NT { // stepWorld relies on this when intents expire
		if s.r.w[t] != 0 && s.r.t[t] != 0 {
			return "a token beside an intent"
		}
		if s.r.w[t] == 0 && s.r.a[t] != 0 {
			return "a token put aside, and no intent"
		}
	}
	return c.lively(s)
}

// lively: with all faults over and intents expired, one process alone gets a hit within a few GETs
// (the first may meet a new server, the second fills). It takes the protocol's own steps.
func (c *tconf) lively(s tstate) string {
	alone := *c
	alone.gets, alone.join = 1, false
	// Only these fields matter here, so most states are alike.
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
		e = fmt.Sprintf("v%d(%s,%s,%s)",
			to.r.ev-1, tok(to.r.et[0]), tok(to.r.et[1]), tok(to.r.et[2]))
	}
	if c.refusals() {
		for t := range NT {
			if to.r.w[t] != 0 {
				e += fmt.Sprintf(" | %s: intents %0*b aside %s",
					tagName[t], len(c.writes), to.r.w[t], tok(to.r.a[t]))
			}
		}
	}
	pad := strings.Repeat(" ", max(1, 58-len(kind)))
	return fmt.Sprintf("%s%s%s| db v%d acked v%d | ALL %s T1 %s T2 %s guard %s entry %s",
		name, kind, pad, to.v, to.acked,
		tok(to.r.t[ALL]), tok(to.r.t[T1]), tok(to.r.t[T2]), tok(to.r.t[GD]), e)
}
