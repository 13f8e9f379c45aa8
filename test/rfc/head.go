package rfc

// heads: a HEAD is answered from a stored GET, and updates it.
func heads() []promise {
	refresh := "Cache-Control: no-cache"
	return []promise{
		{"RFC 9110 §9.3.2 with the same fields and no body", shared, steps{
			get().forwarded(ok(minute, tagA, "X-A: 1").body("0123456789")),
			head().with("Content-Length: 10", tagA, "X-A: 1"),
		}},
		{"RFC 9110 §9.3.2 of a 404", shared,
			steps{get().forwarded(answers(404, minute)), head().is(404)}},
		{"RFC 9110 §9.3.2 what is not stored is asked for", shared,
			steps{head().forwarded(ok(minute, "X-A: 1").body("0123456789")).
				with("Content-Length: 10", "X-A: 1")}},
		{"RFC 9110 §9.3.2 the answer to a HEAD is none to a GET", shared,
			steps{head().forwarded(ok(minute)), get().forwarded(ok(minute)), get()}},
		{"RFC 9110 §14.2 a range is for GET", shared,
			steps{get().forwarded(ok(minute, tagA)),
				head("Range: bytes=0-1").either(ok(minute, tagA)).is(200).
					with("Content-Length: 20")}},
		{"§4.1 of the variant that it asks for", shared, steps{
			get("X-A: 1").forwarded(ok(minute, "Vary: X-A")), head("X-A: 1"),
			head("X-A: 2").forwarded(ok(minute, "Vary: X-A")),
		}},
		{"§4.3.5 one that agrees updates the fields: by ETag", shared, steps{
			get().forwarded(ok(minute, tagA, "X-A: 1")),
			head(refresh).forwarded(ok("Cache-Control: max-age=90", tagA, "X-A: 2", "X-B: 3")),
			get().soon().with("X-A: 2", "X-B: 3", "Cache-Control: max-age=90",
				"Content-Length: 20"),
		}},
		{"§4.3.5 one that agrees updates the fields: by Last-Modified", shared, steps{
			get().forwarded(ok(minute, modified, "X-A: 1")),
			head(refresh).forwarded(ok(minute, modified, "X-A: 2")), get().soon().with("X-A: 2"),
		}},
		{"§4.3.5 one that agrees updates the fields: by Content-Length", shared, steps{
			get().forwarded(ok(minute, "X-A: 1")), head(refresh).forwarded(ok(minute, "X-A: 2")),
			get().soon().with("X-A: 2"),
		}},
		{"§4.3.5 one that agrees makes it fresh again", shared, steps{
			get().forwarded(ok(short, tagA)), head(refresh).forwarded(ok(minute, tagA)),
			get().after(second),
		}},
		{"§4.3.5 one that agrees makes Age begin anew", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=3600", tagA, "Age: 1000")),
			head(refresh).forwarded(ok("Cache-Control: max-age=3600", tagA)),
			get().soon().aged(0, 20),
		}},
		{"§4.3.5 another ETag makes it stale", shared, steps{
			get().forwarded(ok(minute, tagA)), head(refresh).forwarded(ok(minute, tagB)),
			get().forwarded(ok(minute, tagB)), get().with(tagB),
		}},
		{"§4.3.5 another Last-Modified makes it stale", shared, steps{
			get().forwarded(ok(minute, modified)),
			head(refresh).forwarded(ok(minute, "Last-Modified: {start-60}")),
			get().forwarded(ok(minute)), get(),
		}},
		{"§4.3.5 another Content-Length makes it stale", shared, steps{
			get().forwarded(ok(minute)), head(refresh).forwarded(ok(minute, "Content-Length: 7")),
			get().forwarded(ok(minute)), get(),
		}},
		{"§4.3.5 another Content-Length makes it stale, whatever the ETag says", shared, steps{
			get().forwarded(ok(minute, tagA)),
			head(refresh).forwarded(ok(minute, tagA, "Content-Length: 7")),
			get().forwarded(ok(minute, tagA)), get(),
		}},
		{"§4.3.5 in a private cache", private, steps{
			get().forwarded(ok(minute, tagA)), head(refresh).forwarded(ok(minute, tagB)),
			get().forwarded(ok(minute, tagB)), get().with(tagB),
		}},
	}
}
