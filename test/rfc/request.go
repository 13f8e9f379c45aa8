package rfc

// requestDirectives: a client's directives are obeyed as RFC 9111 §5.2.1 says.
func requestDirectives() []promise {
	const hour = "Cache-Control: max-age=3600"
	// goesOn is the case of a client that does not take the entry with these fields; its own answer
	// is stored.
	goesOn := func(name string, stored []string, fields ...string) promise {
		return promise{
			name, shared, steps{
				get().forwarded(ok(stored...)), get(fields...).forwarded(ok(hour)), get().bodyOf(2),
			},
		}
	}
	takes := func(name string, stored []string, fields ...string) promise {
		return promise{name, shared, steps{get().forwarded(ok(stored...)), get(fields...)}}
	}
	new, old := []string{hour}, []string{hour, "Age: 1000"}
	return []promise{
		goesOn("§5.2.1.4 no-cache", new, "Cache-Control: no-cache"),
		goesOn("§5.2.1.4 no-cache among others", new,
			"Cache-Control: max-stale, x=\"y, z\", no-cache"),
		goesOn("§5.2 NO-CACHE is no-cache", new, "Cache-Control: NO-CACHE"),
		goesOn("§5.2.1.4 no-cache in a second line", new, "Cache-Control: max-age=60",
			"Cache-Control: no-cache"),
		goesOn("§5.4 Pragma: no-cache", new, "Pragma: no-cache"),
		goesOn("§5.2.1.1 max-age=0", new, "Cache-Control: max-age=0"),
		goesOn("§5.2.1.1 max-age less than Age", old, "Cache-Control: max-age=999"),
		takes("§5.2.1.1 max-age more than Age", old, "Cache-Control: max-age=2000"),
		goesOn("§5.2.1.3 min-fresh more than what is left", old, "Cache-Control: min-fresh=3000"),
		takes("§5.2.1.3 min-fresh less than what is left", old, "Cache-Control: min-fresh=2000"),
		goesOn("§5.2.1.3 min-fresh beyond any lifetime", new,
			"Cache-Control: min-fresh=99999999999999999999"),
		takes("§5.2.1.1 max-age beyond any age", old,
			"Cache-Control: max-age=99999999999999999999"),
		takes("§5.2.1.2 max-stale of what is fresh", old, "Cache-Control: max-stale=10"),
		takes("§5.2.1.6 no-transform", new, "Cache-Control: no-transform"),
		takes("§5.2.1.7 only-if-cached", new, "Cache-Control: only-if-cached"),
		takes("§5.2 what is not known is ignored", new,
			"Cache-Control: no-caches, x=\"no-cache\", max-stale-x"),
		takes("§5.2 no-cache within a quoted string is none", new,
			`Cache-Control: x="a, no-cache, b"`),
		takes("§5.2 an empty Cache-Control", new, "Cache-Control: "),
		takes("§5.4 another Pragma", new, "Pragma: x-other"),
		{"§5.2.1.7 only-if-cached of what is not stored", shared,
			steps{get("Cache-Control: only-if-cached").is(504), get().forwarded(ok(hour)), get()}},
		{"§5.2.1.7 only-if-cached of what is stale", shared,
			steps{get().forwarded(ok(short)),
				get("Cache-Control: only-if-cached").after(second).is(504)}},
		{"§5.2.1.7 only-if-cached of another variant", shared, steps{
			get("X-A: 1").forwarded(ok(hour, "Vary: X-A")),
			get("X-A: 2", "Cache-Control: only-if-cached").is(504),
			get("X-A: 1", "Cache-Control: only-if-cached"),
		}},
		{"§5.2.1.7 only-if-cached with max-age that is over", shared,
			steps{get().forwarded(ok(hour, "Age: 1000")),
				get("Cache-Control: only-if-cached, max-age=10").is(504)}},
		{"§5.2.1.5 no-store: the answer is not kept", shared, steps{
			get("Cache-Control: no-store").forwarded(ok(hour)),
			get("Cache-Control: no-store").forwarded(ok(hour)), get().forwarded(ok(hour)), get(),
		}},
		{"§5.2.1.5 no-store in a private cache", private,
			steps{get("Cache-Control: no-store").forwarded(ok(hour)),
				get().forwarded(ok(hour)), get()}},
		{"§5.2.1.5 no-store: the answer to a HEAD changes nothing", shared, steps{
			get().forwarded(ok(hour, "X-A: 1")),
			head("Cache-Control: no-store, no-cache").forwarded(ok(hour, "X-A: 2")),
			get().with("X-A: 1"),
		}},
		{"§5.2.1.4 no-cache is satisfied by a validation", shared, steps{
			get().forwarded(ok(hour, tagA)),
			get("Cache-Control: no-cache").forwarded(notModified(tagA, "X-A: 2").to(ifA)).is(200).
				with("X-A: 2"), get().soon().with("X-A: 2"),
		}},
		{"§5.2.1.1 max-age is satisfied by a validation", shared, steps{
			get().forwarded(ok(hour, tagA, "Age: 1000")),
			get("Cache-Control: max-age=10").forwarded(notModified(tagA).to(ifA)).is(200),
			get().soon().aged(0, 20),
		}},
		{"§5.2.1.4 no-cache in a private cache", private,
			steps{get().forwarded(ok(hour)), get("Cache-Control: no-cache").forwarded(ok(hour)),
				get().bodyOf(2)}},
		{"§5.2.1.4 no-cache with a HEAD", shared,
			steps{get().forwarded(ok(hour)), head("Cache-Control: no-cache").forwarded(ok(hour))}},
		{"RFC 9110 §9.3.1 a GET with a body is no GET to a cache", shared, steps{
			get("Content-Type: text/plain").sending("x").forwarded(ok(hour)),
			get("Content-Type: text/plain").sending("x").forwarded(ok(hour)),
			get().forwarded(ok(hour)),
		}},
		{"RFC 9110 §7.6.1 what the client's Connection lists stays here", shared, steps{
			get("Connection: X-Hop", "X-Hop: 1",
				"X-End: 2").forwarded(ok(hour).to("X-Hop:", "X-End: 2")).thenAtOnce(),
		}},
		{"RFC 9110 §7.6.3 the way of a request is told", shared, steps{
			get("Via: 1.0 before").forwarded(ok(hour).to("Via: 1.0 before, 1.1…")),
		}},
	}
}
