package rfc

// Fields that the cases of validation share.
const (
	short    = "Cache-Control: max-age=1"
	tagA     = `ETag: "a"`
	tagB     = `ETag: "b"`
	ifA      = `If-None-Match: "a"`
	ifB      = `If-None-Match: "b"`
	modified = "Last-Modified: {start-3600}"
	ifSince  = "If-Modified-Since: {start-3600}"
)

// validations: a stale answer is validated as RFC 9111 §4.3 says.
func validations() []promise {
	return []promise{
		{"§4.3.1 by its ETag", shared, steps{
			get().forwarded(ok(short, tagA).toPlain()),
			get().after(second).forwarded(notModified(tagA).to(ifA, "If-Modified-Since:")).
				saying("fwd=stale", "fwd-status=304"),
		}},
		{"§4.3.1 by a weak ETag", shared, steps{
			get().forwarded(ok(short, `ETag: W/"a"`)),
			get().after(second).forwarded(notModified(`ETag: W/"a"`).to(`If-None-Match: W/"a"`)),
		}},
		{"§4.3.1 by Last-Modified", shared, steps{
			get().forwarded(ok(short, modified).toPlain()),
			get().after(second).forwarded(notModified().to(ifSince, "If-None-Match:")),
		}},
		{"§4.3.1 by both", shared, steps{
			get().forwarded(ok(short, tagA, modified)),
			get().after(second).forwarded(notModified(tagA).to(ifA, ifSince)),
		}},
		{"§4.3.1 by nothing where there is nothing", shared, steps{
			get().forwarded(ok(short)), get().after(second).forwarded(ok(minute).toPlain()), get(),
		}},
		{"§4.3.1 in a private cache", private, steps{
			get().forwarded(ok("Cache-Control: private, max-age=1", tagA)),
			get().after(second).forwarded(
				notModified(tagA).to(ifA, "Authorization: Bearer reader")),
		}},
		{"§4.3.1 of a status other than 200", shared, steps{
			get().forwarded(answers(404, short, tagA)),
			get().after(second).forwarded(ok(minute)), get(),
		}},
		{"§4.3.3 a whole answer takes the old one's place", shared, steps{
			get().forwarded(ok(short, tagA)),
			get().after(second).forwarded(ok(minute, tagB).to(ifA)).with(tagB), get().with(tagB),
		}},
		{"§4.3.3 a 404 is passed on", shared, steps{
			get().forwarded(ok(short, tagA)), get().after(second).forwarded(answers(404).to(ifA)),
		}},
		{"§4.3.3 an error of the server is passed on where nothing allows a stale answer", shared,
			steps{
				get().forwarded(ok(short, tagA)),
				get().after(second).forwarded(answers(503, "Retry-After: 5").to(ifA)).
					with("Retry-After: 5"),
			}},
		{"§4.3.3 what is validated once is validated again", shared, steps{
			get().forwarded(ok(short, tagA)),
			get().after(second).forwarded(notModified(tagA).to(ifA)),
			get().after(second).forwarded(notModified(tagA).to(ifA)),
		}},
		{"§4.3.4 a 304 with another strong ETag is of no use: the whole answer is asked for",
			shared, steps{
				get().forwarded(ok(short, tagA)),
				get().after(second).forwarded(notModified(tagB, minute).to(ifA),
					ok(minute, tagB).toPlain()).with(tagB), get().with(tagB),
			}},
		{"§4.3.4 a 304 that nobody asked for gives no answer that is none", shared, steps{
			get().forwarded(notModified(tagA, minute)).is(304), get().forwarded(ok(minute)), get(),
		}},
	}
}

// updates: a 304 updates the stored answer as RFC 9111 §3.2 says.
func updates() []promise {
	// first is the stored response, second the answer to a validation, and then those of its client
	// and of a later one.
	update := func(name string, first, second []string, want ...string) promise {
		return promise{name, shared, steps{
			get().forwarded(ok(append([]string{short, tagA}, first...)...)),
			get().after(1e9).forwarded(notModified(append([]string{minute, tagA}, second...)...).
				to(ifA)).with(want...),
			get().with(want...),
		}}
	}
	return []promise{
		update("§4.3.4 the answer is fresh again", nil, nil, "Cache-Control: max-age=60"),
		update("§3.2 a new field is added", nil, []string{"X-New: 1"}, "X-New: 1"),
		update("§3.2 a field that was there is replaced", []string{"X-A: 1"},
			[]string{"X-A: 2"}, "X-A: 2"),
		update("§3.2 several lines are replaced by one", []string{"X-A: 1", "X-A: 2"},
			[]string{"X-A: 3"}, "X-A: 3"),
		update("§3.2 one line is replaced by several", []string{"X-A: 1"},
			[]string{"X-A: 2", "X-A: 3"}, "X-A: 2, 3"),
		update("§3.2 a field that is not in the 304 stays", []string{"X-A: 1"}, []string{"X-B: 2"},
			"X-A: 1", "X-B: 2"),
		update("§3.2 Content-Type is replaced", []string{"Content-Type: text/plain"},
			[]string{"Content-Type: text/html"}, "Content-Type: text/html"),
		update("§3.2 Content-Length stays", nil, []string{"Content-Length: 0"},
			"Content-Length: 20"),
		update("§3.2 Content-Length stays, however long", nil, []string{"Content-Length: 12345"},
			"Content-Length: 20"),
		update("§3.2 Content-Encoding stays, for the bytes are in it",
			[]string{"Content-Encoding: br"}, []string{"Content-Encoding: gzip"},
			"Content-Encoding: br"),
		update("§3.2 Content-Encoding does not come from a 304", nil,
			[]string{"Content-Encoding: gzip"}, "Content-Encoding:"),
		update("§3.2 Content-Range does not come from a 304", nil,
			[]string{"Content-Range: bytes 0-1/20"}, "Content-Range:"),
		update("§3.1 what Connection lists does not come from a 304", []string{"X-A: 1"},
			[]string{"Connection: X-Hop", "X-Hop: 1"}, "X-A: 1", "X-Hop:"),
		update("§3.2 Last-Modified is replaced", []string{"Last-Modified: {start-3600}"},
			[]string{"Last-Modified: {start-1800}"}, "Last-Modified: {start-1800}"),
		update("§3.2 Date is replaced", []string{"Date: {start-1}"}, []string{"Date: {start+1}"},
			"Date: {start+1}"),
		update("§3.2 Expires is replaced", []string{"Expires: {start+1}"},
			[]string{"Expires: {start+60}"}, "Expires: {start+60}"),
		{"§4.3.4 Expires alone makes it fresh again", shared, steps{
			get().forwarded(ok("Expires: {now+1}", tagA)),
			get().after(second).forwarded(notModified(tagA, "Expires: {now+60}").to(ifA)), get(),
		}},
		{"§4.3.4 the lifetime that was there begins anew", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=2", tagA)),
			get().after(2 * second).forwarded(notModified(tagA).to(ifA)), get(),
			get().after(2 * second).forwarded(notModified(tagA).to(ifA)),
		}},
		{"§4.2.3 Age begins anew", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=2", tagA)),
			get().after(2 * second).forwarded(notModified(tagA, minute)), get().aged(0, 2),
		}},
		{"§4.2.3 Age begins with the 304's own", shared, steps{
			get().forwarded(ok(short, tagA)),
			get().after(second).forwarded(notModified(tagA, minute, "Age: 30")), get().aged(30, 40),
		}},
		{"§3.2 the Age of the first answer does not stay", shared, steps{
			get().forwarded(ok(minute, tagA, "Age: 59")),
			get().after(second).forwarded(notModified(tagA).to(ifA)), get().aged(0, 10),
		}},
		{"§4.3.4 a 304 with no-store is not the end of the answer to this request", shared, steps{
			get().forwarded(ok(short, tagA)),
			get().after(second).forwarded(notModified(tagA, "Cache-Control: no-store")),
			get().forwarded(ok("Cache-Control: no-store")).content("the answer to step 3"),
		}},
		{"§4.3.4 by Last-Modified", shared, steps{
			get().forwarded(ok(short, modified, "X-A: 1")),
			get().after(second).forwarded(notModified(modified, minute, "X-A: 2")).with("X-A: 2"),
			get().with("X-A: 2", modified),
		}},
		{"§4.3.4 by a weak ETag", shared, steps{
			get().forwarded(ok(short, `ETag: W/"a"`)),
			get().after(second).forwarded(notModified(`ETag: W/"a"`, minute, "X-A: 2")),
			get().with("X-A: 2"),
		}},
	}
}

// noCache: an answer with no-cache is validated on every use.
func noCache() []promise {
	each := func(name string, on route, control string) promise {
		return promise{name, on, steps{
			get().forwarded(ok(control, tagA)), get().forwarded(notModified(tagA).to(ifA)),
			get().forwarded(notModified(tagA, control).to(ifA)),
			get().forwarded(ok(control, tagB).to(ifA)),
			get().forwarded(notModified(tagB).to(ifB)).bodyOf(4),
		}}
	}
	return []promise{
		each("§5.2.2.4 no-cache", shared, "Cache-Control: no-cache"),
		each("§5.2.2.4 no-cache wins over max-age", shared, "Cache-Control: max-age=60, no-cache"),
		each("§5.2.2.4 no-cache in a private cache", private, "Cache-Control: private, no-cache"),
		each("§5.2.2.4 no-cache wins over the policy's lifetime", lasting,
			"Cache-Control: no-cache"),
		each("§5.2 NO-CACHE is no-cache", shared, "Cache-Control: NO-CACHE, max-age=60"),
		{"§5.2.2.4 no-cache of what cannot be validated is fetched each time", shared,
			neverReused(ok("Cache-Control: no-cache, max-age=60"))},
		{"§5.2.2.4 no-cache by Last-Modified", shared, steps{
			get().forwarded(ok("Cache-Control: no-cache", modified)),
			get().forwarded(notModified().to(ifSince)), get().forwarded(notModified().to(ifSince)),
		}},
		promise{`§5.2.2.4 the fields of no-cache="…" are sent only after a validation`, shared,
			steps{
				get().forwarded(ok(`Cache-Control: max-age=60, no-cache="X-Mine, X-Other"`,
					"X-Mine: 1",
					"x-other: 2", "X-A: 3")),
				get().either(ok()).content("the answer to step 1",
					"the answer to step 2").without("X-Mine", "X-Other"),
			}},
	}
}

// conditions: a client's condition is answered from the store.
func conditions() []promise {
	// conditional sends a condition for a stored answer with these fields.
	conditional := func(name string, status int, stored []string, fields ...string) promise {
		return promise{name, shared, steps{
			// and a later client gets it whole
			get().forwarded(ok(append([]string{minute}, stored...)...)),
			get(fields...).is(status), get(),
		}}
	}
	a, weakA, dated := []string{tagA}, []string{`ETag: W/"a"`}, []string{modified}
	both := []string{tagA, modified}
	return []promise{
		conditional("RFC 9110 §13.1.2 the same tag", 304, a, ifA),
		conditional("RFC 9110 §13.1.2 another tag", 200, a, ifB),
		conditional("RFC 9110 §13.1.2 a tag in another case", 200, a, `If-None-Match: "A"`),
		conditional("RFC 9110 §13.1.2 a list with the tag", 304, a, `If-None-Match: "x", "a", "y"`),
		conditional("RFC 9110 §13.1.2 a list in two lines", 304, a, `If-None-Match: "x"`, ifA),
		conditional("RFC 9110 §13.1.2 a list without white space", 304, a,
			`If-None-Match: "x","a"`),
		conditional("RFC 9110 §13.1.2 a list without the tag", 200, a, `If-None-Match: "x", "y"`),
		conditional("RFC 9110 §13.1.2 a tag with a comma within", 200, a, `If-None-Match: "x,a,y"`),
		conditional("RFC 9110 §13.1.2 a stored tag with a comma within", 304,
			[]string{`ETag: "x,a"`}, `If-None-Match: "y", "x,a"`),
		conditional("RFC 9110 §13.1.2 any", 304, a, "If-None-Match: *"),
		conditional("RFC 9110 §13.1.2 any, of what has no tag", 304, nil, "If-None-Match: *"),
		conditional("RFC 9110 §13.1.2 a tag, of what has none", 200, nil, ifA),
		conditional("RFC 9110 §8.8.3.2 weak against strong", 304, a, `If-None-Match: W/"a"`),
		conditional("RFC 9110 §8.8.3.2 strong against weak", 304, weakA, ifA),
		conditional("RFC 9110 §8.8.3.2 weak against weak", 304, weakA, `If-None-Match: W/"a"`),
		conditional("RFC 9110 §8.8.3.2 weak against another weak", 200, weakA,
			`If-None-Match: W/"b"`),
		conditional("RFC 9110 §13.1.3 the same date", 304, dated, ifSince),
		conditional("RFC 9110 §13.1.3 a later date", 304, dated, "If-Modified-Since: {start-1800}"),
		conditional("RFC 9110 §13.1.3 an earlier date", 200, dated,
			"If-Modified-Since: {start-7200}"),
		conditional("RFC 9110 §13.1.3 no date", 200, dated, "If-Modified-Since: yesterday"),
		conditional("RFC 9110 §13.1.3 two dates", 200, dated, ifSince, ifSince),
		conditional("RFC 9110 §13.2.2 a tag wins over a date: changed", 200, both, ifB, ifSince),
		conditional("RFC 9110 §13.2.2 a tag wins over a date: not changed", 304, both, ifA,
			"If-Modified-Since: {start-7200}"),
		conditional("RFC 9110 §13.2.2 a tag wins over a date, where no tag is stored", 200,
			dated, ifA, ifSince),
		{"RFC 9110 §13.2.1 conditions are for a 200: not for a 404", shared,
			steps{get().forwarded(answers(404, minute, tagA)), get(ifA)}},
		{"RFC 9110 §13.2.1 conditions are for a 200: not for a 301", shared,
			steps{get().forwarded(answers(301, minute, modified)), get(ifSince)}},
		{"RFC 9110 §15.4.5 what a 304 has to say", shared, steps{
			get().forwarded(ok(minute, tagA, "Date: {start-5}", "Content-Location: /c", "Vary: X-A",
				"Expires: {start+60}", "Set-Cookie: a=1")),
			get(ifA).is(304).with(minute, tagA, "Date: {start-5}", "Content-Location: /c",
				"Vary: X-A", "Expires: {start+60}").aged(5, 15),
		}},
		{"§4.3.2 in a private cache", private,
			steps{get().forwarded(ok(minute, tagA)), get(ifA).is(304), get(ifB)}},
		{"§4.3.2 with a HEAD", shared,
			steps{get().forwarded(ok(minute, tagA)), head(ifA).is(304), head(ifB)}},
		{"§4.3.2 conditions that are for the origin go to it", shared, steps{
			get().forwarded(ok(minute, tagA)),
			get(`If-Match: "x"`).forwarded(answers(412).to(`If-Match: "x"`)), get().bodyOf(1),
			get("If-Unmodified-Since: {start-7200}").
				forwarded(answers(412).to("If-Unmodified-Since: {start-7200}")),
		}},
		{"§4.3.2 after a validation the client's tag is still its own", shared, steps{
			get().forwarded(ok(short, tagA)),
			get(ifA).after(second).forwarded(notModified(tagA, minute)).is(304).with(tagA),
			get(ifA).is(304), get(),
		}},
		{"§4.3.2 after a validation a client with another tag gets all of it", shared, steps{
			get().forwarded(ok(short, tagA)),
			get(`If-None-Match: "old"`).after(second).forwarded(notModified(tagA, minute)).is(200),
			get(),
		}},
		{"§4.3.2 after a validation by date a client with an older date gets all of it", shared,
			steps{
				get().forwarded(ok(short, modified)),
				get("If-Modified-Since: {start-7200}").after(second).
					forwarded(notModified(minute).to(ifSince)).is(200), get(),
			}},
		{"§4.3.2 a client's old tag, and a new answer", shared, steps{
			get().forwarded(ok(short, tagA)),
			get(ifA).after(second).forwarded(ok(minute, tagB)).with(tagB), get(ifB).is(304), get(),
		}},
		{"§4.3.1 what is not stored is fetched whole for a client that has it: not changed", shared,
			steps{
				get(ifA).forwarded(ok(minute, tagA).toPlain()).is(304).with(tagA), get(),
			}},
		{"§4.3.1 what is not stored is fetched whole for a client that has it: changed", shared,
			steps{
				get(ifB).forwarded(ok(minute, tagA).toPlain()), get(),
			}},
		{"§4.3.1 what is not stored is fetched whole for a client that has it: by date", shared,
			steps{
				get(ifSince).forwarded(ok(minute, modified).toPlain()).is(304), get(),
			}},
	}
}
