package rfc

import "fmt"

// invalidations: a write invalidates as RFC 9111 §4.4 says.
func invalidations() []promise {
	// writes are the steps of a write that is answered so, between a fill and a request that must
	// not be answered from it.
	writes := func(method string, answer reply) steps {
		return steps{
			get().forwarded(ok(minute)), request(method).forwarded(answer),
			get().forwarded(ok(minute)), get(),
		}
	}
	// keeps are those of one that changes nothing.
	keeps := func(method string, answer reply) steps {
		return steps{
			get().forwarded(ok(minute)), request(method).forwarded(answer), get().bodyOf(1),
		}
	}
	// elsewhere are those of a write whose answer points at the entry of /b.
	elsewhere := func(method string, answer reply) steps {
		return steps{
			get().at("/b").forwarded(ok(minute)), request(method).at("/a").forwarded(answer),
			get().at("/b").forwarded(ok(minute)), get().at("/b"),
		}
	}
	elsewhereKept := func(method string, answer reply) steps {
		return steps{
			get().at("/b").forwarded(ok(minute)), request(method).at("/a").forwarded(answer),
			get().at("/b").bodyOf(1),
		}
	}
	var cases []promise
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "M-X"} {
		for _, status := range []int{200, 201, 202, 204, 303} {
			cases = append(cases, promise{
				fmt.Sprintf("§4.4 %s with %d", method, status), shared,
				writes(method, answers(status)),
			})
		}
		for _, status := range []int{400, 401, 403, 404, 405, 409, 412, 422, 499} {
			cases = append(cases, promise{
				fmt.Sprintf("§4.4 %s with %d changes nothing", method, status), shared,
				keeps(method, answers(status)),
			})
		}
		for _, field := range []string{"Location", "Content-Location"} {
			cases = append(cases, promise{
				fmt.Sprintf("§4.4 %s, what %s names", method, field), shared,
				elsewhere(method, answers(201, field+": {path}/b")),
			})
		}
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		cases = append(cases, promise{"§4.4 not " + method, shared, steps{
			get().forwarded(ok(minute)),
			request(method, "Cache-Control: no-cache").forwarded(ok(minute)),
			get().either(ok()).content("the answer to step 1", "the answer to step 2"),
		}}, promise{
			"§4.4 not " + method + ", what Location names", shared,
			elsewhereKept(method, ok(minute, "Location: {path}/b", "Content-Location: {path}/b")),
		})
	}
	for _, field := range []string{"Location: ", "Content-Location: "} {
		for name, value := range map[string]string{
			"an absolute URI": "{base}{path}/b", "a relative one": "b",
			"a relative one with dots": "./c/../b", "one with a fragment": "{path}/b#x",
			"one without a scheme": "//{host}{path}/b",
		} {
			cases = append(cases, promise{
				"§4.4 " + field + name, shared, elsewhere("POST", answers(201, field+value)),
			})
		}
		for name, value := range map[string]string{
			"another host": "http://other.example{path}/b",
			"another port": "http://127.0.0.1:1{path}/b", "no URI": "http://[{path}/b",
			"another path":                  "{path}/c",
			"another host without a scheme": "//other.example{path}/b",
			"a host that begins the same":   "{base}.example{path}/b",
		} {
			cases = append(cases, promise{
				"§4.4 not " + field + name, shared,
				elsewhereKept("POST", answers(201, field+value)),
			})
		}
		cases = append(cases, promise{
			"§4.4 not " + field + "of a write that was refused", shared,
			elsewhereKept("POST", answers(409, field+"{path}/b")),
		})
	}
	cases = append(cases,
		promise{"§4.4 with its query", shared, steps{
			get().at("?a=1").forwarded(ok(minute)), post().at("?a=1").forwarded(ok()),
			get().at("?a=1").forwarded(ok(minute)),
		}},
		promise{"§4.4 every variant", shared, steps{
			get("X-A: 1").forwarded(ok(minute, "Vary: X-A")),
			get("X-A: 2").forwarded(ok(minute, "Vary: X-A")),
			request("PUT", "X-A: 1").forwarded(answers(204)),
			get("X-A: 1").forwarded(ok(minute, "Vary: X-A")),
			get("X-A: 2").forwarded(ok(minute, "Vary: X-A")),
		}},
		promise{"§4.4 in a private cache", private, writes("PUT", answers(204))},
		promise{"§4.4 on a route with a lifetime", lasting, writes("PUT", answers(204))},
		promise{"§4.4 for a HEAD too", shared, steps{
			get().forwarded(ok(minute)), request("DELETE").forwarded(answers(204)),
			head().forwarded(answers(404)),
		}},
		promise{"§4.4 the old one is no answer to a condition", shared, steps{
			get().forwarded(ok(minute, tagA)), request("PUT").forwarded(answers(204)),
			get(ifA).forwarded(ok(minute, tagB)).with(tagB), get(ifA).with(tagB),
		}},
		promise{"§4.4 what it made old is not validated back to life", shared, steps{
			get().forwarded(ok(short, tagA)), request("PUT").forwarded(answers(204)),
			get().after(second).forwarded(ok(minute, tagB)).with(tagB), get().with(tagB),
		}},
		promise{"§4.4 only this path", shared, steps{
			get().forwarded(ok(minute)), get().at("/b").forwarded(ok(minute)),
			request("PUT").at("/b").forwarded(answers(204)), get().bodyOf(1),
		}},
		promise{"§4.4 on the host that it was sent to", shared, steps{
			get("Host: one.example").at("/b").forwarded(ok(minute)),
			post("Host: one.example").at("/a").
				forwarded(answers(201, "Location: http://one.example{path}/b")),
			get("Host: one.example").at("/b").forwarded(ok(minute)),
		}},
		promise{"RFC 9110 §9.3.3 what a write answers is not stored for a GET", shared, steps{
			get().forwarded(ok(minute)), post().forwarded(ok(minute)),
			get().forwarded(ok(minute)), get(),
		}},
	)
	return cases
}
