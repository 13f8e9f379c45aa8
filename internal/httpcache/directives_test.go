package httpcache_test

import (
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
)

// response_directives: ignore. TTL and status alone decide; fields for this cache alone still
// count.
func TestThePolicyCanIgnoreTheResponsesOwnDirectives(t *testing.T) {
	rules := httpcache.Rules{
		TTL: time.Minute, HasTTL: true, Status: map[int]time.Duration{404: 10 * time.Second},
		IgnoreResponse: true,
	}
	inShared := rules
	inShared.Shared = true
	for _, c := range []struct {
		what   string
		rules  httpcache.Rules
		status int
		fields []string
		want   time.Duration
		why    reason.Reason
	}{
		{"no-store", rules, 200, []string{"Cache-Control: no-store"}, time.Minute, ""},
		{"no-cache", rules, 200, []string{
			"Cache-Control: no-cache, must-revalidate", "Pragma: no-cache",
		}, time.Minute, ""},
		{"a lifetime", rules, 200, []string{"Cache-Control: max-age=3600", "Expires: 0"},
			time.Minute, ""},
		{"a malformed one", rules, 200, []string{"Cache-Control: max-age=x, ="}, time.Minute, ""},
		{"private in a shared cache", inShared, 200,
			[]string{"Cache-Control: private"}, time.Minute, ""},
		{"a status with a lifetime", rules, 404, []string{"Cache-Control: no-store"},
			10 * time.Second, ""},
		{"a status without", rules, 500, []string{"Cache-Control: max-age=60"}, 0,
			reason.StatusNotStorable},
		{"a field for this cache", rules, 200, []string{"Sidecar-Cache-Control: no-store"}, 0,
			reason.ResponseNoStore},
		{"Vary", rules, 200, []string{"Cache-Control: no-store", "Vary: *"}, 0, reason.VaryAny},
	} {
		d := httpcache.Read(c.rules, get())
		got := httpcache.Store(c.rules, &d, httpcache.Requester{}, response(c.status, c.fields...))
		if got.Why != c.why || got.Lifetime != c.want {
			t.Errorf("%s: %v, %q; want %v, %q", c.what, got.Lifetime, got.Why, c.want, c.why)
		}
	}
	d := httpcache.Read(inShared, get("Authorization: Bearer x"))
	if got := httpcache.Store(inShared, &d, httpcache.Requester{},
		response(200, "Cache-Control: public")); got.Why != reason.Authorized {
		t.Errorf("credentials in a shared cache: %q", got.Why)
	}
}
