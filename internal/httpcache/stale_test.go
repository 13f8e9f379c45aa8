package httpcache_test

import (
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
)

func TestStaleResponses(t *testing.T) { // RFC 9111 §4.2.4, RFC 5861
	const (
		no          = 0
		refresh     = 1 << iota // served, and refreshed behind the answer
		ifError                 // served if the backend answers 5xx
		unreachable             // served if it does not answer
	)
	policy := httpcache.Rules{
		StaleWhileRevalidate: 10 * time.Second, StaleIfError: 20 * time.Second,
		StaleIfUnreachable: 30 * time.Second,
	}
	inShared := policy
	inShared.Shared = true
	const own = "Cache-Control: max-age=60, stale-while-revalidate=15, stale-if-error=25"
	for _, tt := range []struct {
		rule     string
		rules    httpcache.Rules
		response []string
		over     time.Duration // its lifetime
		request  []string
		want     int
	}{
		{"never, if neither the policy nor the response allows it", private, nil, 0, nil, no},
		{"not for max-stale alone (§5.2.1.2)", private, nil, time.Second,
			[]string{"Cache-Control: max-stale"}, no},
		{"not for max-stale of enough", private, nil, time.Second,
			[]string{"Cache-Control: max-stale=100"}, no},
		{"at its end", policy, nil, 0, nil, refresh | ifError | unreachable},
		{"the policy's windows end one after the other", policy, nil, 10*time.Second - 1, nil,
			refresh | ifError | unreachable},
		{"first that of stale-while-revalidate", policy, nil, 10 * time.Second, nil,
			ifError | unreachable},
		{"then that of stale-if-error", policy, nil, 20 * time.Second, nil, unreachable},
		{"then the last", policy, nil, 30 * time.Second, nil, no},
		{"the response's own windows", private, []string{own}, 14 * time.Second, nil,
			refresh | ifError | unreachable},
		{"win over the policy's", policy, []string{own}, 14 * time.Second, nil,
			refresh | ifError | unreachable},
		{"also where they are shorter", policy,
			[]string{"Cache-Control: max-age=60, stale-while-revalidate=0, stale-if-error=0"},
			time.Second, nil, unreachable},
		{"a backend that does not answer fails too (RFC 5861 §4)", private, []string{own},
			24 * time.Second, nil, ifError | unreachable},
		{"until that window ends", private, []string{own}, 25 * time.Second, nil, no},
		{"a window that is no number is none", policy,
			[]string{"Cache-Control: max-age=60, stale-while-revalidate=x"}, time.Second, nil,
			ifError | unreachable},

		{"§5.2.2.2 must-revalidate forbids it", policy, []string{own + ", must-revalidate"},
			time.Second, nil, no},
		{"§5.2.2.4 so does no-cache", policy, []string{own + ", no-cache"}, time.Second, nil, no},
		{"§5.2.2.8 proxy-revalidate is for shared caches", policy,
			[]string{own + ", proxy-revalidate"}, time.Second, nil,
			refresh | ifError | unreachable},
		{"§5.2.2.8 and forbids it there", inShared, []string{own + ", proxy-revalidate"},
			time.Second, nil, no},
		{"§5.2.2.10 as does s-maxage", inShared, []string{own + ", s-maxage=60"},
			time.Second, nil, no},
		{"RFC 9213 what is said to this cache alone counts", policy,
			[]string{own, "CDN-Cache-Control: max-age=60, must-revalidate"}, time.Second, nil, no},

		{"§5.2.1.1 who asks for max-age wants nothing stale", policy, nil, time.Second,
			[]string{"Cache-Control: max-age=1000"}, no},
		{"§5.2.1.1 unless max-stale says so", policy, nil, time.Second,
			[]string{"Cache-Control: max-age=1000, max-stale"}, refresh | ifError | unreachable},
		{"§5.2.1.2 as stale as that, at most", policy, nil, 2 * time.Second,
			[]string{"Cache-Control: max-stale=1"}, no},
		{"§5.2.1.2 and no less", policy, nil, 2 * time.Second,
			[]string{"Cache-Control: max-stale=2"}, refresh | ifError | unreachable},
		{"§5.2.1.1 max-age is about age, whatever max-stale says", policy, nil, time.Second,
			[]string{"Cache-Control: max-age=5, max-stale"}, no},
		{"§5.2.1.3 who asks for min-fresh wants nothing stale", policy, nil, time.Second,
			[]string{"Cache-Control: min-fresh=0, max-stale"}, no},
		{"§5.2.1.4 nor who asks for no-cache", policy, nil, time.Second,
			[]string{"Cache-Control: no-cache"}, no},
		{"RFC 5861 §4 a request's own stale-if-error is for the request", private, nil, time.Second,
			[]string{"Cache-Control: stale-if-error=5"}, ifError | unreachable},
		{"RFC 5861 §4 but not against the response", private,
			[]string{"Cache-Control: must-revalidate"}, time.Second,
			[]string{"Cache-Control: stale-if-error=5"}, no},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := httpcache.Stored{
				Status: 200, Fields: fields(tt.response...), ResponseTime: now,
				Lifetime: time.Minute,
			}
			use := evaluate(tt.rules, get(tt.request...), s, now.Add(time.Minute+tt.over))
			got := no
			for flag, is := range map[int]bool{
				refresh: use.Refresh, ifError: use.IfError, unreachable: use.IfUnreachable,
			} {
				if is {
					got |= flag
				}
			}
			if got != tt.want || use.Serve != use.Refresh || use.Why == "" || use.TTL != -tt.over {
				t.Errorf("%+v; want %b", use, tt.want)
			}
		})
	}
}

func TestWhatHasEndedIsNotServedStale(t *testing.T) {
	policy := httpcache.Rules{StaleWhileRevalidate: time.Hour, StaleIfUnreachable: time.Hour}
	s := httpcache.Stored{
		Status: 200, Fields: fields(), ResponseTime: now, Lifetime: time.Minute,
		Until: now.Add(2 * time.Minute),
	}
	if use := evaluate(policy, get(), s, s.Until.Add(-1)); !use.Refresh || !use.IfUnreachable {
		t.Errorf("before its end: %+v", use)
	}
	if use := evaluate(policy, get(), s, s.Until); use.Serve || use.IfUnreachable ||
		use.Why != reason.Stale || use.TTL != -time.Minute {
		t.Errorf("at its end: %+v", use)
	}
	s.Lifetime = time.Hour
	if use := evaluate(policy, get(), s, s.Until); use.Serve || use.TTL > 0 {
		t.Errorf("at its end, though fresh: %+v", use)
	}
}

func TestErrors(t *testing.T) { // RFC 5861 §4
	for status := 100; status < 1000; status++ {
		if got := httpcache.IsError(status); got != (status/100 == 5) {
			t.Errorf("%d: %v", status, got)
		}
	}
}
