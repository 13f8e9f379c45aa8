package rfc

import (
	"fmt"
	"testing"
)

// Permissions of an answer to be used stale.
const (
	whileRevalidating = "Cache-Control: max-age=1, stale-while-revalidate=60"
	ifError           = "Cache-Control: max-age=1, stale-if-error=60"
)

// down is an origin that fails as a server, away one that breaks off.
func down(status int) reply { return answers(status, "Cache-Control: no-store") }

func away() reply { return hangUp(silent) }

// permissions: a stale answer is served only with permission.
func permissions() []promise {
	cases := []promise{
		{"§4.2.4 without permission: the origin's error is passed on", shared,
			steps{get().forwarded(ok(short)), get().after(second).forwarded(down(503))}},
		{"§4.2.4 without permission: the origin's new answer comes", shared,
			steps{get().forwarded(ok(short)), get().after(second).forwarded(ok(minute)), get()}},
		{"§4.2.4 without permission, on a route with a lifetime: the origin is away", lasting,
			steps{get().forwarded(ok(short)), get().after(second).forwarded(away()).fails()}},
		{"§4.2.4 without permission, in a private cache: the origin is away", private,
			steps{get().forwarded(ok(short)), get().after(second).forwarded(away()).fails()}},
		{"§4.2.4 a shared route that states nothing: the origin is away", shared, steps{
			get().forwarded(ok(short, "X-A: 1")),
			get().after(second).forwarded(away()).is(200).bodyOf(1).with("X-A: 1").aged(1, 10),
		}},
		{"§4.2.4 a shared route that states nothing: the origin breaks off within its head", shared,
			steps{
				get().forwarded(ok(short)),
				get().after(second).forwarded(hangUp(inHead)).is(200).bodyOf(1),
			}},
		{"§4.2.4 a shared route that states nothing: the origin breaks off a validation", shared,
			steps{
				get().forwarded(ok(short, tagA)),
				get().after(second).forwarded(away().to(ifA)).is(200).bodyOf(1),
			}},
		{"§4.2.4 a shared route that states nothing: a client that has it", shared, steps{
			get().forwarded(ok(short, tagA)), get(ifA).after(second).forwarded(away()).is(304),
		}},
		{"§4.2.4 a shared route that states nothing: a 404", shared, steps{
			get().forwarded(answers(404, short)),
			get().after(second).forwarded(away()).is(404).bodyOf(1),
		}},
		{"§4.2.4 a shared route that states nothing: and then the origin is there again", shared,
			steps{
				get().forwarded(ok(short)), get().after(second).forwarded(away()).is(200).bodyOf(1),
				get().forwarded(ok(minute)), get().bodyOf(3),
			}},
		{"§4.2.4 not more than an hour", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1", "Age: 3700")),
			get().forwarded(away()).fails(),
		}},
		{"§4.2.4 what never was stored is none", shared,
			steps{get().forwarded(ok("Cache-Control: no-store")), get().forwarded(away()).fails()}},
		{"§4.4 what a write made old is none", shared,
			steps{get().forwarded(ok(minute)), post().forwarded(answers(204)),
				get().forwarded(away()).fails()}},
	}
	for _, status := range []int{500, 502, 503, 504} {
		cases = append(cases,
			promise{fmt.Sprintf("§4.2.4 a shared route that states nothing: a %d is passed on",
				status), shared, steps{
				get().forwarded(ok(short)), get().after(second).forwarded(down(status)),
			}})
	}
	for _, forbidden := range []string{
		"must-revalidate, max-age=1", "proxy-revalidate, max-age=1", "s-maxage=1",
		"no-cache, max-age=1",
	} {
		cases = append(cases,
			promise{"§4.2.4 not with " + forbidden, shared, steps{
				get().forwarded(ok("Cache-Control: " + forbidden)),
				get().after(second).forwarded(away()).fails(),
			}},
			promise{"RFC 5861 §3 not behind an answer with " + forbidden, shared, steps{
				get().forwarded(ok("Cache-Control: stale-while-revalidate=60, " + forbidden)),
				get().after(second).forwarded(ok("Cache-Control: no-store")),
			}},
			promise{"RFC 5861 §4 not for an error with " + forbidden, shared, steps{
				get().forwarded(ok("Cache-Control: stale-if-error=60, " + forbidden)),
				get().after(second).forwarded(down(503)),
			}},
		)
	}
	for _, wish := range []string{"no-cache", "max-age=0", "min-fresh=1"} {
		cases = append(cases,
			promise{"§5.2.1 not to a client that says " + wish +
				": the origin is away", shared,
				steps{get().forwarded(ok(short)),
					get("Cache-Control: " + wish).after(second).forwarded(away()).fails()}},
			promise{"§5.2.1 not to a client that says " + wish + ": behind its back", shared, steps{
				get().forwarded(ok(whileRevalidating)),
				get("Cache-Control: " + wish).after(second).
					forwarded(ok("Cache-Control: no-store")),
			}},
		)
	}
	return append(cases,
		promise{"§5.2.1 not to a client that says no-cache: an error", shared,
			steps{get().forwarded(ok(ifError)),
				get("Cache-Control: no-cache").after(second).forwarded(down(503))}},
		promise{"§5.2.1.2 a client's max-stale alone brings no stale answer", shared, steps{
			get().forwarded(ok(short)),
			get("Cache-Control: max-stale").after(second).forwarded(ok("Cache-Control: no-store")),
			get("Cache-Control: max-stale=60").forwarded(ok("Cache-Control: no-store")),
		}},
	)
}

// staleAnswers: an answer says how long it may be used stale.
func staleAnswers() []promise {
	cases := []promise{
		{"RFC 5861 §3 the client does not wait, and the next gets the new answer", shared, steps{
			get().forwarded(ok(whileRevalidating)),
			get().after(second).refreshed(ok(minute, "X-A: 2")).aged(1, 10),
			get().soon().bodyOf(2).with("X-A: 2"),
		}},
		{"RFC 5861 §3 by a validation", shared, steps{
			get().forwarded(ok(whileRevalidating, tagA)),
			get().after(second).refreshed(notModified(tagA, minute, "X-A: 2").to(ifA)),
			get().soon().bodyOf(1).with("X-A: 2"),
		}},
		{"RFC 5861 §3 the origin is asked once for all that come meanwhile", shared, steps{
			get().forwarded(ok(whileRevalidating)),
			get().after(second).times(10).refreshed(ok(minute)), get().soon().bodyOf(2),
		}},
		{"RFC 5861 §3 in a private cache", private, steps{
			get().forwarded(ok(whileRevalidating)),
			get().after(second).refreshed(ok(minute).to("Authorization: Bearer reader")),
			get().soon().bodyOf(2),
		}},
		{"RFC 5861 §3 in a private cache s-maxage and proxy-revalidate say nothing", private, steps{
			get().forwarded(
				ok("Cache-Control: max-age=1, s-maxage=1, proxy-revalidate, " +
					"stale-while-revalidate=60")), get().after(second).refreshed(ok(minute)),
			get().soon().bodyOf(2),
		}},
		{"RFC 5861 §3 of the variant that was asked for", shared, steps{
			get("X-A: 1").forwarded(ok(whileRevalidating, "Vary: X-A")),
			get("X-A: 2").forwarded(ok(minute, "Vary: X-A")),
			get("X-A: 1").after(second).refreshed(ok(minute, "Vary: X-A").to("X-A: 1")).bodyOf(1),
			get("X-A: 1").soon().bodyOf(3), get("X-A: 2").bodyOf(2),
		}},
		{"RFC 5861 §3 a client's condition is not the refresh's", shared, steps{
			get().forwarded(ok(whileRevalidating, tagA)),
			get(ifA).after(second).refreshed(ok(minute, tagB)).is(304),
			get().soon().bodyOf(2).with(tagB),
		}},
		{"RFC 5861 §3 a client's HEAD is answered too", shared, steps{
			get().forwarded(ok(whileRevalidating, tagA)),
			head().after(second).refreshed(ok(minute, tagA)).perhaps().with("Content-Length: 20"),
		}},
		{"RFC 5861 §3 up to its end", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1, stale-while-revalidate=1")),
			get().after(2 * second).forwarded(ok("Cache-Control: no-store")),
		}},
		{"RFC 5861 §3 not of what a write made old", shared, steps{
			get().forwarded(ok(whileRevalidating)), post().forwarded(answers(204)),
			get().after(second).forwarded(ok(minute)), get(),
		}},
		{"RFC 5861 §3 a number that is none is no permission", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1, stale-while-revalidate=soon")),
			get().after(second).forwarded(ok("Cache-Control: no-store")),
		}},
		{"RFC 5861 §4 up to its end", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1, stale-if-error=1")),
			get().after(2 * second).forwarded(down(503)),
		}},
		{"RFC 5861 §4 an answer that is no error is passed on: 404", shared,
			steps{get().forwarded(ok(ifError)), get().after(second).forwarded(answers(404))}},
		{"RFC 5861 §4 an answer that is no error is passed on: 429", shared,
			steps{get().forwarded(ok(ifError)), get().after(second).forwarded(answers(429))}},
		{"RFC 5861 §4 the origin is away", shared,
			steps{get().forwarded(ok(ifError)),
				get().after(second).forwarded(away()).is(200).bodyOf(1)}},
		{"RFC 5861 §4 the origin is away, in a private cache", private,
			steps{get().forwarded(ok(ifError)),
				get().after(second).forwarded(away()).is(200).bodyOf(1)}},
		{"RFC 5861 §4 the origin breaks off within its head", private,
			steps{get().forwarded(ok(ifError)),
				get().after(second).forwarded(hangUp(inHead)).is(200).bodyOf(1)}},
		{"RFC 5861 §4 a validation fails", shared,
			steps{get().forwarded(ok(ifError, tagA)),
				get().after(second).forwarded(down(503).to(ifA)).is(200).bodyOf(1).with(tagA)}},
		{"RFC 5861 §4 and then the origin is there again", shared, steps{
			get().forwarded(ok(ifError)),
			get().after(second).forwarded(down(503)).is(200).bodyOf(1),
			get().forwarded(ok(minute)), get().bodyOf(3),
		}},
		{"RFC 5861 §4 the error takes nothing away", shared, steps{
			get().forwarded(ok(ifError)),
			get().after(second).forwarded(down(503)).is(200).bodyOf(1),
			get().forwarded(down(500)).is(200).bodyOf(1),
		}},
		{"RFC 5861 §4 not of what a write made old", shared,
			steps{get().forwarded(ok(ifError)), post().forwarded(answers(204)),
				get().after(second).forwarded(down(503))}},
	}
	for _, status := range []int{500, 502, 503, 504} {
		cases = append(cases, promise{fmt.Sprintf("RFC 5861 §4 a %d", status), shared, steps{
			get().forwarded(ok(ifError, "X-A: 1")),
			get().after(second).forwarded(down(status)).is(200).bodyOf(1).with("X-A: 1").aged(1,
				10),
		}})
	}
	return cases
}

// stalePolicies give the permissions that other answers have to state.
const stalePolicies = `version: 1
routes:
  - {match: GET /revalidating/, cache: {scope: shared, ttl: 1s, stale_while_revalidate: 60s}}
  - {match: GET /moment/, cache: {scope: shared, ttl: 1s, stale_while_revalidate: 1s, stale_if_error: 1s, stale_if_unreachable: 1s}}
  - {match: GET /error/, cache: {scope: shared, ttl: 1s, stale_if_error: 60s}}
  - {match: GET /unreachable/, cache: {scope: shared, ttl: 1s, stale_if_unreachable: 60s}}
  - {match: GET /own/, cache: {scope: private, ttl: 1s, stale_if_unreachable: 60s}}
  - {match: GET /never/, cache: {scope: shared, stale_if_unreachable: 0s}}
`

// APolicySaysHowLongAnAnswerMayBeUsedStale runs the table of a policy's own permissions.
func APolicySaysHowLongAnAnswerMayBeUsedStale(t *testing.T, start Start) {
	revalidating, moment, failing := route{prefix: "/revalidating"}, route{prefix: "/moment"},
		route{prefix: "/error"}
	unreachable, own, never := route{prefix: "/unreachable"}, route{"/own", private.fields},
		route{prefix: "/never"}
	cases := []promise{
		{"stale_while_revalidate: the client does not wait", revalidating,
			steps{get().forwarded(ok()), get().after(second).refreshed(ok(minute)),
				get().soon().bodyOf(2)}},
		{"stale_while_revalidate: by a validation", revalidating, steps{
			get().forwarded(ok(tagA)),
			get().after(second).refreshed(notModified(tagA, minute).to(ifA)),
			get().soon().bodyOf(1).with(minute),
		}},
		{"stale_while_revalidate: once for all that come meanwhile", revalidating,
			steps{get().forwarded(ok()), get().after(second).times(10).refreshed(ok(minute)),
				get().soon().bodyOf(2)}},
		{"stale_while_revalidate: the answer's own is obeyed", revalidating, steps{
			get().forwarded(ok("Cache-Control: max-age=1, stale-while-revalidate=0")),
			get().after(second).forwarded(ok("Cache-Control: no-store")),
		}},
		{"stale_while_revalidate: up to its end", moment,
			steps{get().forwarded(ok()), get().after(2 * second).
				forwarded(ok("Cache-Control: no-store"))}},
		{"stale_if_error: the answer's own is obeyed", failing,
			steps{get().forwarded(ok("Cache-Control: max-age=1, stale-if-error=0")),
				get().after(second).forwarded(down(503))}},
		{"stale_if_error: a 404 is no error", failing,
			steps{get().forwarded(ok()), get().after(second).forwarded(answers(404))}},
		{"stale_if_error: up to its end", moment,
			steps{get().forwarded(ok()), get().after(2 * second).forwarded(down(503))}},
		{"stale_if_error: up to its end, of what was a second old", moment,
			steps{get().forwarded(ok("Date: {now-1}")),
				get().after(2 * second).forwarded(down(503))}},
		{"stale_if_unreachable: before the head", unreachable,
			steps{get().forwarded(ok()), get().after(second).forwarded(away()).is(200).bodyOf(1)}},
		{"stale_if_unreachable: within the head", unreachable,
			steps{get().forwarded(ok()), get().after(second).forwarded(hangUp(inHead)).
				is(200).bodyOf(1)}},
		{"stale_if_unreachable: in a private cache", own,
			steps{get().forwarded(ok()), get().after(second).forwarded(away()).is(200).bodyOf(1)}},
		{"stale_if_unreachable: an error is an answer", unreachable,
			steps{get().forwarded(ok()), get().after(second).forwarded(down(503))}},
		{"stale_if_unreachable: up to its end", moment,
			steps{get().forwarded(ok()), get().after(2 * second).forwarded(away()).fails()}},
		{"stale_if_unreachable: none where the policy says so", never,
			steps{get().forwarded(ok(short)), get().after(second).forwarded(away()).fails()}},
		{"stale_if_unreachable: never what a write made old", unreachable,
			steps{get().forwarded(ok(minute)), post().forwarded(answers(204)),
				get().forwarded(away()).fails()}},
	}
	for _, status := range []int{500, 502, 503, 504} {
		cases = append(cases, promise{
			fmt.Sprintf("stale_if_error: a %d", status), failing,
			steps{get().forwarded(ok()), get().after(second).forwarded(down(status)).
				is(200).bodyOf(1)},
		})
	}
	for _, forbidden := range []string{
		"must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1",
	} {
		control := "Cache-Control: max-age=1, " + forbidden
		cases = append(cases,
			promise{"stale_while_revalidate: not with " +
				forbidden, revalidating, steps{
				get().forwarded(ok(control)),
				get().after(second).forwarded(ok("Cache-Control: no-store")),
			}},
			promise{"stale_if_error: not with " +
				forbidden, failing,
				steps{get().forwarded(ok(control)), get().after(second).forwarded(down(503))}},
			promise{"stale_if_unreachable: not with " +
				forbidden, unreachable, steps{
				get().forwarded(ok(control)), get().after(second).forwarded(away()).fails(),
			}},
		)
	}
	keep(t, start, stalePolicies, cases...)
}
