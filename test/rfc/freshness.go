package rfc

import (
	"fmt"
	"strings"
	"time"
)

// fresh and stale are the cases of an answer with these fields that serves the next request, and
// that does not.
func fresh(name string, on route, fields ...string) promise {
	return promise{name, on, reused(ok(fields...))}
}

func stale(name string, on route, fields ...string) promise {
	return promise{
		name, on, steps{
			get().forwarded(ok(fields...)), get().forwarded(ok("Cache-Control: no-store")),
			get().forwarded(ok("Cache-Control: no-store")),
		},
	}
}

// lifetimes: a lifetime is read as RFC 9111 §4.2.1 says.
func lifetimes() []promise {
	return []promise{
		{"§4.2 an answer is fresh until its max-age is over", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=2")), get(),
			get().after(2 * second).forwarded(ok(minute)), get(),
		}},
		{"§4.2 an answer is fresh until its s-maxage is over", shared, steps{
			get().forwarded(ok("Cache-Control: s-maxage=2, max-age=60")), get(),
			get().after(2 * second).forwarded(ok(minute)), get(),
		}},
		{"§4.2 an answer is fresh until Expires", shared, steps{
			get().forwarded(ok("Expires: {now+3}")), get(),
			get().after(3 * second).forwarded(ok(minute)), get(),
		}},
		{"§4.2 the client and every later one get the new answer", shared, steps{
			get().forwarded(ok("Cache-Control: max-age=1")),
			get().after(second).forwarded(ok("Cache-Control: max-age=60", "X-New: 1")),
			get().with("X-New: 1"), get().with("X-New: 1"),
		}},

		fresh("§4.2.1 s-maxage wins over max-age: longer", shared,
			"Cache-Control: max-age=0, s-maxage=60"),
		stale("§4.2.1 s-maxage wins over max-age: shorter", shared,
			"Cache-Control: max-age=60, s-maxage=0"),
		fresh("§4.2.1 s-maxage wins over Expires", shared,
			"Cache-Control: s-maxage=60", "Expires: 0"),
		fresh("§4.2.1 max-age wins over Expires: longer", shared, minute, "Expires: {now-60}"),
		stale("§4.2.1 max-age wins over Expires: shorter", shared, "Cache-Control: max-age=0",
			"Expires: {now+60}"),
		fresh("§5.2.2.10 s-maxage is nothing to a private cache: shorter", private,
			"Cache-Control: max-age=60, s-maxage=0"),
		stale("§5.2.2.10 s-maxage is nothing to a private cache: longer", private,
			"Cache-Control: max-age=0, s-maxage=60"),
		fresh("§4.2.1 Expires in a private cache", private, "Expires: {now+60}"),
		stale("§4.2.1 the answer's lifetime wins over the policy's", lasting,
			"Cache-Control: max-age=0"),
		stale("§4.2.1 Expires wins over the policy's lifetime", lasting, "Expires: 0"),

		stale("§5.2.2.1 max-age=0", shared, "Cache-Control: max-age=0"),
		fresh("§5.2 directives in two lines", shared, "Cache-Control: public", minute),
		fresh("§5.2 directives are case-insensitive", shared, "Cache-Control: Max-Age=60"),
		fresh("§5.2 empty elements", shared, "Cache-Control: , ,max-age=60, "),
		fresh("§5.2 a directive that nobody knows", shared,
			`Cache-Control: community="UCI, x", max-age=60, y=z`),
		fresh("§5.2 leading zeros", shared, "Cache-Control: max-age=0060"),
		fresh("§5.2 a quoted argument", shared, `Cache-Control: max-age="60"`),
		stale("§5.2 max-age within a quoted string is none", shared,
			`Cache-Control: x="max-age=60"`),
		stale("§5.2 max-age within the name of another is none", shared,
			"Cache-Control: x-max-age=60, max-age-x=60"),
		stale("§4.2.1 a negative max-age", shared, "Cache-Control: max-age=-60"),
		stale("§4.2.1 max-age with a fraction", shared, "Cache-Control: max-age=60.5"),
		stale("§4.2.1 max-age with a unit", shared, "Cache-Control: max-age=60s"),
		stale("§4.2.1 max-age in letters", shared, "Cache-Control: max-age=soon"),
		stale("§4.2.1 max-age with a sign", shared, "Cache-Control: max-age=+60"),
		stale("§4.2.1 max-age in hexadecimal", shared, "Cache-Control: max-age=0x60"),
		stale("§4.2.1 max-age without an argument", shared, "Cache-Control: max-age"),
		stale("§4.2.1 max-age with an empty argument", shared, "Cache-Control: max-age="),
		stale("§4.2.1 white space around the equals sign", shared, "Cache-Control: max-age = 60"),
		stale("§4.2.1 white space behind the equals sign", shared, "Cache-Control: max-age= 60"),
		stale("§4.2.1 two numbers", shared, "Cache-Control: max-age=60 60"),
		stale("§4.2.1 max-age twice, the first over", shared,
			"Cache-Control: max-age=0, max-age=60"),
		stale("§4.2.1 max-age in two lines, the first over", shared,
			"Cache-Control: max-age=0", minute),
		stale("§4.2.1 s-maxage twice, the first over", shared,
			"Cache-Control: s-maxage=0, s-maxage=60"),
		fresh("§1.2.2 a lifetime beyond 31 bits", shared, "Cache-Control: max-age=2147483648"),
		fresh("§1.2.2 a lifetime beyond 32 bits", shared, "Cache-Control: max-age=4294967296"),
		fresh("§1.2.2 a lifetime beyond 64 bits", shared,
			"Cache-Control: max-age=99999999999999999999999"),
		fresh("§1.2.2 s-maxage beyond 64 bits", shared,
			"Cache-Control: s-maxage=18446744073709551617"),
	}
}

// ages: age is counted as RFC 9111 §4.2.3 says.
func ages() []promise {
	aged := func(name string, least, below int, fields ...string) promise {
		return promise{
			name, shared, steps{get().forwarded(ok(fields...)), get().aged(least, below)},
		}
	}
	const hour = "Cache-Control: max-age=3600"
	return []promise{
		aged("§5.1 Age begins at nothing", 0, 10, hour),
		{"§5.1 Age grows", shared,
			steps{get().forwarded(ok(hour)), get().aged(0, 10), get().after(second).aged(1, 10)}},
		aged("§4.2.3 Age of an answer that was old", 100, 110, hour, "Age: 100"),
		stale("§4.2.3 what has come with all its age is stale", shared, minute, "Age: 60"),
		{"§4.2.3 the rest of a lifetime", shared,
			steps{get().forwarded(ok(minute, "Age: 58")), get().aged(58, 60),
				get().after(2 * second).forwarded(ok())}},
		stale("§4.2.3 Age counts against s-maxage", shared,
			"Cache-Control: s-maxage=60", "Age: 61"),
		stale("§4.2.3 Age counts against Expires", shared, "Expires: {now+60}", "Age: 61"),
		stale("§4.2.3 Age counts in a private cache", private, minute, "Age: 61"),
		stale("§4.2.3 Age counts against the policy's lifetime", lasting, "Age: 3601"),
		aged("§5.1 an Age that is no number is ignored", 0, 10, hour, "Age: old"),
		aged("§5.1 a negative Age is ignored", 0, 10, hour, "Age: -7200"),
		aged("§5.1 an Age with a fraction is ignored", 0, 10, hour, "Age: 7200.5"),
		aged("§5.1 an empty Age is ignored", 0, 10, hour, "Age: "),
		aged("§5.1 of several ages the first counts", 10, 20, hour, "Age: 10, 7200"),
		aged("§5.1 of several lines of Age the first counts", 10, 20, hour, "Age: 10", "Age: 7200"),
		stale("§5.1 of several ages the first counts, also if it is the greater", shared,
			hour, "Age: 7200, 10"),
		stale("§1.2.2 an Age beyond 31 bits", shared, hour, "Age: 2147483648"),
		stale("§1.2.2 an Age beyond 64 bits", shared, hour, "Age: 99999999999999999999999"),
		stale("§1.2.2 an Age beyond 64 bits is not less than any lifetime", shared,
			"Cache-Control: max-age=2147483000", "Age: 18446744073709551617"),
		aged("§4.2.3 the apparent age of an old Date", 100, 110, hour, "Date: {now-100}"),
		stale("§4.2.3 a Date before the whole lifetime", shared, hour, "Date: {now-3601}"),
		aged("§4.2.3 of Age and apparent age the greater: Age", 200, 210, hour,
			"Date: {now-100}", "Age: 200"),
		aged("§4.2.3 of Age and apparent age the greater: apparent age", 200, 210, hour,
			"Date: {now-200}", "Age: 100"),
		aged("§4.2.3 a Date to come makes nothing younger", 0, 10, hour, "Date: {now+100}"),
		aged("§4.2.3 an Age is not made up for by a Date to come", 50, 60, hour,
			"Date: {now+100}", "Age: 50"),
		aged("§4.2.3 without Date", 0, 10, hour, "Date:"),
		fresh("§4.2.1 Expires without Date", shared, "Expires: {now+60}", "Date:"),
		stale("§4.2.1 Expires is counted from Date, and the time since then is age", shared,
			"Date: {now-3600}", "Expires: {now-60}"),
		fresh("§4.2.1 Expires is counted from Date: the origin's clock is ahead", shared,
			"Date: {now+3600}", "Expires: {now+3660}"),
		stale("§4.2.1 Expires is counted from Date: nothing is left", shared, "Date: {now+3600}",
			"Expires: {now+60}"),
	}
}

// dates: dates are read as RFC 9110 §5.6.7 says.
func dates() []promise {
	soon := time.Now().UTC().Add(time.Hour)
	// A year ahead, on a day and at an hour of one digit.
	early := time.Date(soon.Year()+1, time.March, 5, 3, 4, 5, 0, time.UTC)
	day := early.Format("Mon")
	expires := func(layout string, at time.Time) string { return "Expires: " + at.Format(layout) }
	const imf = "Mon, 02 Jan 2006 15:04:05 GMT"
	cases := []promise{
		fresh("IMF-fixdate", shared, expires(imf, soon)),
		fresh("RFC 850", shared, expires("Monday, 02-Jan-06 15:04:05 GMT", soon)),
		fresh("asctime", shared, expires("Mon Jan _2 15:04:05 2006", soon)),
		fresh("asctime with a day of one digit", shared,
			expires("Mon Jan _2 15:04:05 2006", early)),
		fresh("IMF-fixdate of days and hours of one digit", shared, expires(imf, early)),
		fresh("§4.2 in lower case", shared, "Expires: "+strings.ToLower(soon.Format(imf))),
		fresh("§4.2 in upper case", shared, "Expires: "+strings.ToUpper(soon.Format(imf))),
		stale("IMF-fixdate in the past", shared, "Expires: {now-1}"),
		stale("RFC 850 in the past", shared,
			expires("Monday, 02-Jan-06 15:04:05 GMT", soon.Add(-2*time.Hour))),
		stale("RFC 850: more than 50 years ahead is in the past", shared,
			expires("Monday, 02-Jan-06 15:04:05 GMT", soon.AddDate(60, 0, 0))),
		stale("§5.3 nothing", shared, "Expires: "),
		stale("§5.3 Expires in two lines, the first over", shared, "Expires: {now-60}",
			"Expires: {now+60}"),
	}
	for _, wrong := range []string{
		"0", "-1", "now", "3600",
		soon.Format("Mon, 02 Jan 2006 15:04:05"), soon.Format("Mon, 02 Jan 2006 15:04:05 UTC"),
		soon.Format("Mon, 02 Jan 2006 15:04:05 PST"),
		soon.Format("Mon, 02 Jan 2006 15:04:05 +0000"), soon.Format("Mon, 02 Jan 2006 15:04:05 Z"),
		soon.Format("Mon, 02 Jan 2006 15:04:05 GMT+1"),
		soon.Format("Mon, 02 Jan 06 15:04:05 GMT"), early.Format("Mon, 2 Jan 2006 15:04:05 GMT"),
		day + early.Format(", 05 Mar 2006 ") + "3:04:05 GMT",
		day + early.Format(", 05 Mar 2006 ") + "03:4:05 GMT",
		day + early.Format(", 05 Mar 2006 ") + "03:04:5 GMT",
		soon.Format("02 Jan 2006 15:04:05 GMT"), soon.Format("Mon 02 Jan 2006 15:04:05 GMT"),
		soon.Format("Mon, 02-Jan-2006 15:04:05 GMT"),
		soon.Format("Monday, 02 Jan 2006 15:04:05 GMT"),
		soon.Format("Mon, 02 January 2006 15:04:05 GMT"),
		soon.Format("Mon, 02  Jan 2006 15:04:05 GMT"),
		soon.Format("Mon, 02 Jan 2006 15.04.05 GMT"), soon.Format("Mon, 02 Jan 2006 15:04 GMT"),
		soon.Format("Mon, 02 Jan 2006 03:04:05 PM GMT"),
		soon.Format("2006-01-02T15:04:05Z"), soon.Format("Mon, 02 Jan 2006 15:04:05 GMT") + ", x",
		soon.Format("Mon, 02 Jan 2006 24:61:61 GMT"),
		soon.Format("Mon, 32 Jan 2006 15:04:05 GMT"), fmt.Sprint(soon.Unix()),
		soon.Format("Monday, 02-Jan-2006 15:04:05 GMT"),
		soon.Format("Monday, 02-Jan-06 15:04:05 EST"),
	} {
		cases = append(cases,
			stale(fmt.Sprintf("§5.3 %q is in the past", wrong), shared, "Expires: "+wrong))
	}
	return cases
}

// guesses: a lifetime is guessed only where RFC 9111 §4.2.2 allows it.
func guesses() []promise {
	const old = "Last-Modified: {now-864000}"
	var cases []promise
	for _, status := range []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501} {
		cases = append(cases,
			promise{fmt.Sprintf("§4.2.2 %d", status), shared, reused(answers(status, old))})
	}
	for _, status := range []int{
		201, 202, 299, 302, 303, 307, 400, 403, 409, 499, 500, 502, 503, 504, 599,
	} {
		cases = append(cases, promise{
			fmt.Sprintf("§4.2.2 not %d", status), shared, neverReused(answers(status, old)),
		})
	}
	cases = append(cases,
		fresh("§4.2.2 in a private cache", private, old),
		promise{"§4.2.2 with a query", shared,
			steps{get().at("?a=1").forwarded(ok(old)), get().at("?a=1")}},
		stale("§4.2.2 not without Last-Modified", shared, `ETag: "a"`),
		stale("§4.2.2 not where Last-Modified is no date", shared, "Last-Modified: long ago"),
		stale("§4.2.2 not beyond what was guessed", shared, old, "Age: 100000"),
		stale("§4.2.2 not where Expires says otherwise", shared, old, "Expires: {now-1}"),
		stale("§4.2.2 not where Expires is invalid", shared, old, "Expires: 0"),
		stale("§4.2.2 not where max-age says otherwise", shared, old, "Cache-Control: max-age=0"),
		stale("§4.2.2 not where s-maxage says otherwise", shared, old, "Cache-Control: s-maxage=0"),
		fresh("§4.2.2 where s-maxage says otherwise to others", private, old,
			"Cache-Control: s-maxage=0"),
		promise{"§4.2.2 not with a request's Authorization", shared, steps{
			get("Authorization: Bearer a").forwarded(ok(old)),
			get("Authorization: Bearer a").forwarded(ok(old)),
		}},
	)
	return cases
}
