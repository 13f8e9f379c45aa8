package main

func tok(name, note string, f func(c *tconf)) *tconf {
	c := &tconf{name: "tokens/" + name, note: note, gets: 2, writes: []uint8{T2}, expire: true}
	f(c)
	return c
}

// bad marks a configuration with a guard taken away: it must yield a counterexample.
func bad(name, note string, f func(c *tconf)) *tconf {
	c := tok("flaw/"+name, note, f)
	c.expectBad = true
	return c
}

var tokenConfs = []*tconf{
	// the protocol as proposed
	tok("single/base", "2 writes, 3 GETs, intents may run out at any time", func(c *tconf) {
		c.gets, c.writes, c.join, c.p2 = 3, []uint8{T1, T2}, true, true
	}),
	tok("single/evict", "3 GETs, any 2 keys evicted at any time", func(c *tconf) {
		c.gets, c.join, c.evict, c.evictW = 3, true, 2, true
	}),
	tok("single/evict-flush", "any 4 keys evicted, FLUSHALL", func(c *tconf) {
		c.join, c.evict, c.evictW, c.flush = true, 4, true, true
	}),
	tok("single/evict-2w", "2 writes, any 2 keys evicted", func(c *tconf) {
		c.writes, c.join, c.evict, c.evictW = []uint8{T2, T2}, true, 2, true
	}),
	tok("single/rollback", "restart from an older dump, or failover that loses the last writes",
		func(c *tconf) {
			c.gets, c.join, c.rollback = 3, true, 1
		}),
	tok("single/rollback+evict", "", func(c *tconf) {
		c.join, c.rollback, c.evict, c.evictW = true, 1, 1, true
	}),
	tok("single/lossy", "begin or end lost, executed or not; answered while the intent stands",
		func(c *tconf) {
			c.gets, c.join, c.lossy, c.p2 = 3, true, true, true
		}),
	tok("single/lossy-2w", "", func(c *tconf) {
		c.writes, c.join, c.lossy, c.p2 = []uint8{T1, T2}, true, true, true
	}),
	tok("single/unknown", "504 before the commit; commit within the settle time", func(c *tconf) {
		c.writes, c.join, c.unknown, c.p2 = []uint8{T1, T2}, true, true, true
	}),
	tok("single/unknown-3-gets", "", func(c *tconf) {
		c.gets, c.join, c.unknown, c.p2 = 3, true, true, true
	}),
	tok("single/unknown-big", "2 writes, 3 GETs", func(c *tconf) {
		c.gets, c.writes, c.join, c.unknown, c.p2, c.big = 3, []uint8{T1, T2},
			true, true, true, true
	}),
	tok("cluster/base", "each key on its own slot, nothing atomic across keys", func(c *tconf) {
		c.cluster, c.join, c.p2 = true, true, true
	}),
	tok("cluster/3-gets", "", func(c *tconf) {
		c.gets, c.cluster, c.join, c.p2 = 3, true, true, true
	}),
	tok("cluster/rollback+evict", "request-derived tag only", func(c *tconf) {
		c.cluster, c.join, c.rollback, c.evict, c.evictW, c.noLearned, c.writes = true, true, 1, 1,
			true, true, []uint8{T1}
	}),
	tok("cluster/two-writes", "", func(c *tconf) {
		c.cluster, c.join, c.p2, c.writes = true, true, true, []uint8{T1, T2}
	}),
	tok("cluster/evict", "any 2 keys evicted, FLUSHALL", func(c *tconf) {
		c.cluster, c.join, c.evict, c.evictW, c.flush = true, true, 2, true, true
	}),
	tok("cluster/rollback", "one shard fails over and loses writes", func(c *tconf) {
		c.cluster, c.join, c.rollback = true, true, 1
	}),
	tok("cluster/lossy", "", func(c *tconf) {
		c.cluster, c.lossy, c.p2 = true, true, true
	}),
	tok("cluster/unknown", "", func(c *tconf) {
		c.cluster, c.unknown, c.p2 = true, true, true
	}),
	// refused writes: the token is put aside, and set back
	tok("single/refused", "1 write, refused or not", func(c *tconf) {
		c.gets, c.join, c.mayRefuse, c.p2 = 3, true, 1, true
	}),
	tok("single/refused-kept", "2 writes, refused, no faults: the token is the one from before",
		func(c *tconf) {
			c.gets, c.join, c.writes, c.refuse, c.kept, c.expire = 3, true,
				[]uint8{T2, T2}, 3, true, false
		}),
	tok("single/refused-kept-3w", "3 writes, one of them to another member", func(c *tconf) {
		c.join, c.writes, c.refuse, c.kept, c.expire = true, []uint8{T2, T2, GD}, 7, true, false
	}),
	tok("single/refused-2w", "2 writes to one tag, each refused or not, in any order",
		func(c *tconf) {
			c.gets, c.join, c.writes, c.mayRefuse, c.p2 = 3, true, []uint8{T2, T2}, 3, true
		}),
	tok("single/refused-2-tags", "", func(c *tconf) {
		c.join, c.writes, c.mayRefuse, c.p2 = true, []uint8{T1, T2}, 3, true
	}),
	tok("single/refused-3w", "3 writes to one tag", func(c *tconf) {
		c.join, c.writes, c.mayRefuse, c.p2 = true, []uint8{T2, T2, T2}, 7, true
	}),
	tok("single/refused+job", "a job or a purge, which only ends", func(c *tconf) {
		c.gets, c.join, c.writes, c.refuse, c.jobs = 3, true, []uint8{T2, T2}, 1, 2
	}),
	tok("single/refused-evict", "1 write refused, 1 not; any 2 keys evicted", func(c *tconf) {
		c.join, c.writes, c.refuse, c.evict, c.evictW = true, []uint8{T2, T2}, 1, 2, true
	}),
	tok("single/refused-rollback", "restart from an older dump", func(c *tconf) {
		c.join, c.writes, c.refuse, c.rollback = true, []uint8{T2, T2}, 1, 1
	}),
	tok("single/refused-lossy", "begin lost or late; end lost, or sent twice", func(c *tconf) {
		c.join, c.writes, c.mayRefuse, c.lossy, c.late, c.p2 = true, []uint8{T2, T2},
			3, true, true, true
	}),
	tok("single/refused-lossy-lean",
		"the aside dropped neither by open nor by a refused end without its intent",
		func(c *tconf) {
			c.join, c.writes, c.mayRefuse, c.lossy, c.late, c.p2, c.lean = true, []uint8{T2, T2}, 3,
				true, true, true, true
		}),
	tok("single/refused-renew", "2 writes, each refused or not; intents renewed, in time or late",
		func(c *tconf) {
			c.join, c.writes, c.mayRefuse, c.renew, c.p2 = true, []uint8{T2, T2}, 3, true, true
		}),
	tok("single/refused-renew-lossy", "1 write refused, 1 not", func(c *tconf) {
		c.join, c.writes, c.refuse, c.lossy, c.renew, c.p2 = true, []uint8{T2, T2},
			1, true, true, true
	}),
	tok("single/refused-unknown", "1 write refused, 1 may be answered 504 before its commit",
		func(c *tconf) {
			c.gets, c.join, c.writes, c.refuse, c.unknown, c.p2 = 3, true,
				[]uint8{T2, T2}, 1, true, true
		}),
	tok("cluster/refused", "1 write, refused or not", func(c *tconf) {
		c.cluster, c.join, c.mayRefuse, c.p2 = true, true, 1, true
	}),
	tok("cluster/refused-kept", "2 writes, refused, no faults", func(c *tconf) {
		c.cluster, c.join, c.writes, c.refuse, c.kept, c.expire = true, true,
			[]uint8{T2, T2}, 3, true, false
	}),
	tok("cluster/refused-2w", "2 writes to one tag, each refused or not", func(c *tconf) {
		c.cluster, c.join, c.writes, c.mayRefuse, c.p2 = true, true, []uint8{T2, T2}, 3, true
	}),
	tok("cluster/refused-evict",
		"1 write refused, 1 not; any key evicted; 1 GET, and those that each state is tried with",
		func(c *tconf) {
			c.gets, c.cluster, c.writes, c.refuse, c.evict, c.evictW = 1, true,
				[]uint8{T2, T2}, 1, 1, true
		}),
	tok("cluster/refused-evict-1-tag", "2 GETs, request-derived tag only", func(c *tconf) {
		c.cluster, c.join, c.writes, c.refuse, c.evict, c.evictW, c.noLearned = true, true,
			[]uint8{T1, T1}, 1, 2, true, true
	}),
	tok("cluster/refused-evict-big", "2 GETs", func(c *tconf) {
		c.cluster, c.join, c.writes, c.refuse, c.evict, c.evictW, c.big = true, true,
			[]uint8{T2, T2}, 1, 1, true, true
	}),
	tok("cluster/refused-rollback", "one shard fails over and loses writes; 1 GET", func(c *tconf) {
		c.gets, c.cluster, c.writes, c.refuse, c.rollback = 1, true, []uint8{T2, T2}, 1, 1
	}),
	tok("cluster/refused-rollback-1-tag",
		"2 GETs, request-derived tag only, no intent runs out", func(c *tconf) {
			c.cluster, c.writes, c.refuse, c.rollback, c.noLearned, c.expire = true,
				[]uint8{T1, T1}, 1, 1, true, false
		}),
	tok("cluster/refused-rollback-big", "2 GETs, request-derived tag only", func(c *tconf) {
		c.cluster, c.join, c.writes, c.refuse, c.rollback, c.noLearned, c.big = true, true,
			[]uint8{T1, T1}, 1, 1, true, true
	}),
	tok("cluster/refused-lossy", "1 GET", func(c *tconf) {
		c.gets, c.cluster, c.writes, c.refuse, c.lossy, c.late, c.p2 = 1, true, []uint8{T2, T2},
			1, true, true, true
	}),
	tok("cluster/refused-lossy-1-tag", "2 GETs, request-derived tag only", func(c *tconf) {
		c.cluster, c.join, c.writes, c.mayRefuse, c.lossy, c.late, c.p2, c.noLearned = true, true,
			[]uint8{T1, T1}, 3, true, true, true, true
	}),
	tok("cluster/refused-unknown", "", func(c *tconf) {
		c.cluster, c.join, c.writes, c.refuse, c.unknown, c.p2 = true, true,
			[]uint8{T2, T2}, 1, true, true
	}),
	// a writer of another member of the family closes and changes the guard
	tok("single/unrelated", "1 write, 1 to another member", func(c *tconf) {
		c.gets, c.join, c.writes, c.p2 = 3, true, []uint8{T2, GD}, true
	}),
	tok("single/unrelated-known",
		"names of a dead entry opened: live while others keep the guard closed", func(c *tconf) {
			c.join, c.writes, c.knows, c.guardClosed, c.evict, c.evictW = true, []uint8{T2, GD},
				true, true, 1, true
		}),
	tok("single/unrelated-silent",
		"guards opened, the answer names nothing: the same", func(c *tconf) {
			c.join, c.writes, c.p2, c.noLearned, c.guarded, c.guardClosed = true, []uint8{T1, GD},
				true, true, true, true
		}),
	tok("single/unrelated-refused", "each refused or not", func(c *tconf) {
		c.gets, c.join, c.writes, c.mayRefuse, c.p2, c.knows = 3, true,
			[]uint8{T2, GD}, 3, true, true
	}),
	tok("cluster/unrelated", "", func(c *tconf) {
		c.cluster, c.join, c.writes, c.p2 = true, true, []uint8{T2, GD}, true
	}),
	tok("cluster/unrelated-known", "", func(c *tconf) {
		c.cluster, c.join, c.writes, c.p2, c.knows, c.guardClosed = true, true,
			[]uint8{T2, GD}, true, true, true
	}),
	tok("cluster/unrelated-refused", "each refused or not", func(c *tconf) {
		c.cluster, c.join, c.writes, c.mayRefuse, c.p2 = true, true, []uint8{T2, GD}, 3, true
	}),
	// an entry that is alive and stale, validated by a time
	tok("single/stale", "2 writes, 3 GETs", func(c *tconf) {
		c.gets, c.writes, c.join, c.p2, c.stale, c.knows = 3, []uint8{T1, T2},
			true, true, true, true
	}),
	tok("single/stale-evict", "any 2 keys evicted", func(c *tconf) {
		c.join, c.evict, c.evictW, c.stale, c.knows = true, 2, true, true, true
	}),
	tok("single/stale-rollback", "restart from an older dump", func(c *tconf) {
		c.join, c.rollback, c.stale, c.knows = true, 1, true, true
	}),
	tok("single/stale-lossy", "begin or end lost; answered while the intent stands",
		func(c *tconf) {
			c.join, c.lossy, c.p2, c.stale, c.knows = true, true, true, true, true
		}),
	tok("single/stale-refused", "each of 2 writes refused or not", func(c *tconf) {
		c.join, c.writes, c.mayRefuse, c.p2, c.stale, c.knows = true, []uint8{T2, T2},
			3, true, true, true
	}),
	tok("cluster/stale", "", func(c *tconf) {
		c.cluster, c.join, c.p2, c.stale, c.knows = true, true, true, true, true
	}),
	tok("cluster/stale-rollback", "request-derived tag only", func(c *tconf) {
		c.cluster, c.join, c.rollback, c.noLearned, c.stale, c.writes = true, true, 1,
			true, true, []uint8{T1}
	}),
	// writes that are not announced before they are sent: an upload until its last bytes are in
	// hand, a write without credentials not at all
	tok("single/upload", "1 of 2 writes may commit before it is announced", func(c *tconf) {
		c.gets, c.join, c.writes, c.early, c.p2 = 3, true, []uint8{T2, T2}, 1, true
	}),
	tok("single/upload-2w", "each of 2 writes may commit early, or be refused", func(c *tconf) {
		c.join, c.writes, c.early, c.mayRefuse, c.p2 = true, []uint8{T1, T2}, 3, 3, true
	}),
	tok("single/upload-lossy", "begin lost or late; end lost, or sent twice", func(c *tconf) {
		c.join, c.writes, c.early, c.mayRefuse, c.lossy, c.late, c.p2 = true, []uint8{T2, T2}, 3,
			3, true, true, true
	}),
	tok("single/upload-evict", "any 2 keys evicted", func(c *tconf) {
		c.join, c.early, c.evict, c.evictW = true, 1, 2, true
	}),
	tok("cluster/upload", "", func(c *tconf) {
		c.cluster, c.join, c.early, c.p2 = true, true, 1, true
	}),
	tok("cluster/upload-2w", "1 of 2 writes may commit early", func(c *tconf) {
		c.cluster, c.join, c.writes, c.early, c.p2 = true, true, []uint8{T1, T2}, 1, true
	}),
	tok("single/unannounced", "1 of 2 writes not announced, each refused or not", func(c *tconf) {
		c.gets, c.join, c.writes, c.jobs, c.mayRefuse, c.p2 = 3, true, []uint8{T2, T2}, 1, 3, true
	}),
	tok("cluster/unannounced", "", func(c *tconf) {
		c.cluster, c.join, c.writes, c.jobs, c.mayRefuse, c.p2 = true, true,
			[]uint8{T2, T2}, 1, 3, true
	}),
	// a lost end is made good: tags first, then the intents
	tok("single/made-good", "", func(c *tconf) {
		c.gets, c.join, c.lossy, c.madeGood, c.p2 = 3, true, true, true, true
	}),
	tok("single/made-good-2w", "each of 2 writes refused or not", func(c *tconf) {
		c.join, c.writes, c.mayRefuse, c.lossy, c.late, c.madeGood, c.p2 = true, []uint8{T2, T2}, 3,
			true, true, true, true
	}),
	tok("cluster/made-good", "", func(c *tconf) {
		c.cluster, c.join, c.lossy, c.madeGood, c.p2 = true, true, true, true, true
	}),
	// guards taken away, one at a time
	bad("tokens-after-fetch", "tokens read after the backend's answer",
		func(c *tconf) { c.tokensAfterFetch = true; c.noLearned = true; c.writes = []uint8{T1} }),
	bad("missing-is-valid", "a missing token read as a match",
		func(c *tconf) { c.missingOK = true; c.gets = 2; c.evict = 1 }),
	bad("no-guard", "tag learned from the response, token read only then",
		func(c *tconf) { c.noGuard = true }),
	bad("guard-ended-last", "cluster: tag ended before its guard, guard's intents evicted",
		func(c *tconf) { c.cluster = true; c.guardLast = true; c.evict = 2; c.evictW = true }),
	bad("no-incarnation", "older dump restored, tokens come back",
		func(c *tconf) { c.noIncarnation = true; c.rollback = 1 }),
	bad("no-connection-generation",
		"cluster: ALL read before, tag after one shard's failover", func(c *tconf) {
			c.cluster, c.noConnGen, c.noLearned = true, true, true
			c.rollback = 1
			c.writes = []uint8{T1}
		}),
	bad("old-read", "tokens from a lagging replica, or from a Redis read sent before the GET came",
		func(c *tconf) { c.oldRead = true }),
	bad("join-any-flight", "collapse by key alone",
		func(c *tconf) { c.join, c.joinAny = true, true }),
	bad("join-without-guard", "collapse by key and request-derived tokens, guard left out",
		func(c *tconf) { c.join, c.joinKey = true, true }),
	bad("answer-before-end", "", func(c *tconf) { c.ackFirst = true }),
	bad("serve-dead-if-error", "stale-if-error from an invalidated entry",
		func(c *tconf) { c.serveDead = true }),
	bad("stale-confirmed-under-new-tokens",
		"asked by a time about what a write made old between look-up and open", func(c *tconf) {
			c.stale, c.staleUnproved, c.knows = true, true, true
		}),
	bad("no-intent", "writer dies after the commit: no trace of it",
		func(c *tconf) { c.lossy, c.p2, c.deleteOnlyBegin = true, true, true }),
	bad("shared-intent", "one flag for all writers: the first to end opens the tag",
		func(c *tconf) {
			c.lossy, c.singleIntent, c.p2 = true, true, true
			c.writes = []uint8{T1, T1}
		}),
	bad("no-settle", "504 answered, intent dropped, commit after it",
		func(c *tconf) { c.unknown, c.noSettle = true, true }),
	bad("join-while-guard-is-closed", "equal tokens, and no guard on either side", func(c *tconf) {
		c.join, c.joinClosed, c.knows, c.writes = true, true, true, []uint8{T2, GD}
	}),
	bad("no-aside", "nothing put aside: a refused write leaves the tag without its token",
		func(c *tconf) {
			c.refuse, c.kept, c.noAside, c.expire = 1, true, true, false
		}),
	bad("set-back-beside-an-intent", "the token set back although another writer's intent stands",
		func(c *tconf) {
			c.restoreBeside, c.lossy, c.refuse, c.writes = true, true, 1, []uint8{T2, T2}
		}),
	bad("expiry-keeps-aside", "an intent that ran out is removed, what was put aside stays",
		func(c *tconf) {
			c.expirySilent, c.lossy, c.refuse, c.writes = true, true, 1, []uint8{T2, T2}
		}),
	bad("end-keeps-aside", "a write that succeeded leaves what was put aside", func(c *tconf) {
		c.endKeepsAside, c.refuse, c.writes = true, 1, []uint8{T2, T2}
	}),
	bad("closed-guard-is-unchanged", "a guard closed before and after the fetch", func(c *tconf) {
		c.closedSame, c.writes = true, []uint8{T2, GD}
	}),
	bad("upload-counts-early",
		"a sidecar killed while the body comes, after the commit: the write was never answered",
		func(c *tconf) {
			c.early, c.earlyCounts = 1, true
		}),
	bad("only-given-back", "a lost end made good by the intents alone: the token returns",
		func(c *tconf) {
			c.lossy, c.madeGood, c.onlyGivenBack, c.mayRefuse, c.writes = true, true,
				true, 1, []uint8{T2}
		}),
}
