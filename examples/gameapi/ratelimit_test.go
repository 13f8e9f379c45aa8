package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"
)

func TestTheLimiterCountsByClientAndMinute(t *testing.T) {
	now := time.Unix(1000, 0)
	l := limiter{perMinute: 2, now: func() time.Time { return now }}
	for i, test := range []struct {
		client string
		after  time.Duration
		want   allowance
	}{
		{"a", 0, allowance{true, 1, time.Minute}},
		{"a", 10 * time.Second, allowance{true, 0, 50 * time.Second}},
		{"a", 0, allowance{false, 0, 50 * time.Second}},
		{"b", 0, allowance{true, 1, time.Minute}},
		{"a", 50 * time.Second, allowance{true, 1, time.Minute}},
	} {
		now = now.Add(test.after)
		if got := l.take(test.client); got != test.want {
			t.Errorf("step %d: %+v, want %+v", i, got, test.want)
		}
	}
}

func TestTheLimiterKnowsABoundedNumberOfClients(t *testing.T) {
	now := time.Unix(1000, 0)
	l := limiter{perMinute: 1, now: func() time.Time { return now }}
	for i := range maxClients {
		l.take(strconv.Itoa(i))
	}
	if first, second := l.take("x"), l.take("y"); !first.ok || second.ok ||
		len(l.windows) > maxClients+1 {
		t.Errorf("beyond the bound: %+v, %+v, %d windows", first, second, len(l.windows))
	}
	now = now.Add(time.Minute)
	if next := l.take("z"); !next.ok || len(l.windows) > 1 {
		t.Errorf("a minute later: %+v, %d windows", next, len(l.windows))
	}
}

func TestTheClientsAddress(t *testing.T) {
	for _, test := range []struct {
		rule, remote string
		forwarded    []string
		want         string
	}{
		{"is the connection's", "192.0.2.1:5", nil, "192.0.2.1"},
		{"is what a proxy on this machine says", "127.0.0.1:5", []string{"192.0.2.7"}, "192.0.2.7"},
		{"is what a proxy in a private network says", "10.1.2.3:5",
			[]string{"192.0.2.7"}, "192.0.2.7"},
		{"is the last of several: the others the client may have written itself", "[::1]:5",
			[]string{"6.6.6.6", "6.6.6.7, 192.0.2.7"}, "192.0.2.7"},
		{"is not what a stranger says", "192.0.2.1:5", []string{"192.0.2.7"}, "192.0.2.1"},
		{"is the proxy's where it says nothing sensible", "127.0.0.1:5",
			[]string{"unknown"}, "127.0.0.1"},
	} {
		r := &http.Request{
			RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.forwarded},
		}
		if got := clientIP(r); got != test.want {
			t.Errorf("%s: %s, want %s", test.rule, got, test.want)
		}
	}
}

func TestAClientOverItsLimitIsToldHowLongToWait(t *testing.T) {
	g := newGame(t, func(c *config) { c.rateLimit = 2 })
	g.do("", "GET", "/healthz", "").want(200)
	g.do("", "GET", "/healthz", "").want(200)
	a := g.do("", "GET", "/healthz", "").want(429)
	if wait, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || wait < 1 ||
		wait > 60 || a.failure().Code != "rate_limited" {
		t.Error(a.Header)
	}
	g.do("", "GET", "/healthz", "", "X-Forwarded-For: 192.0.2.7").want(200)
}
