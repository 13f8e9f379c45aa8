package httpcache_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

// An exchange is a request, its response, and a request that comes later, as facts rather than as
// fields. render makes the fields of the facts; the oracle draws the conclusions.
type exchange struct {
	shared                  bool
	authorized              httpcache.Authorized
	ttl                     int // -1: none
	override                bool
	credentials, verified   bool
	status                  int
	asked, answered         []directive // Cache-Control of the later request and of the response
	expires, date, modified stamp
	age                     string // "": no field
	vary                    string
	took, later             int // seconds
	bypass                  string
	method                  string // of the later request
	etag                    bool
	swr, sie, siu           int // the policy's windows, in seconds
}

type directive struct{ name, arg string }

// A stamp is a date field: absent, bad, there twice, or seconds from the response's arrival.
type stamp struct {
	kind   string // "", "bad", "twice", "at"
	offset int
}

func drawStamp(t *rapid.T, label string, from, to int) stamp {
	return stamp{
		rapid.SampledFrom([]string{"", "", "at", "at", "at", "bad", "twice"}).Draw(t, label),
		rapid.IntRange(from, to).Draw(t, label+" offset"),
	}
}

func drawDirectives(t *rapid.T, label string, names []string) []directive {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) directive {
		d := directive{name: rapid.SampledFrom(names).Draw(t, "name")}
		switch d.name {
		case "max-age", "s-maxage", "min-fresh", "max-stale",
			"stale-while-revalidate", "stale-if-error":
			d.arg = rapid.SampledFrom([]string{
				"0", "1", "30", "30", "60", "060", "3000", "99999999999", "-1", "1.0", "x",
			}).Draw(t, "number")
		case "x-ext":
			d.arg = rapid.SampledFrom([]string{
				`"no-store, max-age=0"`, `"\", private"`, "no-cache",
			}).Draw(t, "decoy")
		}
		return d
	}), 0, 4).Draw(t, label)
}

func drawExchange(t *rapid.T) exchange {
	return exchange{
		shared: rapid.Bool().Draw(t, "shared"),
		authorized: rapid.SampledFrom([]httpcache.Authorized{
			httpcache.AuthorizedRefuse, httpcache.AuthorizedVerified, httpcache.AuthorizedPublic,
		}).Draw(t, "authorized"),
		ttl:         rapid.SampledFrom([]int{-1, -1, 0, 20, 100}).Draw(t, "ttl"),
		override:    rapid.IntRange(0, 4).Draw(t, "override") == 0,
		credentials: rapid.Bool().Draw(t, "credentials"),
		verified:    rapid.Bool().Draw(t, "verified"),
		status: rapid.SampledFrom([]int{
			200, 200, 200, 200, 203, 204, 206, 226, 299, 301, 302, 304, 404, 412,
			429, 500, 501, 599,
		}).Draw(t, "status"),
		asked: drawDirectives(t, "asked",
			[]string{"max-age", "min-fresh", "max-stale", "no-cache", "only-if-cached",
				"no-transform", "stale-if-error", "x-ext"}),
		answered: drawDirectives(t, "answered",
			[]string{"max-age", "max-age", "max-age", "s-maxage", "public", "private",
				"no-store", "no-cache",
				"must-revalidate", "proxy-revalidate", "must-understand", "immutable",
				"stale-while-revalidate", "stale-if-error", "x-ext"}),
		expires:  drawStamp(t, "expires", -50, 200),
		date:     drawStamp(t, "date", -50, 50),
		modified: drawStamp(t, "modified", -100000, 100),
		age: rapid.SampledFrom([]string{
			"", "", "0", "25", "59", "25, 0", "x, 25", "-5", "2.5", "99999999999",
		}).Draw(t, "age"),
		vary:  rapid.SampledFrom([]string{"", "", "Accept", "Accept, *", "a b"}).Draw(t, "vary"),
		took:  rapid.SampledFrom([]int{0, 0, 1, 15, -3}).Draw(t, "took"),
		etag:  rapid.Bool().Draw(t, "etag"),
		swr:   rapid.SampledFrom([]int{0, 0, 10, 50}).Draw(t, "stale_while_revalidate"),
		sie:   rapid.SampledFrom([]int{0, 0, 20}).Draw(t, "stale_if_error"),
		siu:   rapid.SampledFrom([]int{0, 0, 30}).Draw(t, "stale_if_unreachable"),
		later: rapid.IntRange(0, 120).Draw(t, "later"),
		bypass: rapid.SampledFrom([]string{
			"", "", "", "", "If-Match: *", "Cache-Control: no-store", "Connection: x-a",
		}).Draw(t, "bypass"),
		method: rapid.SampledFrom([]string{"GET", "GET", "HEAD", "POST"}).Draw(t, "method"),
	}
}

// render draws one of the many ways to write the same directives.
func render(t *rapid.T, directives []directive) []string {
	var lines []string
	for _, d := range directives {
		s := rapid.SampledFrom([]string{d.name, strings.ToUpper(d.name)}).Draw(t, "case")
		if d.arg != "" {
			arg := d.arg
			if !strings.HasPrefix(arg, `"`) && rapid.Bool().Draw(t, "quoted") {
				arg = `"` + arg + `"`
			}
			s += "=" + arg
		}
		if len(lines) > 0 && rapid.Bool().Draw(t, "same line") {
			lines[len(lines)-
				1] += rapid.SampledFrom([]string{",", ", ", " ,\t", ",, "}).Draw(t, "comma") + s
		} else {
			lines = append(lines, s)
		}
	}
	return lines
}

func (s stamp) lines() []string {
	switch value := httpfield.FormatDate(now.Add(time.Duration(s.offset) * time.Second)); s.kind {
	case "at":
		return []string{value}
	case "twice":
		return []string{value, value}
	case "bad":
		return []string{strings.TrimSuffix(value, " GMT")}
	}
	return nil
}

func (x exchange) rules() httpcache.Rules {
	return httpcache.Rules{Shared: x.shared, Authorized: x.authorized,
		TTL: time.Duration(x.ttl) * time.Second, HasTTL: x.ttl >= 0, Override: x.override,
		StaleWhileRevalidate: time.Duration(x.swr) * time.Second,
		StaleIfError:         time.Duration(x.sie) * time.Second,
		StaleIfUnreachable:   time.Duration(x.siu) * time.Second}
}

func (x exchange) response(t *rapid.T) httpcache.Response {
	f := http.Header{
		"Expires": x.expires.lines(), "Date": x.date.lines(), "Last-Modified": x.modified.lines(),
		"Cache-Control": render(t, x.answered),
	}
	if x.age != "" {
		f.Set("Age", x.age)
	}
	if x.etag {
		f.Set("Etag", `W/"1"`)
	}
	if x.vary != "" {
		f.Set("Vary", x.vary)
	}
	return httpcache.Response{
		Status: x.status, Fields: httpfield.Header(f),
		RequestTime: now.Add(-time.Duration(x.took) * time.Second), ResponseTime: now,
	}
}

func (x exchange) request() httpfield.Request {
	var lines []string
	if x.bypass != "" {
		lines = append(lines, x.bypass)
	}
	return get(lines...)
}

func said(directives []directive, name string) bool {
	return slices.ContainsFunc(directives, func(d directive) bool { return d.name == name })
}

// least is the least number that is given for name, with 0 for a malformed one; -1 if there is
// none.
func least(directives []directive, name string) int {
	n := -1
	for _, d := range directives {
		if d.name == name {
			v, err := strconv.ParseUint(d.arg, 10, 63)
			if err != nil {
				v = 0
			}
			v = min(v, 1<<31) // §1.2.2
			if n < 0 || int(v) < n {
				n = int(v)
			}
		}
	}
	return n
}

// mayStore reads §3 of RFC 9111 item by item, with this cache's additions.
func (x exchange) mayStore() bool {
	final := x.status >= 200
	understood := x.status != 299 && x.status != 599 && x.status != 226
	noStore := said(x.answered, "no-store") && !said(x.answered, "must-understand")
	explicitlyAllowed := said(x.answered, "public") || said(x.answered, "s-maxage") ||
		said(x.answered, "must-revalidate")
	byPolicy := x.authorized == httpcache.AuthorizedPublic ||
		x.authorized == httpcache.AuthorizedVerified && x.verified
	return final &&
		!slices.Contains([]int{206, 226, 304, 412, 416, 428, 429, 431, 511}, x.status) &&
		(understood || !said(x.answered, "must-understand")) &&
		!noStore &&
		!(x.shared && said(x.answered, "private")) &&
		!(x.shared && x.credentials && !explicitlyAllowed && !byPolicy) &&
		!(x.shared && (x.status == 500 || x.status == 599) && x.ttl >= 0) &&
		x.vary != "Accept, *" && x.vary != "a b" &&
		x.bypass == "" &&
		(x.lifetime() >= 0 || x.lifetime() == unknown && x.validator()) &&
		(x.fresh() > float64(x.ageAt(0)) || x.validator() ||
			x.staleFor(x.window()) > float64(x.ageAt(0)))
}

// validator reads §4.3.1: there is something by which the backend can be asked, and it would say
// 304 (RFC 9110 §13.2.1).
func (x exchange) validator() bool {
	return x.status/100 == 2 && (x.etag || x.modified.kind == "at")
}

// fresh is the lifetime in which it may be used without asking (§5.2.2.4).
func (x exchange) fresh() float64 {
	if said(x.answered, "no-cache") {
		return 0
	}
	return max(x.lifetime(), 0)
}

// window is for how long beyond that it may be used at all.
func (x exchange) window() int {
	return max(x.allowed("stale-while-revalidate", x.swr),
		x.allowed("stale-if-error", x.sie), x.siu)
}

// staleFor is the age up to which it may be served with this window, which its own directives
// forbid or not (§4.2.4).
func (x exchange) staleFor(window int) float64 {
	if said(x.answered, "must-revalidate") || said(x.answered, "no-cache") ||
		x.shared && (said(x.answered, "proxy-revalidate") || said(x.answered, "s-maxage")) {
		return -1
	}
	return x.fresh() + float64(window)
}

// allowed is a window of RFC 5861: the response's own, or the policy's.
func (x exchange) allowed(name string, policy int) int {
	if own := least(x.answered, name); own >= 0 {
		return own
	}
	return policy
}

// The result of lifetime where there is none: it could have been guessed, or not.
const unknown, never = -1, -2

// lifetime reads §4.2.1 and §4.2.2, in seconds; unknown or never if there is none.
func (x exchange) lifetime() float64 {
	came := 0
	if x.date.kind == "at" {
		came = x.date.offset
	}
	heuristic := []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}
	covered := []int{200, 203, 204, 300, 301, 308}
	switch {
	case x.override && x.ttl >= 0 && slices.Contains(covered, x.status):
		return float64(x.ttl)
	case x.shared && said(x.answered, "s-maxage"):
		return float64(least(x.answered, "s-maxage"))
	case said(x.answered, "max-age"):
		return float64(least(x.answered, "max-age"))
	case x.expires.kind == "at":
		return float64(max(x.expires.offset-came, 0))
	case x.expires.kind != "":
		return 0
	case x.ttl >= 0 && slices.Contains(covered, x.status):
		return float64(x.ttl)
	case x.ttl < 0 && slices.Contains(heuristic, x.status) && x.modified.kind == "at" &&
		came > x.modified.offset:
		// the generated times are no more than a day apart
		return float64(came-x.modified.offset) / 10
	case x.ttl < 0 && slices.Contains(heuristic, x.status):
		return unknown
	}
	return never
}

// ageAt reads §4.2.3, in seconds since the response came.
func (x exchange) ageAt(later int) int {
	apparent := 0
	if x.date.kind == "at" {
		apparent = max(0, -x.date.offset)
	}
	stated := map[string]int{
		"25": 25, "59": 59, "25, 0": 25, "x, 25": 25, "99999999999": 1 << 31,
	}[x.age]
	return min(max(apparent, stated+max(x.took, 0))+later, 1<<31)
}

// mayServe reads §4 and §5.2.1 for the later request.
func (x exchange) mayServe() bool {
	age, left := x.ageAt(x.later), x.fresh()-float64(x.ageAt(x.later))
	for _, d := range x.asked {
		n, err := strconv.ParseUint(d.arg, 10, 63)
		if d.name == "no-cache" ||
			// what is no number is 0
			d.name == "max-age" && (age > 0 && err != nil || age > int(min(n, 1<<31))) ||
			d.name == "min-fresh" &&
				(err != nil && left < 1<<31 || err == nil && left < float64(min(n, 1<<31))) {
			return false
		}
	}
	return x.method != "POST" && left > 0
}

// mayServeStale reads §4.2.4, §5.2.1 and RFC 5861 for it, where it is not fresh: with a window.
func (x exchange) mayServeStale(window int) bool {
	age, over := x.ageAt(x.later), float64(x.ageAt(x.later))-x.fresh()
	limit := -1 // of max-stale
	for _, d := range x.asked {
		n, err := strconv.ParseUint(d.arg, 10, 63)
		switch {
		case d.name == "no-cache", d.name == "min-fresh",
			d.name == "max-age" && (err != nil && age > 0 || age > int(min(n, 1<<31))):
			return false
		case d.name == "max-stale" && err == nil && (limit < 0 || int(min(n, 1<<31)) < limit):
			limit = int(min(n, 1<<31))
		}
	}
	if said(x.asked, "max-age") && limit < 0 || limit >= 0 && over > float64(limit) {
		return false
	}
	return x.method != "POST" && over >= 0 && float64(age) < x.staleFor(window)
}

func TestStoringAndReuseAgreeWithANaiveReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := drawExchange(t)
		resp := x.response(t)
		who := httpcache.Requester{Credentials: x.credentials, Verified: x.verified}
		got := store(x.rules(), x.request(), who, resp)
		if got.Store != x.mayStore() {
			t.Fatalf("stored %v (%s), naively %v: %v",
				got.Store, got.Why, x.mayStore(), resp.Fields)
		}
		if got.Store != (got.Why == "") {
			t.Fatalf("a decision without its reason: %+v", got)
		}
		if !got.Store {
			return
		}
		later := httpfield.Request{
			Method: x.method, Fields: httpfield.Header{"Cache-Control": render(t, x.asked)},
		}
		s := httpcache.Stored{
			Status: resp.Status, Fields: resp.Fields, ResponseTime: resp.ResponseTime,
			InitialAge: got.InitialAge, Lifetime: got.Lifetime,
		}
		use := evaluate(x.rules(), later, s, now.Add(time.Duration(x.later)*time.Second))
		ifError := x.allowed("stale-if-error", x.sie)
		if own := least(x.asked, "stale-if-error"); own >= 0 {
			ifError = own // RFC 5861 §4
		}
		naively := httpcache.Reuse{
			Refresh: x.mayServeStale(x.allowed("stale-while-revalidate", x.swr)),
			IfError: x.mayServeStale(ifError), IfUnreachable: x.mayServeStale(max(ifError, x.siu)),
		}
		naively.Serve = x.mayServe() || naively.Refresh
		naively.Why, naively.Age, naively.TTL = use.Why, use.Age, use.TTL
		if use != naively || x.mayServe() != (use.Why == "") {
			t.Fatalf("served %+v, naively %+v: %v after %d s, asked %v",
				use, naively, resp.Fields, x.later, later.Fields)
		}
	})
}

func TestWhatForbidsNeverAllows(t *testing.T) {
	restrictions := []string{
		"no-store", "no-cache", "private", "max-age=0", "s-maxage=0", `no-cache="set-cookie"`,
		`private="x"`, "max-age=x", `a="`,
	}
	rapid.Check(t, func(t *rapid.T) {
		x := drawExchange(t)
		x.answered = slices.DeleteFunc(x.answered,
			func(d directive) bool { return d.name == "must-understand" })
		resp := x.response(t)
		who := httpcache.Requester{}
		before := store(x.rules(), x.request(), who, resp)
		stricter := resp
		more := httpfield.Header{
			"Cache-Control": append(slices.Clone(resp.Fields.Values("Cache-Control")),
				rapid.SampledFrom(restrictions).Draw(t, "restriction")),
		}
		for name, values := range resp.Fields.All() {
			if name != "Cache-Control" {
				more[name] = values
			}
		}
		stricter.Fields = more
		after := store(x.rules(), x.request(), who, stricter)
		if fresh(after) && !fresh(before) {
			t.Fatalf("fresh with %q, and not without: %s", more["Cache-Control"], before.Why)
		}
		if fresh(after) &&
			(after.Lifetime > before.Lifetime ||
				after.Lifetime+after.Retain > before.Lifetime+before.Retain) {
			t.Fatalf("%v and %v with %q, and %v and %v without", after.Lifetime, after.Retain,
				more["Cache-Control"], before.Lifetime, before.Retain)
		}
	})
}

func fresh(s httpcache.Storing) bool { return s.Store && s.Lifetime > s.InitialAge }

func TestNoStoreOnALineOfItsOwnIsObeyedWhateverElseIsSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		junk := rapid.SliceOf(rapid.String()).Draw(t, "junk")
		if slices.ContainsFunc(junk, func(s string) bool {
			return strings.Contains(strings.ToLower(s), "must-understand")
		}) {
			return
		}
		at := rapid.IntRange(0, len(junk)).Draw(t, "at")
		lines := slices.Insert(junk, at, "no-store")
		resp := response(200, "Expires: "+ahead(time.Hour))
		resp.Fields.(httpfield.Header)["Cache-Control"] = lines
		if got := store(private, get(), httpcache.Requester{}, resp); got.Store {
			t.Fatalf("stored: %q", lines)
		}
		req := get()
		req.Fields.(httpfield.Header)["Cache-Control"] = lines
		if read(httpcache.Rules{}, req).Bypass == "" {
			t.Fatalf("through the cache: %q", lines)
		}
	})
}

func TestWhatIsFreshWasFreshBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := httpcache.Stored{
			Status: 200, Fields: fields(), ResponseTime: now,
			InitialAge: time.Duration(rapid.Int64Range(0,
				int64(httpfield.MaxDelta)).Draw(t, "age")),
			Lifetime: time.Duration(rapid.Int64Range(0,
				int64(httpfield.MaxDelta)).Draw(t, "lifetime")),
		}
		early := rapid.Int64Range(0, 1<<62).Draw(t, "early")
		late := rapid.Int64Range(early, 1<<62).Draw(t, "late")
		directives := render(t, drawDirectives(t, "asked", []string{"max-age", "min-fresh"}))
		req := httpfield.Request{
			Method: "GET", Fields: httpfield.Header{"Cache-Control": directives},
		}
		before, after := evaluate(private, req, s, now.Add(time.Duration(early))),
			evaluate(private, req, s, now.Add(time.Duration(late)))
		if after.Serve && !before.Serve || after.Age < before.Age {
			t.Fatalf("%+v, and later %+v", before, after)
		}
	})
}
