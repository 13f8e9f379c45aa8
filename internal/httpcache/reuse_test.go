package httpcache_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// aMinute is a response that was 10 s old when it came, and has lived 20 s of its minute at now.
var aMinute = httpcache.Stored{
	Status: 200, Fields: fields(), ResponseTime: now.Add(-10 * time.Second),
	InitialAge: 10 * time.Second, Lifetime: time.Minute,
}

func TestReuse(t *testing.T) { // RFC 9111 §4, §5.2.1
	for _, tt := range []struct {
		rule    string
		method  string
		request []string
		want    reason.Reason // "": served
	}{
		{"a fresh response is served", "GET", nil, ""},
		{"to a HEAD too", "HEAD", nil, ""},
		{"to no other method", "POST", nil, reason.Method},
		{"methods are case-sensitive", "get", nil, reason.Method},
		{"§5.2.1.1 max-age over its age", "GET", []string{"Cache-Control: max-age=21"}, ""},
		{"§5.2.1.1 max-age of its age", "GET", []string{"Cache-Control: max-age=20"}, ""},
		{"§5.2.1.1 max-age under its age", "GET", []string{"Cache-Control: max-age=19"},
			reason.RequestMaxAge},
		{"§5.2.1.1 max-age=0", "GET", []string{"Cache-Control: max-age=0"}, reason.RequestMaxAge},
		{"§5.2.1.1 max-age that is no number", "GET", []string{"Cache-Control: max-age=x"},
			reason.RequestMaxAge},
		{"§5.2.1.1 HEAD obeys too", "HEAD", []string{"Cache-Control: max-age=0"},
			reason.RequestMaxAge},
		{"§5.2.1.2 max-stale makes nothing less fresh", "GET",
			[]string{"Cache-Control: max-stale"}, ""},
		{"§5.2.1.3 min-fresh that is left", "GET", []string{"Cache-Control: min-fresh=40"}, ""},
		{"§5.2.1.3 min-fresh that is not", "GET", []string{"Cache-Control: min-fresh=41"},
			reason.RequestMinFresh},
		{"§5.2.1.3 min-fresh that is no number", "GET", []string{"Cache-Control: min-fresh=x"},
			reason.RequestMinFresh},
		{"§5.2.1.4 no-cache", "GET", []string{"Cache-Control: no-cache"}, reason.RequestNoCache},
		{"§5.2.1.4 no-cache with an argument", "GET", []string{"Cache-Control: no-cache=x"},
			reason.RequestNoCache},
		{"§5.2.1.5 no-store", "GET", []string{"Cache-Control: no-store"}, reason.RequestNoStore},
		{"§5.2.1.6 no-transform", "GET", []string{"Cache-Control: no-transform"}, ""},
		{"§5.2.1.7 only-if-cached", "GET", []string{"Cache-Control: only-if-cached"}, ""},
		{"§5.2.3 an unknown directive", "GET", []string{"Cache-Control: x-fresh=1"}, ""},
		{"a Cache-Control that cannot be read", "GET", []string{"Cache-Control: max-age = 100"},
			reason.BadDirectives},
		{"§5.4 Pragma: no-cache", "GET", []string{"Pragma: x, No-Cache"}, reason.RequestNoCache},
		{"§5.4 Pragma beside Cache-Control means nothing", "GET",
			[]string{"Pragma: no-cache", "Cache-Control: max-age=100"}, ""},
		{"§5.4 another Pragma", "GET", []string{"Pragma: no-cached"}, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			req := get(tt.request...)
			req.Method = tt.method
			got := evaluate(private, req, aMinute, now)
			want := httpcache.Reuse{
				Serve: tt.want == "", Why: tt.want, Age: 20 * time.Second, TTL: 40 * time.Second,
			}
			if got != want {
				t.Errorf("%+v; want %+v", got, want)
			}
		})
	}
}

func TestAPlainHitDoesNotAllocate(t *testing.T) {
	req := get("Accept: */*", "Cache-Control: max-age=100", "Connection: keep-alive")
	if n := testing.AllocsPerRun(100, func() {
		d := httpcache.Read(private, req)
		httpcache.Evaluate(private, &d, aMinute, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOnlyIfCached(t *testing.T) { // §5.2.1.7
	if !read(httpcache.Rules{}, get("Cache-Control: max-age=5, only-if-cached")).OnlyIfCached {
		t.Error("not seen")
	}
	if read(httpcache.Rules{}, get(`Cache-Control: a="only-if-cached"`)).OnlyIfCached {
		t.Error("seen in a quoted-string")
	}
}

func TestRequestsThatGoPastTheCache(t *testing.T) {
	for _, tt := range []struct {
		rule    string
		request []string
		want    reason.Reason
	}{
		{"a plain request goes through the cache",
			[]string{"Accept: */*", "Connection: keep-alive", "If-None-Match: \"a\""}, ""},
		{"no-cache is asked of the store, and fills it", []string{"Cache-Control: no-cache"}, ""},
		{"§5.2.1.5 no-store", []string{"Cache-Control: no-store"}, reason.RequestNoStore},
		{"a Cache-Control that cannot be read", []string{"Cache-Control: no-cache; no-store"},
			reason.BadDirectives},
		{"RFC 9110 §7.8 Upgrade", []string{"Connection: Upgrade", "Upgrade: websocket"},
			reason.Upgrade},
		{"RFC 9110 §14.2 Range, which a stored body can answer", []string{"Range: bytes=0-"}, ""},
		{"RFC 9110 §13.1.5 If-Range without Range means nothing", []string{"If-Range: \"a\""}, ""},
		{"RFC 9110 §13.1.1 If-Match", []string{"If-Match: *"}, reason.Precondition},
		{"RFC 9110 §13.1.4 If-Unmodified-Since", []string{"If-Unmodified-Since: " + ahead(0)},
			reason.Precondition},
		{"RFC 9110 §7.6.1 Connection takes out a field that may be in the key",
			[]string{"Connection: close, X-Tenant"}, reason.ConnectionOption},
		{"RFC 9110 §7.6.1 or might", []string{`Connection: "X-Tenant`}, reason.ConnectionOption},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := read(httpcache.Rules{}, get(tt.request...)).Bypass; got != tt.want {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
	head := get("Range: bytes=0-1") // only a GET has ranges (RFC 9110 §14.2)
	head.Method = http.MethodHead
	if got := read(httpcache.Rules{}, head).Bypass; got != reason.Range {
		t.Errorf("a HEAD with Range: %q", got)
	}
	head = get()
	head.Method = http.MethodHead
	if got := read(httpcache.Rules{}, head).Bypass; got != "" {
		t.Errorf("a plain HEAD: %q", got)
	}
}

func TestADemandWithAnotherMethodIsThatOfTheOtherRequest(t *testing.T) {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost}
	for _, from := range methods {
		for _, to := range methods {
			req := get("Range: bytes=0-1", "Cache-Control: max-age=5")
			req.Method = from
			got := read(private, req).WithMethod(to)
			req.Method = to
			if want := read(private, req); !reflect.DeepEqual(got, want) {
				t.Errorf("%s as %s: %+v, want %+v", from, to, got, want)
			}
		}
	}
}

func TestWhoMayWaitForTheResponseThatAnotherOneFetches(t *testing.T) {
	for _, tt := range []struct {
		rule     string
		request  []string
		lifetime time.Duration
		want     bool
	}{
		{"a plain request", nil, time.Minute, true},
		{"whatever the lifetime will be", nil, 0, true},
		{"one that wants a part", []string{"Range: bytes=0-1"}, time.Minute, false},
		{"one that wants nothing stored", []string{"Cache-Control: no-cache"}, time.Minute, false},
		{"none that is older than now", []string{"Cache-Control: max-age=0"}, time.Minute, false},
		{"one that is young", []string{"Cache-Control: max-age=1"}, time.Minute, true},
		{"one that stays fresh", []string{"Cache-Control: min-fresh=60"}, time.Minute, true},
		{"for longer than it can", []string{"Cache-Control: min-fresh=61"}, time.Minute, false},
		{"for longer than is known", []string{"Cache-Control: min-fresh=61"}, 0, true},
		{"events", []string{"Accept: text/html, Text/Event-Stream;q=0.5"}, time.Minute, false},
		{"another type", []string{"Accept: text/html, text/event-streams"}, time.Minute, true},
	} {
		if got := read(private, get(tt.request...)).Joins(tt.lifetime); got != tt.want {
			t.Errorf("%s: %t", tt.rule, got)
		}
	}
}

func TestWhatClientsSayCountsForNothingWhereThePolicySaysSo(t *testing.T) {
	rules := httpcache.Rules{IgnoreDirectives: true}
	for _, line := range []string{
		"no-store", "no-cache", "max-age=0", "min-fresh=100000", "only-if-cached",
		"no-store=\"", ",",
	} {
		req := get("Cache-Control: "+line, "Pragma: no-cache")
		if why := read(rules, req).Bypass; why != "" {
			t.Errorf("%s: past the cache for %q", line, why)
		}
		if read(rules, req).OnlyIfCached {
			t.Errorf("%s: only if cached", line)
		}
		fresh := httpcache.Stored{
			Status: 200, Fields: httpfield.Header{}, ResponseTime: now, Lifetime: time.Hour,
		}
		if use := evaluate(rules, req, fresh, now); !use.Serve {
			t.Errorf("%s: not served for %q", line, use.Why)
		}
	}
	stale := httpcache.Stored{
		Status: 200, Fields: httpfield.Header{}, ResponseTime: now, Lifetime: 0,
	}
	if evaluate(rules, get(), stale, now).Serve {
		t.Error("something stale is served")
	}
}
