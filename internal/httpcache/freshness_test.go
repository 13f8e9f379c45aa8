package httpcache_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

func TestFreshnessLifetime(t *testing.T) { // RFC 9111 §4.2.1
	const none = -1
	for _, tt := range []struct {
		rule            string
		response        []string
		private, shared time.Duration // none: not stored
	}{
		{"max-age", []string{"Cache-Control: max-age=60"}, time.Minute, time.Minute},
		{"s-maxage is for shared caches, and wins there",
			[]string{"Cache-Control: max-age=60, s-maxage=10"}, time.Minute, 10 * time.Second},
		{"s-maxage alone", []string{"Cache-Control: s-maxage=10"}, none, 10 * time.Second},
		{"max-age wins over Expires", []string{
			"Cache-Control: max-age=60", date, "Expires: " + ahead(time.Hour),
		}, time.Minute, time.Minute},
		{"and over an Expires that is past",
			[]string{"Cache-Control: max-age=60", date, "Expires: 0"}, time.Minute, time.Minute},
		{"Expires counts from Date", []string{
			"Date: " + ago(10*time.Second), "Expires: " + ahead(50*time.Second),
		}, time.Minute, time.Minute},
		{"Expires without Date counts from when it came",
			[]string{"Expires: " + ahead(time.Minute)}, time.Minute, time.Minute},
		{"so with a Date that cannot be read",
			[]string{"Date: today", "Expires: " + ahead(time.Minute)}, time.Minute, time.Minute},
		{"so with two of them", []string{date, date, "Expires: " + ahead(time.Minute)},
			time.Minute, time.Minute},
		{"Expires in the rfc850 form", []string{date, "Expires: Wednesday, 01-Jul-26 12:01:00 GMT"},
			time.Minute, time.Minute},
		{"Expires in the asctime form", []string{date, "Expires: Wed Jul  1 12:01:00 2026"},
			time.Minute, time.Minute},
		{"Expires at Date has expired", []string{date, "Expires: " + ahead(0)}, none, none},
		{"§5.3 Expires: 0 has expired", []string{date, "Expires: 0"}, none, none},
		{"§5.3 so has one that is no date",
			[]string{date, "Expires: Wed, 01 Jul 2026 12:01:00 CEST"}, none, none},
		{"§5.3 and one that comes twice",
			[]string{date, "Expires: " + ahead(time.Minute), "Expires: " + ahead(time.Minute)},
			none, none},
		{"of two max-age the lesser counts", []string{"Cache-Control: max-age=60, max-age=30"},
			30 * time.Second, 30 * time.Second},
		{"a max-age that is no number has expired",
			[]string{"Cache-Control: max-age=1h", "Expires: " + ahead(time.Minute)}, none, none},
		{"so has an s-maxage, where it counts", []string{"Cache-Control: max-age=60, s-maxage=x"},
			time.Minute, none},
		{"§1.2.2 a lifetime over 2^31 s is 2^31 s",
			[]string{"Cache-Control: max-age=9999999999999"}, httpfield.MaxDelta,
			httpfield.MaxDelta},
		{"§1.2.2 by Expires too", []string{date, "Expires: Fri, 31 Dec 9999 23:59:59 GMT"},
			httpfield.MaxDelta, httpfield.MaxDelta},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, cache := range []struct {
				rules httpcache.Rules
				want  time.Duration
			}{{private, tt.private}, {shared, tt.shared}} {
				got := store(cache.rules, get(), httpcache.Requester{},
					response(200, tt.response...))
				if got.Store != (cache.want != none) || got.Store && got.Lifetime != cache.want {
					t.Errorf("shared %v: %+v; want %v", cache.rules.Shared, got, cache.want)
				}
			}
		})
	}
}

func TestHeuristicFreshness(t *testing.T) { // §4.2.2
	tenDays := "Last-Modified: " + ago(100*time.Hour)
	for _, tt := range []struct {
		rule     string
		rules    httpcache.Rules
		response []string
		want     time.Duration
		why      reason.Reason
	}{
		{"a tenth of the time since the last modification", private, []string{date, tenDays},
			10 * time.Hour, ""},
		{"as of Date", private, []string{
			"Date: " + ago(10*time.Hour+time.Minute),
			"Last-Modified: " + ago(200*time.Hour+10*time.Hour+time.Minute),
		}, 20 * time.Hour, ""},
		{"never more than a day", private, []string{date, "Last-Modified: " + ago(9000*time.Hour)},
			24 * time.Hour, ""},
		{"not where a lifetime is stated", private,
			[]string{date, tenDays, "Cache-Control: max-age=1"}, time.Second, ""},
		{"not where one is stated wrongly", private,
			[]string{date, tenDays, "Expires: soon"}, 0, ""},
		{"not where the policy has a ttl", httpcache.Rules{TTL: time.Minute, HasTTL: true},
			[]string{date, tenDays}, time.Minute, ""},
		{"not if modified in the future", private,
			[]string{date, "Last-Modified: " + ahead(time.Hour)}, 0, ""},
		{"not if modified just now", private, []string{date, "Last-Modified: " + ahead(0)}, 0, ""},
		{"not if it does not tell when for certain", private,
			[]string{date, "Last-Modified: yesterday"}, 0, reason.NoLifetime},
		{"not if it tells twice", private, []string{date, tenDays, tenDays}, 0, reason.NoLifetime},
	} {
		// a response without a lifetime is stored to be validated, if it has a validator
		t.Run(tt.rule, func(t *testing.T) {
			got := store(tt.rules, get(), httpcache.Requester{}, response(200, tt.response...))
			if got.Why != tt.why || got.Lifetime != tt.want {
				t.Errorf("%+v; want %v, %q", got, tt.want, tt.why)
			}
		})
	}
}

func TestStatusesThatAreHeuristicallyCacheable(t *testing.T) { // RFC 9110 §15.1, but 206
	guessed := []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}
	for status := 200; status < 600; status++ {
		got := store(private, get(), httpcache.Requester{},
			response(status, date, "Last-Modified: "+ago(100*time.Hour), "Cache-Control: public"))
		if got.Store != slices.Contains(guessed, status) {
			t.Errorf("%d: stored %v, %s", status, got.Store, got.Why)
		}
	}
}

func TestPolicyLifetime(t *testing.T) {
	ttl := httpcache.Rules{TTL: time.Hour, HasTTL: true}
	byStatus := httpcache.Rules{
		Status: map[int]time.Duration{404: 10 * time.Second, 200: time.Second},
		TTL:    time.Hour, HasTTL: true,
	}
	override := httpcache.Rules{Shared: true, TTL: time.Hour, HasTTL: true, Override: true}
	for _, tt := range []struct {
		rule     string
		rules    httpcache.Rules
		status   int
		response []string
		want     time.Duration
		why      reason.Reason
	}{
		{"ttl where the response states none", ttl, 200, nil, time.Hour, ""},
		{"ttl counts from the response's creation", ttl, 200, []string{"Age: 3600"}, 0,
			reason.AgeExceedsLife},
		{"not where it states one", ttl, 200,
			[]string{"Cache-Control: max-age=60"}, time.Minute, ""},
		{"not where it has expired", ttl, 200, []string{"Cache-Control: max-age=0"}, 0,
			reason.AgeExceedsLife},
		{"not over no-store", ttl, 200, []string{"Cache-Control: no-store"}, 0,
			reason.ResponseNoStore},
		{"no ttl for other statuses", ttl, 404, nil, 0, reason.StatusNotStorable},
		{"nor a guess", ttl, 404, []string{"Last-Modified: " + ago(100*time.Hour)}, 0,
			reason.StatusNotStorable},
		{"but what they state themselves", ttl, 404,
			[]string{"Cache-Control: max-age=60"}, time.Minute, ""},
		{"a lifetime by status", byStatus, 404, nil, 10 * time.Second, ""},
		{"comes before ttl", byStatus, 200, nil, time.Second, ""},
		{"not where the response states one", byStatus, 404,
			[]string{"Cache-Control: max-age=60"}, time.Minute, ""},
		{"makes nothing storable that is not",
			httpcache.Rules{Status: map[int]time.Duration{429: time.Minute}}, 429, nil, 0,
			reason.StatusNotStorable},
		{"a negative ttl is none at all", httpcache.Rules{TTL: -time.Hour, HasTTL: true}, 200, nil,
			0, reason.AgeExceedsLife},
		{"override wins over a stated lifetime", override, 200,
			[]string{"Cache-Control: max-age=0"}, time.Hour, ""},
		{"and over Expires", override, 200, []string{"Expires: 0"}, time.Hour, ""},
		{"not over no-store", override, 200, []string{"Cache-Control: no-store"}, 0,
			reason.ResponseNoStore},
		{"not over private, if shared", override, 200, []string{"Cache-Control: private"}, 0,
			reason.ResponsePrivate},
		{"not for a status that it does not cover", override, 404,
			[]string{"Cache-Control: max-age=60"}, time.Minute, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := store(tt.rules, get(), httpcache.Requester{},
				response(tt.status, tt.response...))
			if got.Why != tt.why || got.Lifetime != tt.want {
				t.Errorf("%+v; want %v, %q", got, tt.want, tt.why)
			}
		})
	}
}

func TestStatusesThatTTLCovers(t *testing.T) {
	covered := []int{200, 203, 204, 300, 301, 308}
	for status := 200; status < 600; status++ {
		got := store(httpcache.Rules{TTL: time.Hour, HasTTL: true}, get(),
			httpcache.Requester{}, response(status))
		if got.Store != slices.Contains(covered, status) {
			t.Errorf("%d: stored %v, %s", status, got.Store, got.Why)
		}
	}
}

func TestInitialAge(t *testing.T) { // §4.2.3
	for _, tt := range []struct {
		rule     string
		took     time.Duration
		response []string
		want     time.Duration
	}{
		{"none", 0, nil, 0},
		{"Age", 0, []string{"Age: 30"}, 30 * time.Second},
		{"the time that it took is part of it", 2 * time.Second, nil, 2 * time.Second},
		{"and adds to Age", 2 * time.Second, []string{"Age: 30"}, 32 * time.Second},
		{"Date may make it older", 2 * time.Second,
			[]string{"Age: 30", "Date: " + ago(40*time.Second)}, 40 * time.Second},
		{"or not", 2 * time.Second, []string{"Age: 30", "Date: " + ago(20*time.Second)},
			32 * time.Second},
		{"a Date in the future makes it no younger", 0, []string{"Date: " + ahead(time.Hour)}, 0},
		{"a Date that is none says nothing", 0, []string{"Date: 2026-07-01"}, 0},
		{"of two Age the first", 0, []string{"Age: 30", "Age: 0"}, 30 * time.Second},
		{"an Age that is no number says nothing (§5.1)", 0, []string{"Age: -5"}, 0},
		{"a clock that went back makes it no younger", -time.Hour, []string{"Age: 30"},
			30 * time.Second},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			resp := response(200, append(tt.response, "Cache-Control: max-age=100")...)
			resp.RequestTime = now.Add(-tt.took)
			got := store(private, get(), httpcache.Requester{}, resp)
			if !got.Store || got.InitialAge != tt.want {
				t.Errorf("%+v; want %v", got, tt.want)
			}
		})
	}
}

func TestPartsOfASecondSinceDateAreNoAge(t *testing.T) { // Date has none
	resp := response(200, date, "Cache-Control: max-age=1")
	resp.ResponseTime = now.Add(999 * time.Millisecond)
	resp.RequestTime = resp.ResponseTime
	if got := store(private, get(), httpcache.Requester{}, resp); !got.Store ||
		got.InitialAge != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCurrentAge(t *testing.T) { // §4.2.3
	for _, tt := range []struct {
		initial, since, age, ttl time.Duration
	}{
		{0, 0, 0, time.Minute},
		{10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second},
		{10 * time.Second, 50 * time.Second, time.Minute, 0},
		{10 * time.Second, -time.Hour, 10 * time.Second, 50 * time.Second}, // the clock went back
		{httpfield.MaxDelta, 200 * 365 * 24 * time.Hour, httpfield.MaxDelta,
			time.Minute - httpfield.MaxDelta},
	} {
		t.Run(fmt.Sprint(tt.initial, " and ", tt.since), func(t *testing.T) {
			s := httpcache.Stored{
				Status: 200, Fields: fields(), ResponseTime: now, InitialAge: tt.initial,
				Lifetime: time.Minute,
			}
			got := evaluate(private, get(), s, now.Add(tt.since))
			if got.Age != tt.age || got.TTL != tt.ttl || got.Serve != (tt.ttl > 0) {
				t.Errorf("%+v; want age %v, ttl %v", got, tt.age, tt.ttl)
			}
		})
	}
}
