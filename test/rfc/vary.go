package rfc

// variants: a variant is reused as RFC 9111 §4.1 says.
func variants() []promise {
	const onA, onBoth = "Vary: X-A", "Vary: X-A, X-B"
	// same and other are the cases of a request with the second fields after one with the first.
	same := func(name, vary string, first, second []string) promise {
		return promise{
			name, shared, steps{get(first...).forwarded(ok(minute, vary)), get(second...)},
		}
	}
	other := func(name, vary string, first, second []string) promise {
		return promise{name, shared, steps{
			get(first...).forwarded(ok(minute, vary)), get(second...).forwarded(ok(minute, vary)),
			get(first...).bodyOf(1), get(second...).bodyOf(2),
		}}
	}
	is := func(fields ...string) []string { return fields }
	return []promise{
		same("§4.1 the same value", onA, is("X-A: 1"), is("X-A: 1")),
		same("§4.1 what Vary does not name may differ", onA, is("X-A: 1", "X-B: 1"),
			is("X-A: 1", "X-B: 2")),
		same("§4.1 absent and absent", onA, nil, nil),
		same("§4.1 the name in another case", "Vary: x-a", is("X-A: 1"), is("X-A: 1")),
		same("§4.1 Vary with nothing in it", "Vary: ", is("X-A: 1"), is("X-A: 2")),
		other("§4.1 another value", onA, is("X-A: 1"), is("X-A: 2")),
		other("§4.1 another value, the name in another case", "vary: x-a",
			is("X-A: 1"), is("X-A: 2")),
		other("§4.1 another case of the value", onA, is("X-A: one"), is("X-A: ONE")),
		other("§4.1 a longer value", onA, is("X-A: 1"), is("X-A: 1, 2")),
		other("§4.1 values in another order", onA, is("X-A: 1, 2"), is("X-A: 2, 1")),
		other("§4.1 absent and present", onA, nil, is("X-A: 1")),
		other("§4.1 present and absent", onA, is("X-A: 1"), nil),
		other("§4.1 two fields: the second differs", onBoth, is("X-A: 1", "X-B: 1"),
			is("X-A: 1", "X-B: 2")),
		other("§4.1 two fields: the first differs", onBoth, is("X-A: 1", "X-B: 1"),
			is("X-A: 2", "X-B: 1")),
		other("§4.1 two fields: exchanged", onBoth, is("X-A: 1", "X-B: 2"), is("X-A: 2", "X-B: 1")),
		other("§4.1 two fields: one is absent", onBoth, is("X-A: 1", "X-B: 1"), is("X-A: 1")),
		same("§4.1 two fields, both the same", onBoth, is("X-A: 1", "X-B: 2"),
			is("X-B: 2", "X-A: 1")),
		other("§4.1 names among empty elements", "Vary: , X-B,,X-A", is("X-A: 1"), is("X-A: 2")),
		same("§4.1 several lines are one list", onA, is("X-A: 1", "X-A: 2"), is("X-A: 1, 2")),
		other("§4.1 several lines in another order", onA, is("X-A: 1", "X-A: 2"),
			is("X-A: 2", "X-A: 1")),
		other("§4.1 where one value ends and the next begins", onBoth, is("X-A: 1", "X-B: 23"),
			is("X-A: 12", "X-B: 3")),
		{"§4.1 Vary in two lines is one list", shared, steps{
			get("X-A: 1", "X-B: 1").forwarded(ok(minute, "Vary: X-A", "Vary: X-B")),
			get("X-A: 1", "X-B: 2").forwarded(ok(minute, onBoth)),
			get("X-A: 1", "X-B: 1").bodyOf(1),
		}},
		{"§4.1 in a private cache", private, steps{
			get("X-A: 1").forwarded(ok(minute, onA)), get("X-A: 2").forwarded(ok(minute, onA)),
			get("X-A: 1").bodyOf(1), get("X-A: 2").bodyOf(2),
		}},

		same("§4.1 Accept-Language: white space", "Vary: Accept-Language",
			is("Accept-Language: en,de;q=0.5"), is("Accept-Language: en, de;q=0.5")),
		same("§4.1 Accept-Language: several lines", "Vary: Accept-Language",
			is("Accept-Language: en", "Accept-Language: de;q=0.5"),
			is("Accept-Language: en, de;q=0.5")),
		same("§4.1 Accept-Language: case", "Vary: Accept-Language",
			is("Accept-Language: en-US, de"), is("Accept-Language: EN-us, DE")),
		same("§4.1 Accept-Language: how a weight is written", "Vary: Accept-Language",
			is("Accept-Language: en;q=1.0, de;q=0.50"), is("Accept-Language: en, de;q=0.5")),
		other("§4.1 Accept-Language: another weight", "Vary: Accept-Language",
			is("Accept-Language: en, de;q=0.5"), is("Accept-Language: en, de;q=0.6")),
		other("§4.1 Accept-Language: another language", "Vary: Accept-Language",
			is("Accept-Language: en"), is("Accept-Language: en-GB")),
		other("§4.1 Accept-Language: a weight of nothing is no language", "Vary: Accept-Language",
			is("Accept-Language: en, de"), is("Accept-Language: en, de;q=0")),
		other("§4.1 Accept-Encoding: another coding", "Vary: Accept-Encoding",
			is("Accept-Encoding: gzip"), is("Accept-Encoding: br")),
		other("§4.1 Accept-Encoding: absent is not nothing", "Vary: Accept-Encoding", nil,
			is("Accept-Encoding: ")),
		same("§4.1 Accept-Encoding: white space and case", "Vary: Accept-Encoding",
			is("Accept-Encoding: gzip,br"), is("Accept-Encoding: GZIP , br")),
		other("§4.1 Accept: another type", "Vary: Accept", is("Accept: text/html"),
			is("Accept: application/json")),
		other("§4.1 Cookie", "Vary: Cookie", is("Cookie: csrf=1"), is("Cookie: csrf=2")),

		{"§4.1 * is never reused", shared, neverReused(ok(minute, "Vary: *"))},
		{"§4.1 * among others", shared, neverReused(ok(minute, "Vary: X-A, *"))},
		{"§4.1 * before others", shared, neverReused(ok(minute, "Vary: *, X-A"))},
		{"§4.1 * in a line of its own", shared, neverReused(ok(minute, "Vary: X-A", "Vary: *"))},
		{"§4.1 * in a private cache", private, neverReused(ok(minute, "Vary: *"))},

		{"§4.1 many variants at once", shared, steps{
			get("X-A: 1").forwarded(ok(minute, onA)), get("X-A: 2").forwarded(ok(minute, onA)),
			get("X-A: 3").forwarded(ok(minute, onA)), get().forwarded(ok(minute, onA)),
			get("X-A: 1").bodyOf(1), get("X-A: 2").bodyOf(2),
			get("X-A: 3").bodyOf(3), get().bodyOf(4),
		}},
		{"§4.1 each answer's own Vary counts", shared, steps{
			get("X-A: 1", "X-B: 1").forwarded(ok(minute, onA)),
			get("X-A: 2", "X-B: 1").forwarded(ok(minute, "Vary: X-B")),
			get("X-A: 2", "X-B: 2").forwarded(ok(minute, onBoth)),
		}},
		{"§4.1 an answer that varies is not hidden by what did not", shared, steps{
			get("X-A: 1").forwarded(ok(short)),
			get("X-A: 1").after(second).forwarded(ok(minute, onA)),
			get("X-A: 2").forwarded(ok(minute, onA)), get("X-A: 1").bodyOf(2),
		}},
		{"§4.1 a 404 varies as well", shared, steps{
			get("X-A: 1").forwarded(answers(404, minute, onA)),
			get("X-A: 2").forwarded(ok(minute, onA)), get("X-A: 1").bodyOf(1),
			get("X-A: 2").bodyOf(2),
		}},
		{"§4.1 what names an origin varies on it", shared, steps{
			get("Origin: https://one.example").
				forwarded(ok(minute, "Access-Control-Allow-Origin: https://one.example")),
			get("Origin: https://two.example").
				forwarded(ok(minute, "Access-Control-Allow-Origin: https://two.example")).
				with("Access-Control-Allow-Origin: https://two.example"),
			get("Origin: https://one.example").bodyOf(1).
				with("Access-Control-Allow-Origin: https://one.example"),
		}},
		{"§4.1 one variant is validated by itself", shared, steps{
			get("X-A: 1").forwarded(ok(short, onA, tagA)),
			get("X-A: 2").forwarded(ok(minute, onA, tagB)),
			get("X-A: 1").after(second).forwarded(notModified(onA, tagA)).bodyOf(1),
			get("X-A: 2").bodyOf(2),
		}},
		{"§4.3.1 all variants are validated by one request", shared, steps{
			get("X-A: 1").forwarded(ok(minute, onA, tagA)),
			get("X-A: 2").forwarded(ok(minute, onA, tagB)),
			get("X-A: 3").forwarded(notModified(onA, tagB).to(`If-None-Match: "a", "b"`)).
				bodyOf(2).with(tagB),
		}},
		{"§4.3.1 none of the variants is what is wanted", shared, steps{
			get("X-A: 1").forwarded(ok(minute, onA, tagA)),
			get("X-A: 2").forwarded(ok(minute, onA, tagB)),
			get("X-A: 3").forwarded(ok(minute, onA, `ETag: "c"`)), get("X-A: 3").with(`ETag: "c"`),
			get("X-A: 1").bodyOf(1), get("X-A: 2").bodyOf(2),
		}},
	}
}
