package main

import (
	"fmt"
)

func (c *tconf) stepWorld(s tstate, yield func(tstate, string, int)) {
	if c.expire {
		for i := range c.writes {
			for t := 0; t < NT; t++ {
				if s.r.w[t]&(1<<i) == 0 {
					continue
				}
				// Nothing happens in Redis when an intent expires. But every script first removes
				// the expired ones and their asides, and only scripts read the aside. (A tag with
				// an intent has no token, so `open` always looks.) So dropping it here is
				// equivalent.
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
