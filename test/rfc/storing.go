package rfc

import (
	"fmt"
	"net/http"
)

// minute is a lifetime that outlasts every case.
const minute = "Cache-Control: max-age=60"

// reused are the steps of an answer that is stored and serves the next request.
func reused(first reply) steps { return steps{get().forwarded(first), get()} }

// neverReused are those of one that does not: nothing says "stored", and nothing is, also when a
// late store would have come.
func neverReused(first reply) steps {
	again := get().forwarded(ok("Cache-Control: no-store"))
	return steps{get().forwarded(first), again, again, again}
}

// whatIsStored: only answers that RFC 9111 §3 allows are stored.
func whatIsStored() []promise {
	var cases []promise
	for _, status := range []int{
		200, 201, 202, 203, 204, 205, 299, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405,
		409, 410, 414, 418, 422, 451, 499, 500, 501, 502, 503, 504, 599,
	} {
		cases = append(cases, promise{
			fmt.Sprintf("§3 a %d with max-age is stored", status), shared,
			reused(answers(status, minute)),
		})
	}
	for _, status := range []int{
		200, 201, 202, 203, 299, 300, 302, 303, 307, 400, 403, 404, 410, 499, 500,
		502, 503, 504, 599,
	} {
		cases = append(cases, promise{
			fmt.Sprintf("§3 a %d that says nothing of its lifetime is not stored", status), shared,
			neverReused(answers(status)),
		})
	}
	for _, status := range []int{428, 429, 431, 511} {
		cases = append(cases, promise{
			fmt.Sprintf("RFC 6585 a %d is never stored", status), shared,
			neverReused(answers(status, minute, "Retry-After: 1")),
		})
	}
	with := func(name string, on route, fields ...string) {
		cases = append(cases, promise{name, on, reused(ok(fields...))})
	}
	without := func(name string, on route, fields ...string) {
		cases = append(cases, promise{name, on, neverReused(ok(fields...))})
	}
	with("§3 Expires alone is enough", shared, "Expires: {now+60}")
	with("§3 s-maxage alone is enough", shared, "Cache-Control: s-maxage=60")
	with("§3 a lifetime that the policy states is enough", lasting)
	without("§5.2.2.5 no-store", shared, "Cache-Control: no-store")
	without("§5.2.2.5 no-store wins over max-age", shared, "Cache-Control: max-age=60, no-store")
	without("§5.2.2.5 no-store wins over public and Expires", shared,
		"Cache-Control: public, no-store", "Expires: {now+60}")
	without("§5.2.2.5 no-store in another line", shared, minute, "Cache-Control: no-store")
	without("§5.2.2.5 no-store in a private cache", private, "Cache-Control: max-age=60, no-store")
	without("§5.2.2.5 no-store wins over the policy's lifetime", lasting, "Cache-Control: no-store")
	without("§5.2 NO-STORE is no-store", shared, "Cache-Control: MAX-AGE=60, NO-STORE")
	without("§5.2 no-store without white space", shared, "Cache-Control: max-age=60,no-store")
	without("§5.2 no-store among empty elements", shared,
		"Cache-Control: , max-age=60,, ,no-store,")
	without("§5.2 no-store behind a quoted string", shared,
		`Cache-Control: x="a, b", no-store, max-age=60`)
	without("§5.2 no-store behind a quoted quote", shared,
		`Cache-Control: x="a\"", no-store, max-age=60`)
	with("§5.2 no-store within a quoted string is none", shared,
		`Cache-Control: x="a, no-store, b", max-age=60`)
	with("§5.2 what is not known is ignored", shared,
		"Cache-Control: no-stores, x-no-store, max-age=60")
	without("§5.2.2.7 private in a shared cache", shared, "Cache-Control: private, max-age=60")
	without("§5.2.2.7 private in a shared cache, for s-maxage too", shared,
		"Cache-Control: s-maxage=60, private")
	without("§5.2.2.7 private in a shared cache, for the policy's lifetime too", lasting,
		"Cache-Control: private")
	with("§5.2.2.7 private in a private cache", private, "Cache-Control: private, max-age=60")
	with("§3 max-age in a private cache", private, minute)
	with("§3.1 an answer that sets a cookie, where the policy says so", shared, minute,
		"Set-Cookie: a=1")
	without("§4.1 Vary: *", shared, minute, "Vary: *")
	with("§5.2.2.3 must-understand with a status that is understood stands for its no-store",
		shared, "Cache-Control: must-understand, no-store, max-age=60")
	cases = append(cases, []promise{
		{"§3 must-understand with a status that is not understood", shared,
			neverReused(answers(599, "Cache-Control: must-understand, max-age=60"))},
		{"§5.2.2.3 must-understand, no-store with a status that is not understood", shared,
			neverReused(answers(599, "Cache-Control: must-understand, no-store, max-age=60"))},
		{`§5.2.2.7 the fields of private="…" are not for a shared cache`, shared, steps{
			get().forwarded(ok(`Cache-Control: max-age=60, private="X-Mine"`, "X-Mine: 1")),
			get().either(ok(minute)).content("the answer to step 1",
				"the answer to step 2").without("X-Mine"),
		}},

		{"§3 what no credentials asked for is shared, also on a private route", anyone, steps{
			get().forwarded(ok("Cache-Control: private, max-age=60")),
			get().forwarded(ok(minute)), get(),
		}},
		{"§3 a private cache has one caller", private, steps{
			get("Authorization: Bearer one").forwarded(ok(minute)),
			get("Authorization: Bearer two").forwarded(ok(minute)),
			get("Authorization: Bearer one").bodyOf(1),
			get("Authorization: Bearer two").bodyOf(2),
		}},
		{"§3 a private cache keeps what Vary: Authorization may say", private,
			reused(ok(minute, "Vary: Authorization"))},

		{"§3 the answer to a method that is not understood", shared, steps{
			request("M-X").forwarded(ok(minute)), request("M-X").forwarded(ok(minute)),
			get().forwarded(ok(minute)), get(),
		}},
		{"§3 the answer to OPTIONS", shared,
			steps{request(http.MethodOptions).forwarded(ok(minute)),
				request(http.MethodOptions).forwarded(ok(minute))}},
		{"RFC 9110 §9.3.3 the answer to a POST is none to a GET", shared,
			steps{post().forwarded(ok(minute)), get().forwarded(ok(minute))}},

		{"§2 another query is another resource", shared, steps{
			get().at("?a=1").forwarded(ok(minute)), get().at("?a=2").forwarded(ok(minute)),
			get().forwarded(ok(minute)),
			get().at("?a=1").bodyOf(1), get().at("?a=2").bodyOf(2), get().bodyOf(3),
		}},
		{"§2 another host is another resource", shared, steps{
			get("Host: one.example").forwarded(ok(minute)),
			get("Host: two.example").forwarded(ok(minute)), get("Host: one.example").bodyOf(1),
		}},
		{"§2 another path is another resource", shared, steps{
			get().at("/A").forwarded(ok(minute)), get().at("/a").forwarded(ok(minute)),
			get().at("/A").bodyOf(1),
		}},
	}...)
	return cases
}

// whatCredentialsBrought: the answer to a request with credentials is shared only with permission.
func whatCredentialsBrought() []promise {
	authorized := "Authorization: Bearer reader"
	var cases []promise
	for _, control := range []string{
		"public, max-age=60", "s-maxage=60", "must-revalidate, max-age=60",
	} {
		cases = append(cases, promise{"§3.5 " + control, shared, steps{
			get(authorized).forwarded(ok("Cache-Control: " + control)), get(authorized),
		}})
	}
	for _, control := range []string{
		"max-age=60", "max-age=60, proxy-revalidate", "max-age=60, immutable",
		"max-age=60, stale-if-error=60", `max-age=60, x="public"`,
	} {
		cases = append(cases, promise{"§3.5 not with " + control, shared, steps{
			get(authorized).forwarded(ok("Cache-Control: " + control)),
			get(authorized).forwarded(ok()), get("Authorization: Bearer other").forwarded(ok()),
			get().forwarded(ok()),
		}})
	}
	cases = append(cases, promise{"§3.5 not with Expires", shared, steps{
		get(authorized).forwarded(ok("Expires: {now+60}")), get(authorized).forwarded(ok()),
		get().forwarded(ok()),
	}}, promise{
		"§3.5 a private cache keeps it", private,
		steps{get(authorized).forwarded(ok(minute)), get(authorized)},
	})
	return cases
}

// storedFields: the fields of a stored answer are those that it came with.
func storedFields() []promise {
	replays := func(name string, fields ...string) promise {
		return promise{
			name, shared, steps{
				get().forwarded(ok(append(fields, minute)...)).with(fields...),
				get().with(fields...),
			},
		}
	}
	leavesOut := func(name string, gone []string, fields ...string) promise {
		return promise{
			name, shared, steps{
				get().forwarded(ok(append(fields, minute)...)).without(gone...),
				get().without(gone...),
			},
		}
	}
	return []promise{
		replays("§3.1 one that nobody knows", "X-Nobody-Knows: a  b;c=\"d, e\""),
		replays("§3.1 an empty one", "X-Empty: "),
		replays("§3.1 Set-Cookie, where the policy says so", "Set-Cookie: a=1; Path=/; HttpOnly"),
		replays("§3.1 those of the representation", "Content-Type: text/x-y; charset=z",
			"Content-Language: de", "Content-Location: /elsewhere", `ETag: W/"a"`,
			"Last-Modified: {start-60}"),
		replays("§3.1 Date, as it was", "Date: {start-5}"),
		replays("§3.1 Expires, as it was", "Expires: {start+60}"),
		replays("§3.1 Vary", "Vary: X-A, X-B"),
		replays("§3.1 Location, Link, Allow, Retry-After, Warning", "Location: /there",
			"Link: </a>; rel=preload", "Allow: GET", "Retry-After: 7", `Warning: 299 - "odd"`),
		replays("§3.1 Clear-Site-Data and other security fields",
			"Strict-Transport-Security: max-age=1", "Content-Security-Policy: default-src 'none'",
			"X-Frame-Options: DENY"),
		{"§3.1 several lines of one, in their order", shared, steps{
			get().forwarded(ok(minute, "X-Many: one", "X-Many: two", "x-many: three, four")),
			get().with("X-Many: one, two, three, four"),
		}},
		{"§3.1 two cookies are two lines", shared, steps{
			get().forwarded(ok(minute, "Set-Cookie: a=1", "Set-Cookie: b=2")),
			get().with("Set-Cookie: a=1, b=2"),
		}},
		leavesOut("§3.1 what Connection lists", []string{"X-Hop", "X-Hop2"},
			"Connection: X-Hop, x-hop2", "X-Hop: 1", "X-Hop2: 2"),
		leavesOut("§3.1 what a second line of Connection lists", []string{"X-Hop", "X-Hop2"},
			"Connection: X-Hop", "Connection: x-hop2", "X-Hop: 1", "X-Hop2: 2"),
		leavesOut("RFC 9110 §7.6.1 fields of one hop",
			[]string{"Keep-Alive", "Proxy-Connection", "Upgrade"}, "Keep-Alive: timeout=5",
			"Proxy-Connection: keep-alive", "Upgrade: foo/2"),
		{"§3.1 what names a proxy is not stored", shared, steps{
			get().forwarded(ok(minute, "Proxy-Authenticate: Basic",
				"Proxy-Authentication-Info: a=b", "Proxy-Authorization: Basic x")),
			get().without("Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization"),
		}},
		{"RFC 9110 §7.6.1 an end-to-end field that Connection names is of one hop: Cache-Control",
			shared, steps{
				get().forwarded(ok("Connection: x-mine", "X-Mine: 1", minute)).without("X-Mine"),
				get().without("X-Mine", "Connection"),
			}},
	}
}

// storedBodies: a body is stored whole or not at all.
func storedBodies() []promise {
	return []promise{
		{"§3.3 with Content-Length", shared,
			steps{get().forwarded(ok(minute).body("0123456789")).with("Content-Length: 10"),
				get().with("Content-Length: 10")}},
		{"§3.3 empty", shared, steps{get().forwarded(ok(minute).body("")), get()}},
		{"§3.3 in chunks", shared, reused(ok(minute).inChunks())},
		{"§3.3 up to the end of the connection", shared, reused(ok(minute).untilClose())},
		{"§3.3 after early hints, which are not replayed", shared, steps{
			get().forwarded(
				ok(minute).hint("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")).
				without("Link"), get().without("Link"),
		}},
		{"§3 a 1xx is no answer to store", shared, steps{
			get().forwarded(
				ok().hint("HTTP/1.1 102 Processing\r\nCache-Control: max-age=60\r\n\r\n")),
			get().forwarded(ok()),
		}},
		{"RFC 9110 §6.5 trailers pass", shared, steps{
			get().forwarded(ok(minute).inChunks("X-Trailer: 1")).trailing("X-Trailer: 1").
				without("X-Trailer"),
			get().either(ok(minute)).content("the answer to step 1",
				"the answer to step 2").without("X-Trailer"),
		}},
		{"§3.3 less than Content-Length", shared,
			steps{get().forwarded(ok(minute).ending(inBody)).cut(), get().forwarded(ok()),
				get().forwarded(ok())}},
		{"§3.3 without the last chunk", shared,
			steps{get().forwarded(ok(minute).inChunks().ending(inBody)).cut(),
				get().forwarded(ok()), get().forwarded(ok())}},
		{"RFC 9112 §8 a connection that ends before the head", shared,
			steps{get().forwarded(hangUp(silent)).is(502), get().forwarded(ok()),
				get().forwarded(ok())}},
		{"RFC 9112 §8 a connection that ends within the head", shared,
			steps{get().forwarded(hangUp(inHead)).is(502), get().forwarded(ok()),
				get().forwarded(ok())}},
		{"RFC 9111 §3.3 what breaks off takes nothing away that is whole", shared, steps{
			get().forwarded(ok(minute)),
			get("Cache-Control: no-cache").forwarded(ok(minute).ending(inBody)).cut(),
			get().either(ok(minute)).content("the answer to step 1", "the answer to step 3"),
		}},
	}
}

// fills: a fetched answer is there for the next request.
func fills() []promise {
	var cases []promise
	for i := range 20 {
		cases = append(cases, promise{fmt.Sprintf("fill %d", i), shared, steps{
			get().at("?1").forwarded(ok(minute)).thenAtOnce(), get().at("?1"),
			get().at("?2").forwarded(ok(minute)).thenAtOnce(), get().at("?2"),
			get().at("?1").bodyOf(1),
			get("Cache-Control: no-cache").at("?1").forwarded(ok(minute)).thenAtOnce(),
			get().at("?1").bodyOf(6), get().at("?2").bodyOf(3),
		}})
	}
	return cases
}
