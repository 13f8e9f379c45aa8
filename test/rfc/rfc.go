// Package rfc has the caching RFCs as tables, for a sidecar that its caller starts: in this
// process, or as a program.
//
// A case is named by its section. It is a list of steps, each one request of a client, with the
// origin's answer if it is asked and the answer that the client has to get:
//
//	{"§4.3.1 a stale answer is validated by its ETag", shared, steps{
//		get().forwarded(ok("Cache-Control: max-age=1", `ETag: "a"`)),
//		get().after(second).forwarded(notModified(`ETag: "a"`).to(`If-None-Match: "a"`)),
//	}},
//
// A step that does not say forwarded must not reach the origin. Where an RFC leaves a choice and
// docs/http-caching.md makes none, either allows both. All cases of a table run at once against
// one sidecar, each on a path of its own.
package rfc

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"sidecar/test/origin"
)

// Start starts a sidecar with a Redis, these policies and these variables before the backend. It
// returns the sidecar's base URL when it caches. The sidecar is stopped when the test ends.
type Start func(t *testing.T, backend, policies string, env ...string) (url string)

// Rows says which cases of a table run.
type Rows int

// All runs every case, FirstOfEach the first one of each theme.
const (
	All Rows = iota
	FirstOfEach
)

// client asks for nothing by itself: no compression, no redirects, no proxy.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       60 * time.Second,
}

// A route is a policy under test: the prefix that its cases have and the request fields that all of
// them send.
type route struct {
	prefix string
	fields []string
}

// The routes of rfcPolicies.
var (
	// the shared cache of RFC 9111, with no word of the policy's own
	shared = route{prefix: "/shared"}
	// the private one
	private = route{prefix: "/private", fields: []string{"Authorization: Bearer reader"}}
	// the private route without credentials
	anyone = route{prefix: "/private"}
	// a lifetime from the policy where the answer states none
	lasting = route{prefix: "/lasting"}
)

const rfcPolicies = `version: 1
routes:
  - {match: GET /shared/, cache: {scope: shared, set_cookie: store}}
  - {match: GET /private/, cache: {scope: private, set_cookie: store}}
  - {match: GET /lasting/, cache: {scope: shared, ttl: 1h}}
`

// second is the lifetime of an answer that has to be stale soon.
const second = time.Second

// past is how long after the end of a lifetime an answer is certainly stale.
const past = 100 * time.Millisecond

// A promise is one case.
type promise struct {
	name  string
	on    route
	steps steps
}

// A theme is a table of cases that keep one promise.
type theme struct {
	name     string
	promises func() []promise
}

// themes are those that one sidecar keeps with rfcPolicies.
var themes = []theme{
	{"what is stored is what RFC 9111 §3 allows", whatIsStored},
	{"what a request with credentials brought is shared only where it says so",
		whatCredentialsBrought},
	{"the fields of a stored answer are those that it came with", storedFields},
	{"a body is stored whole or not at all", storedBodies},
	{"what was fetched is there for the next request", fills},
	{"a lifetime is read as RFC 9111 §4.2.1 says", lifetimes},
	{"age is counted as RFC 9111 §4.2.3 says", ages},
	{"dates are read as RFC 9110 §5.6.7 says", dates},
	{"a lifetime is guessed only where RFC 9111 §4.2.2 allows it", guesses},
	{"a stale answer is validated as RFC 9111 §4.3 says", validations},
	{"a 304 updates what is stored as RFC 9111 §3.2 says", updates},
	{"what says no-cache is validated on every use", noCache},
	{"a client's condition is answered from the store", conditions},
	{"a HEAD is answered from a stored GET, and updates it", heads},
	{"a variant is reused as RFC 9111 §4.1 says", variants},
	{"a stale answer is served only with permission", permissions},
	{"an answer says how long it may be used stale", staleAnswers},
	{"a write invalidates as RFC 9111 §4.4 says", invalidations},
	{"a client's directives are obeyed as RFC 9111 §5.2.1 says", requestDirectives},
	{"a field for this cache wins as RFC 9213 says", targeted},
	{"Cache-Status says what happened as RFC 9211 says", cacheStatus},
	{"an immutable answer is what RFC 8246 says", immutable},
	{"a query is compared as No-Vary-Search says", queries},
	{"a range of a stored answer is the one that RFC 9110 §14 says", ranges},
	{"a part is never taken for the whole, as RFC 9111 §3.3 says", parts},
	{"a coding reaches only those who take it", codings},
}

// TheCachingRFCsAreKept runs the tables that one sidecar keeps with the same policies.
func TheCachingRFCsAreKept(t *testing.T, start Start, rows Rows) {
	var chosen []promise
	for _, about := range themes {
		promises := about.promises()
		if rows == FirstOfEach {
			promises = promises[:1]
		}
		for _, p := range promises {
			p.name = about.name + "/" + p.name
			chosen = append(chosen, p)
		}
	}
	keep(t, start, rfcPolicies, chosen...)
}

// prepare starts an origin and a sidecar with these policies, and returns the cases ready to run
// against them.
func prepare(t *testing.T, start Start, policies string, promises []promise) []*trial {
	t.Helper()
	trials, names, places := make([]*trial, len(promises)), map[string]bool{},
		make(chan struct{}, atOnce)
	for i, p := range promises {
		if names[p.name] {
			t.Fatalf("two cases are named %q", p.name)
		}
		names[p.name] = true
		trials[i] = &trial{
			promise: p, path: fmt.Sprintf("%s/%d", p.on.prefix, i), places: places,
			bodies: map[int]source{},
		}
	}
	o := origin.Start(t, func(conn *origin.Conn, q *origin.Request) {
		path, _, _ := strings.Cut(q.Target, "?")
		parts := strings.Split(path, "/")
		n, err := strconv.Atoi(parts[min(2, len(parts)-1)])
		if err != nil || n >= len(trials) {
			noCase(conn)
			return
		}
		trials[n].serve(conn, q)
	})
	// A busy machine is not tested here.
	base := start(t, o.URL(), policies, "REDIS_TIMEOUT=5s", "REDIS_STORE_TIMEOUT=10s")
	for _, c := range trials {
		c.base = base
	}
	return trials
}

func noCase(conn *origin.Conn) {
	_, _ = conn.WriteString("HTTP/1.1 404 No Case\r\nContent-Length: 0\r\n\r\n")
}

// atOnce bounds how many cases are at work. As many as there are may wait: that is not for the
// number of processors to say.
const atOnce = 8

// keep runs the cases of a table, all at once, before one sidecar with these policies.
func keep(t *testing.T, start Start, policies string, promises ...promise) {
	t.Helper()
	for _, c := range prepare(t, start, policies, promises) {
		t.Run(c.name, func(t *testing.T) {
			result := make(chan []string, 1)
			go func() { // ends with its steps, which are bounded
				result <- c.run(context.Background())
			}()
			t.Parallel()
			for _, fault := range <-result {
				t.Error(fault)
			}
		})
	}
}

// keepInTurn is keep for cases that would hinder each other, one after another.
func keepInTurn(t *testing.T, start Start, policies string, promises ...promise) {
	t.Helper()
	for _, c := range prepare(t, start, policies, promises) {
		t.Run(c.name, func(t *testing.T) {
			for _, fault := range c.run(t.Context()) {
				t.Error(fault)
			}
		})
	}
}

// ABrokenPromiseIsNoticed runs cases that are not kept: each has to fail, or the tables prove
// nothing.
func ABrokenPromiseIsNoticed(t *testing.T, start Start) {
	stored := get().forwarded(ok("Cache-Control: max-age=60", "X-A: 1"))
	var broken []promise
	for name, s := range map[string]steps{
		"asked, and should not be":        {get().forwarded(ok()), get()},
		"not asked, and should be":        {stored, get().forwarded(ok())},
		"another status":                  {get().forwarded(ok()).is(404)},
		"another body":                    {stored, get().content("another")},
		"another field":                   {stored, get().with("X-A: 2")},
		"a field that should not be":      {stored, get().without("X-A")},
		"a request without a field":       {get().forwarded(ok().to("X-B: 1"))},
		"a request with a field":          {get("X-B: 1").forwarded(ok().to("X-B:"))},
		"a whole body":                    {get().forwarded(ok()).cut()},
		"a cut body":                      {get().forwarded(ok().ending(inBody))},
		"too young":                       {stored, get().aged(10, 20)},
		"Cache-Status without what it is": {stored, get().saying("fwd=stale")},
		"asked once and not twice":        {get().forwarded(ok(), ok())},
		"no trailer":                      {get().forwarded(ok()).trailing("X-Trailer: 1")},
	} {
		broken = append(broken, promise{name, shared, s})
	}
	for _, c := range prepare(t, start, rfcPolicies, broken) {
		if faults := c.run(t.Context()); len(faults) == 0 {
			t.Errorf("nothing was found wrong with %q", c.name)
		}
	}
}
