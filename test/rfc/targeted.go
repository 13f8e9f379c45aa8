package rfc

import "testing"

// targeted: a field for this cache wins as RFC 9213 says.
func targeted() []promise {
	const cdn, own = "CDN-Cache-Control: ", "Sidecar-Cache-Control: "
	const none = "Cache-Control: no-store"
	return []promise{
		fresh("RFC 9213 §2.2 it wins over no-store", shared, none, cdn+"max-age=60"),
		fresh("RFC 9213 §2.2 it wins over private", shared, "Cache-Control: private",
			cdn+"max-age=60"),
		fresh("RFC 9213 §2.2 it wins over a lifetime that is over", shared,
			"Cache-Control: max-age=0", cdn+"max-age=60"),
		fresh("RFC 9213 §2.2 it wins over Expires", shared, "Expires: 0", cdn+"max-age=60"),
		stale("RFC 9213 §2.2 it wins over max-age", shared, minute, cdn+"max-age=0"),
		{"RFC 9213 §2.2 its no-store", shared, neverReused(ok(minute, cdn+"no-store"))},
		{"RFC 9213 §2.2 its private", shared, neverReused(ok(minute, cdn+"private, max-age=60"))},
		stale("RFC 9213 §2.2 Expires does not stand in for what it does not say", shared,
			"Expires: {now+60}", cdn+"max-age=0"),
		fresh("RFC 9213 §2.2 its s-maxage", shared, none, cdn+"s-maxage=60, max-age=0"),
		{"RFC 9213 §2.2 its no-cache", shared, steps{
			get().forwarded(ok(minute, cdn+"no-cache", tagA)),
			get().forwarded(notModified(tagA).to(ifA)), get().forwarded(notModified(tagA).to(ifA)),
		}},
		{"RFC 9213 §2.2 its must-revalidate", shared, steps{
			get().forwarded(ok(short, cdn+"max-age=1, must-revalidate")),
			get().after(second).forwarded(away()).fails(),
		}},
		{"RFC 9213 §2.2 its stale-if-error", shared, steps{
			get().forwarded(ok(short, cdn+"max-age=1, stale-if-error=60")),
			get().after(second).forwarded(down(503)).is(200).bodyOf(1),
		}},
		{"RFC 9213 §2.2 its public", shared, steps{
			get("Authorization: Bearer reader").forwarded(ok(none, cdn+"public, max-age=60")),
			get("Authorization: Bearer reader"),
		}},
		{"RFC 9213 §2.2 Cache-Control's public does not count beside it", shared, steps{
			get("Authorization: Bearer reader").
				forwarded(ok("Cache-Control: public", cdn+"max-age=60")),
			get("Authorization: Bearer reader").forwarded(ok(none)),
		}},
		fresh("RFC 9213 §2.1 a directive that nobody knows", shared, none,
			cdn+`x=y, max-age=60, z="a, b", w=?0`),
		fresh("RFC 9213 §2.1 parameters", shared, none, cdn+"max-age=60;a=b"),
		fresh("RFC 9213 §2.1 two lines", shared, none, cdn+"public", cdn+"max-age=60"),
		fresh("RFC 9213 §2.1 of a key that comes twice the last counts", shared, none,
			cdn+"max-age=0, max-age=60"),
		fresh("RFC 9213 §2.2 what is empty is ignored", shared, minute, cdn),
		fresh("RFC 9213 §2.2 what is no dictionary is ignored: upper case", shared,
			minute, cdn+"MAX-AGE=0"),
		fresh("RFC 9213 §2.2 what is no dictionary is ignored: white space", shared, minute,
			cdn+"max-age = 0"),
		fresh("RFC 9213 §2.2 what is no dictionary is ignored: an empty element", shared, minute,
			cdn+"no-store,,max-age=0"),
		fresh("RFC 9213 §2.2 what is no dictionary is ignored: an open string", shared, minute,
			cdn+`no-store, x="`),
		fresh("RFC 9213 §2.2 what is no dictionary is ignored: a comma at the end", shared,
			minute, cdn+"no-store,"),
		stale("RFC 9213 §2.2 what is no dictionary does not help", shared,
			"Cache-Control: max-age=0", cdn+"max-age=60,"),
		fresh("RFC 9213 §2.2 the nearer one wins: longer", shared, none, cdn+"no-store",
			own+"max-age=60"),
		stale("RFC 9213 §2.2 the nearer one wins: shorter", shared, minute,
			cdn+"max-age=60", own+"max-age=0"),
		fresh("RFC 9213 §2.2 if the nearer one is invalid the next counts", shared, none,
			cdn+"max-age=60", own+"max-age=,"),
		fresh("RFC 9213 §2.2 if the nearer one is empty the next counts", shared, none,
			cdn+"max-age=60", own),
		fresh("RFC 9213 §2 one for others says nothing", shared, minute,
			"Example-Cache-Control: no-store", "Surrogate-Control: no-store"),
		{"RFC 9213 §2 it is passed on", shared, steps{
			get().forwarded(ok(none, cdn+"max-age=60")).with(none, cdn+"max-age=60"),
			get().with(none, cdn+"max-age=60"),
		}},
	}
}

// cacheStatus: Cache-Status follows RFC 9211.
func cacheStatus() []promise {
	const up = `Cache-Status: Upstream; fwd=uri-miss, "Another One"; hit`
	return []promise{
		{"RFC 9211 §2.1 a hit", shared,
			steps{get().forwarded(ok(minute)).saying("fwd=uri-miss", "stored"),
				get().saying("hit", "ttl=")}},
		{"RFC 9211 §2.2 a method", shared, steps{post().forwarded(ok()).saying("fwd=method")}},
		{"RFC 9211 §2.2 another variant", shared, steps{
			get("X-A: 1").forwarded(ok(minute, "Vary: X-A")),
			get("X-A: 2").forwarded(ok(minute, "Vary: X-A")).saying("fwd=vary-miss", "stored"),
		}},
		{"RFC 9211 §2.2 the client's wish", shared,
			steps{get().forwarded(ok(minute)),
				get("Cache-Control: no-cache").forwarded(ok(minute)).saying("fwd=request")}},
		{"RFC 9211 §2.2 what is stale", shared,
			steps{get().forwarded(ok(short, tagA)),
				get().after(second).forwarded(ok(minute)).saying("fwd=stale")}},
		{"RFC 9211 §2.3 a validation's own status", shared, steps{
			get().forwarded(ok(short, tagA)),
			get().after(second).forwarded(notModified(tagA)).saying("fwd=stale", "fwd-status=304"),
		}},
		{"RFC 9211 §2.4 the lifetime of a stale answer is below nothing", shared, steps{
			get().forwarded(ok(whileRevalidating)),
			get().after(second).refreshed(ok(minute)).saying("hit", "ttl=-"),
		}},
		{"RFC 9211 §2 what came from upstream stands before", shared, steps{
			get().forwarded(ok(up)).with(up + ", sidecar; fwd=…"),
		}},
		{"RFC 9211 §2 what came from upstream stands before, also with a write", shared, steps{
			post().forwarded(ok(up)).with(up + ", sidecar; fwd=…"),
		}},
		{"RFC 9211 §2 errors of our own have one", shared,
			steps{get().forwarded(away()).fails().with("Cache-Status: sidecar…")}},
	}
}

// immutable: immutable is obeyed as RFC 8246 says.
func immutable() []promise {
	return []promise{
		{"RFC 8246 §2 it is reused, and says so", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=60, immutable", tagA)),
			get().with("Cache-Control: max-age=60, immutable"),
		}},
		{"RFC 8246 §2 it makes nothing fresh", shared, neverReused(ok("Cache-Control: immutable"))},
		{"RFC 8246 §2 when its lifetime is over it is stale", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1, immutable")),
			get().after(second).forwarded(ok("Cache-Control: no-store")),
		}},
		{"RFC 8246 §2 a validation is one all the same", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1, immutable", tagA)),
			get().after(second).forwarded(
				notModified(tagA, "Cache-Control: max-age=60, immutable").to(ifA)), get(),
		}},
		{"RFC 8246 §2.1 no-store wins", shared,
			neverReused(ok("Cache-Control: immutable, no-store, max-age=60"))},
		stale("RFC 8246 §2 a lifetime of nothing", shared, "Cache-Control: max-age=0, immutable"),
	}
}

// AGroupIsInvalidatedTogether runs the table of RFC 9875, one case after another.
func AGroupIsInvalidatedTogether(t *testing.T, start Start) {
	// ends is the case of a write whose answer has these fields and ends the entry with the first
	// ones, at another path.
	ends := func(name, groups, method string, answer reply) promise {
		return promise{name, shared, steps{
			get().at("/a").forwarded(ok(minute, "Cache-Groups: "+groups)),
			request(method).at("/w").forwarded(answer), get().at("/a").forwarded(ok(minute)),
		}}
	}
	keeps := func(name, groups, method string, answer reply) promise {
		return promise{name, shared, steps{
			get().at("/a").forwarded(ok(minute, "Cache-Groups: "+groups)),
			request(method).at("/w").forwarded(answer), get().at("/a").bodyOf(1),
		}}
	}
	const all = `Cache-Group-Invalidation: `
	// While groups are invalidated, an answer that names groups need not be stored.
	keepInTurn(t, start, rfcPolicies,
		ends("RFC 9875 §3 what a POST names", `"{path}"`, "POST", ok(all+`"{path}"`)),
		ends("RFC 9875 §3 what a DELETE names", `"{path}"`, "DELETE", answers(204, all+`"{path}"`)),
		ends("RFC 9875 §2 one of several", `"{path}x", "{path}"`, "POST",
			ok(all+`"{path}y", "{path}"`)),
		ends("RFC 9875 §2 in two lines", `"{path}"`, "POST", ok(all+`"{path}x"`, all+`"{path}"`)),
		ends("RFC 9875 §2 with parameters that nobody knows", `"{path}";a=1`, "POST",
			ok(all+`"{path}";b="c"`)),
		keeps("RFC 9875 §2 another group", `"{path}"`, "POST", ok(all+`"{path}x"`)),
		keeps("RFC 9875 §2.1 names are compared as they are", `"{path}a"`, "POST",
			ok(all+`"{path}A"`)),
		keeps("RFC 9875 §3 not what the answer to a GET names", `"{path}"`, "GET",
			ok(all+`"{path}"`)),
		keeps("RFC 9875 §3 not what the answer to a HEAD names", `"{path}"`, "HEAD",
			ok(all+`"{path}"`)),
		keeps("RFC 9875 §2 not a list that is none", `"{path}"`, "POST", ok(all+`"{path}",`)),
		promise{"RFC 9875 §2.1 another origin has other groups", shared, steps{
			get("Host: one.example").forwarded(ok(minute, `Cache-Groups: "{path}"`)),
			post("Host: two.example").at("/w").forwarded(ok(all + `"{path}"`)),
			get("Host: one.example").bodyOf(1),
		}},
		promise{"RFC 9875 §2 all of a group", shared, steps{
			get().at("/a").forwarded(ok(minute, `Cache-Groups: "{path}"`)),
			get().at("/b").forwarded(ok(minute, `Cache-Groups: "{path}", "x"`)),
			post().at("/w").forwarded(ok(all + `"{path}"`)),
			get().at("/a").forwarded(ok(minute)), get().at("/b").forwarded(ok(minute)),
		}},
	)
}

// queries: a query is compared as No-Vary-Search says.
func queries() []promise {
	// same are the cases of queries that one answer serves, other those that it does not.
	same := func(name, search, first string, others ...string) promise {
		s := steps{get().at(first).forwarded(ok(minute, "No-Vary-Search: "+search))}
		for _, q := range others {
			s = append(s, get().at(q).bodyOf(1))
		}
		return promise{"No-Vary-Search " + name, shared, s}
	}
	other := func(name, search, first string, others ...string) promise {
		s := steps{get().at(first).forwarded(ok(minute, "No-Vary-Search: "+search))}
		for _, q := range others {
			s = append(s, get().at(q).forwarded(ok("Cache-Control: no-store")))
		}
		return promise{"No-Vary-Search " + name, shared, append(s, get().at(first).bodyOf(1))}
	}
	return []promise{
		same("params of a list", `params=("utm")`, "?id=1&utm=a", "?id=1&utm=b", "?utm=c&id=1",
			"?id=1", "?id=1&utm=a&utm=b"),
		other("params of a list: what is not in it", `params=("utm")`, "?id=1&utm=a", "?id=2&utm=a",
			"?utm=a", "?id=1&utm=a&x=1"),
		same("params of several", `params=("utm" "gclid")`, "?id=1",
			"?id=1&utm=b&gclid=c", "?gclid=d&id=1"),
		same("params", "params", "?a=1", "?b=2", "?a=2&c=3", ""),
		same("params=?1", "params=?1", "?a=1", "?b=2", ""),
		same("except", `params, except=("id")`, "?id=1&a=1", "?id=1", "?b=2&id=1&c=3"),
		other("except: what is in it", `params, except=("id")`, "?id=1&a=1", "?id=2&a=1",
			"?a=1", "?id=1&id=1"),
		same("key-order", "key-order", "?b=2&a=1", "?a=1&b=2"),
		other("key-order: equal names keep theirs", "key-order", "?a=1&a=2", "?a=2&a=1"),
		other("key-order: another value", "key-order", "?a=1&b=2", "?b=1&a=2", "?a=1"),
		same("key-order and params", `key-order, params=("utm")`, "?b=2&a=1&utm=x",
			"?utm=y&a=1&b=2"),
		same("a name that is escaped in the query", `params=("a b")`, "?id=1&a%20b=1",
			"?id=1&a+b=2", "?id=1"),
		other("params=?0", "params=?0", "?a=1", "?a=2", ""),
		other("an empty list", "params=()", "?a=1", "?a=2"),
		other("what is no dictionary is ignored", `params=("utm"`, "?utm=1", "?utm=2"),
		other("a number is ignored", "params=1", "?a=1", "?a=2"),
		other("a token is ignored", "params=utm", "?utm=1", "?utm=2"),
		other("a list of tokens is ignored", "params=(utm)", "?utm=1", "?utm=2"),
		other("key-order that is no boolean spoils all of it", `key-order="x", params=("utm")`,
			"?utm=1", "?utm=2"),
		other("except that is no list spoils all of it", `params, except="id"`,
			"?id=1&a=1", "?id=1&a=2"),
		other("another path", "params", "/a?x=1", "/b?x=1"),
		{"No-Vary-Search in a private cache", private, steps{
			get().at("?id=1&utm=a").forwarded(ok(minute, `No-Vary-Search: params=("utm")`)),
			get().at("?id=1&utm=b"),
			get("Authorization: Bearer other").at("?id=1&utm=b").forwarded(ok(minute)),
		}},
		{"No-Vary-Search and Vary both", shared, steps{
			get("X-A: 1").at("?utm=a").forwarded(ok(minute, `No-Vary-Search: params=("utm")`,
				"Vary: X-A")), get("X-A: 1").at("?utm=b"),
			get("X-A: 2").at("?utm=b").forwarded(ok(minute, `No-Vary-Search: params=("utm")`,
				"Vary: X-A")), get("X-A: 1").at("?utm=c").bodyOf(1),
			get("X-A: 2").at("?utm=c").bodyOf(3),
		}},
		{"No-Vary-Search and a write to the same path and query", shared, steps{
			get().at("?id=1&utm=a").forwarded(ok(minute, `No-Vary-Search: params=("utm")`)),
			post().at("?id=1&utm=a").forwarded(answers(204)),
			get().at("?id=1&utm=a").forwarded(ok(minute, `No-Vary-Search: params=("utm")`)),
			get().at("?id=1&utm=b").bodyOf(3),
		}},
	}
}
