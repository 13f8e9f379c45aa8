package rfc

import "fmt"

// twenty is a body whose ranges differ.
const twenty = "0123456789abcdefghij"

// part is a 206 with these bytes of twenty, or of other bodies as long.
func part(of string, first, last int, fields ...string) reply {
	return answers(206,
		append([]string{minute, fmt.Sprintf("Content-Range: bytes %d-%d/%d", first, last, len(of))},
			fields...)...).body(of[first : last+1])
}

// ranges: a range of a stored answer is the one that RFC 9110 §14 says.
func ranges() []promise {
	stored := func(name string, status int, fields []string, body, ranges string,
		requested ...string) promise {
		return promise{name, shared, steps{
			get().forwarded(ok(append(fields, minute)...).body(twenty)),
			get(requested...).is(status).content(body).with("Content-Range: "+ranges,
				fmt.Sprintf("Content-Length: %d", len(body))), get().content(twenty),
		}}
	}
	whole := func(name string, fields []string, requested ...string) promise {
		return promise{
			name, shared, steps{
				get().forwarded(ok(append(fields, minute)...).body(twenty)),
				get(requested...).is(200).content(twenty).without("Content-Range"),
			},
		}
	}
	a, weakA, dated := []string{tagA}, []string{`ETag: W/"a"`}, []string{modified}
	return []promise{
		stored("§14.1.2 the first bytes", 206, a, "01", "bytes 0-1/20", "Range: bytes=0-1"),
		stored("§14.1.2 bytes in the middle", 206, a, "56789", "bytes 5-9/20", "Range: bytes=5-9"),
		stored("§14.1.2 one byte", 206, a, "j", "bytes 19-19/20", "Range: bytes=19-19"),
		stored("§14.1.2 from here to the end", 206, a, "fghij", "bytes 15-19/20",
			"Range: bytes=15-"),
		stored("§14.1.2 more than there is", 206, a, "fghij", "bytes 15-19/20",
			"Range: bytes=15-1000"),
		stored("§14.1.2 the last bytes", 206, a, "hij", "bytes 17-19/20", "Range: bytes=-3"),
		stored("§14.1.2 more last bytes than there are", 206, a, twenty, "bytes 0-19/20",
			"Range: bytes=-100"),
		stored("§14.1.2 all", 206, a, twenty, "bytes 0-19/20", "Range: bytes=0-"),
		stored("§14.1 the unit in another case", 206, a, "01", "bytes 0-1/20", "Range: Bytes=0-1"),
		stored("§14.1.2 numbers beyond 64 bits", 206, a, "fghij", "bytes 15-19/20",
			"Range: bytes=15-99999999999999999999999"),
		stored("§13.1.5 If-Range with the strong tag", 206, a, "01", "bytes 0-1/20",
			"Range: bytes=0-1", `If-Range: "a"`),
		{"§15.5.17 what is not there", shared, steps{
			get().forwarded(ok(minute, tagA).body(twenty)),
			get("Range: bytes=20-").is(416).content("").with("Content-Range: bytes */20"),
			get().content(twenty),
		}},
		{"§15.3.7 fields of the whole are those of its part", shared, steps{
			get().forwarded(ok(minute, tagA, "Content-Location: /c", "Date: {start-5}", "Vary: X-A",
				"Expires: {start+60}").body(twenty)),
			get("Range: bytes=0-1").is(206).content("01").with(minute, tagA, "Content-Location: /c",
				"Date: {start-5}", "Vary: X-A", "Expires: {start+60}").aged(5, 15),
		}},
		whole("§14.2 an unknown unit is ignored", a, "Range: lines=0-1"),
		whole("§14.2 what is no range is ignored", a, "Range: bytes=a-b"),
		whole("§14.2 what ends before it begins is ignored", a, "Range: bytes=4-2"),
		whole("§14.2 a range without a unit is ignored", a, "Range: 0-1"),
		whole("§13.1.5 If-Range with another tag", a, "Range: bytes=0-1", `If-Range: "b"`),
		whole("§13.1.5 If-Range with a weak tag against a strong one", a, "Range: bytes=0-1",
			`If-Range: W/"a"`),
		whole("§13.1.5 If-Range with a weak tag against itself", weakA, "Range: bytes=0-1",
			`If-Range: W/"a"`),
		whole("§13.1.5 If-Range with a strong tag against a weak one", weakA,
			"Range: bytes=0-1", `If-Range: "a"`),
		whole("§13.1.5 If-Range with a tag where there is none", dated,
			"Range: bytes=0-1", `If-Range: "a"`),
		whole("§13.1.5 If-Range with an earlier date", dated, "Range: bytes=0-1",
			"If-Range: {start-7200}"),
		whole("§13.1.5 If-Range with a later date", dated, "Range: bytes=0-1",
			"If-Range: {start-1800}"),
		whole("§13.1.5 If-Range with a date where there is none", a, "Range: bytes=0-1",
			"If-Range: {start-3600}"),
		{"§13.2.2 a condition comes before a range", shared,
			steps{get().forwarded(ok(minute, tagA).body(twenty)),
				get(ifA, "Range: bytes=0-1").is(304)}},
		{"§13.2.2 a condition that fails leaves the range", shared, steps{
			get().forwarded(ok(minute, tagA).body(twenty)),
			get(ifB, "Range: bytes=0-1").is(206).content("01").with("Content-Range: bytes 0-1/20"),
		}},
		{"§14.2 a range is of a 200", shared,
			steps{get().forwarded(answers(404, minute).body(twenty)),
				get("Range: bytes=0-1").content(twenty).without("Content-Range")}},
		{"§14.2 in a private cache", private,
			steps{get().forwarded(ok(minute, tagA).body(twenty)),
				get("Range: bytes=0-1").is(206).content("01")}},
		{"§14.2 of a body without Content-Length", shared, steps{
			get().forwarded(ok(minute, tagA).body(twenty).inChunks()),
			get("Range: bytes=0-1").is(206).content("01").with("Content-Range: bytes 0-1/20",
				"Content-Length: 2"),
		}},
	}
}

// parts: a part is never taken for the whole, as RFC 9111 §3.3 says.
func parts() []promise {
	changed := "ABCDEFGHIJKLMNOPQRST"
	// then is a plain request that nothing stored can answer.
	then := get().forwarded(ok(minute).body(twenty))
	ask := func(first, last int) step { return get(fmt.Sprintf("Range: bytes=%d-%d", first, last)) }
	return []promise{
		{"§3.3 of what is not stored the origin answers", shared, steps{
			ask(0, 4).forwarded(part(twenty, 0, 4, tagA).to("Range: bytes=0-4")).
				with("Content-Range: bytes 0-4/20", tagA, "Content-Length: 5"),
		}},
		{"§3.3 a part does not answer for the whole", shared,
			steps{ask(0, 4).forwarded(part(twenty, 0, 4, tagA)), then, get().content(twenty)}},
		{"§3.3 a part without a tag does not answer for the whole", shared,
			steps{ask(0, 4).forwarded(part(twenty, 0, 4)), then}},
		{"§3.3 a part does not answer a HEAD", shared,
			steps{ask(0, 4).forwarded(part(twenty, 0, 4, tagA)),
				head().forwarded(ok(minute, tagA).body(twenty)).with("Content-Length: 20")}},
		{"§3.3 a part that nobody asked for is no whole", shared,
			steps{get().forwarded(part(twenty, 0, 4, tagA)), then}},
		{"§3.3 a part that does not say which is none", shared,
			steps{ask(0, 4).forwarded(answers(206, minute, tagA).body("01234")), then}},
		{"§3.3 several parts are none", shared, steps{
			get("Range: bytes=0-1, 5-6").forwarded(answers(206, minute, tagA,
				"Content-Type: multipart/byteranges; boundary=X").body("--X\r\n…")), then,
		}},
		{"§3.4 another part is asked for", shared, steps{
			ask(0, 4).forwarded(part(twenty, 0, 4, tagA)),
			ask(5, 9).forwarded(part(twenty, 5, 9, tagA)).content("56789").
				with("Content-Range: bytes 5-9/20"),
		}},
		{"§3.4 more than the part is asked for", shared, steps{
			ask(0, 4).forwarded(part(twenty, 0, 4, tagA)),
			get("Range: bytes=0-9").forwarded(part(twenty, 0, 9, tagA)).content(twenty[:10]),
		}},
		{"§3.4 a part of the part", shared, steps{
			ask(0, 9).forwarded(part(twenty, 0, 9, tagA)),
			ask(2, 4).either(part(twenty, 2, 4, tagA)).is(206).content("234").
				with("Content-Range: bytes 2-4/20"),
		}},
		{"§3.4 both halves of one", shared, steps{
			ask(0, 9).forwarded(part(twenty, 0, 9, tagA)),
			ask(10, 19).forwarded(part(twenty, 10, 19, tagA)),
			get().either(ok(minute, tagA).body(twenty)).is(200).content(twenty).
				without("Content-Range"),
		}},
		{"§3.4 halves of two are no whole", shared,
			steps{ask(0, 9).forwarded(part(twenty, 0, 9, tagA)),
				ask(10, 19).forwarded(part(changed, 10, 19, tagB)), then}},
		{"§3.4 halves with a weak tag are no whole", shared, steps{
			ask(0, 9).forwarded(part(twenty, 0, 9, `ETag: W/"a"`)),
			ask(10, 19).forwarded(part(changed, 10, 19, `ETag: W/"a"`)), then,
		}},
		{"§3.4 halves without a tag are no whole", shared,
			steps{ask(0, 9).forwarded(part(twenty, 0, 9)),
				ask(10, 19).forwarded(part(changed, 10, 19)), then}},
		{"§3.4 what is stored whole is not mixed with a part of another", shared, steps{
			get().forwarded(ok(minute, tagA).body(twenty)),
			get("Range: bytes=0-9", "Cache-Control: no-cache").forwarded(part(changed, 0, 9, tagB)).
				content(changed[:10]),
			get().either(ok(minute, tagB).body(changed)).is(200).content(twenty, changed),
			ask(8, 11).either(part(changed, 8, 11, tagB)).is(206).content(twenty[8:12],
				changed[8:12]),
		}},
		{"§3.4 a stale whole is not mixed with a part of another", shared, steps{
			get().forwarded(ok(short, tagA).body(twenty)),
			ask(0, 9).after(second).either(part(changed, 0, 9, tagB)).is(206).content(changed[:10]),
			get().either(ok(minute, tagB).body(changed)).is(200).content(changed),
		}},
		{"§3.3 a 206 of all may be the whole, and must be a 200 then", shared, steps{
			get("Range: bytes=0-").forwarded(part(twenty, 0, 19, tagA)),
			get().either(ok(minute, tagA).body(twenty)).is(200).content(twenty).
				without("Content-Range"),
		}},
		{"RFC 9110 §14.2 an origin that ignores the range", shared, steps{
			ask(0, 4).forwarded(ok(minute, tagA).body(twenty)).either(
				ok(minute, tagA).body(twenty)).content(twenty, twenty[:5]).is(200),
			get().either(ok(minute, tagA).body(twenty)).content(twenty),
		}},
		{"RFC 9110 §15.5.17 a 416 is not stored for the whole", shared, steps{
			ask(50, 60).forwarded(answers(416, minute, "Content-Range: bytes */20")), then,
		}},
		{"§4.4 parts are invalidated like the whole", shared, steps{
			ask(0, 9).forwarded(part(twenty, 0, 9, tagA)), request("PUT").forwarded(answers(204)),
			ask(2, 4).forwarded(part(changed, 2, 4, tagB)).content(changed[2:5]),
		}},
	}
}

// codings: a coding reaches only clients that accept it.
func codings() []promise {
	const gzip = "Content-Encoding: gzip"
	plain := ok("Cache-Control: no-store")
	refuses := func(name, accepts string) promise {
		return promise{"RFC 9110 §12.5.3 " + name, shared, steps{
			get("Accept-Encoding: gzip").forwarded(ok(minute, gzip)).with(gzip),
			get("Accept-Encoding: " + accepts).forwarded(plain).without("Content-Encoding"),
			get("Accept-Encoding: gzip").either(ok(minute, gzip)).content("the answer to step 1",
				"the answer to step 3").with(gzip),
		}}
	}
	return []promise{
		refuses("to one that takes none", "identity"),
		refuses("to one that takes another", "br"),
		refuses("to one that refuses it", "gzip;q=0, br"),
		refuses("to one that refuses all that it does not name", "br, *;q=0"),
		refuses("to one that takes nothing at all", ""),
		{"RFC 9110 §12.5.3 to one that takes any", shared, steps{
			get("Accept-Encoding: gzip").forwarded(ok(minute, gzip)),
			get("Accept-Encoding: *").either(ok(minute, gzip)).content("the answer to step 1",
				"the answer to step 2").with(gzip),
		}},
		{"RFC 9110 §12.5.3 with Vary each has its own", shared, steps{
			get("Accept-Encoding: gzip").forwarded(ok(minute, gzip, "Vary: Accept-Encoding")),
			get("Accept-Encoding: identity").forwarded(ok(minute, "Vary: Accept-Encoding")),
			get("Accept-Encoding: gzip").bodyOf(1).with(gzip),
			get("Accept-Encoding: identity").bodyOf(2).without("Content-Encoding"),
		}},
		{"RFC 9110 §8.4 a coding is passed on and replayed as it came", shared, steps{
			get("Accept-Encoding: x-odd").
				forwarded(ok(minute, "Content-Encoding: x-odd", "Vary: Accept-Encoding")),
			get("Accept-Encoding: x-odd").with("Content-Encoding: x-odd"),
		}},
	}
}
