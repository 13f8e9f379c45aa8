package httpcache_test

import (
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
)

func TestTargetedFields(t *testing.T) { // RFC 9213 §2.1, §2.2
	for _, c := range []struct {
		name     string
		response []string
		lifetime time.Duration
		why      reason.Reason
	}{
		{"a targeted field wins over Cache-Control",
			[]string{"CDN-Cache-Control: max-age=60", "Cache-Control: no-store"}, time.Minute, ""},
		{"it wins over Expires", []string{
			"CDN-Cache-Control: max-age=60", "Expires: " + ahead(time.Hour),
		}, time.Minute, ""},
		{"one without a lifetime leaves none, whatever Expires says",
			[]string{"CDN-Cache-Control: public", "Expires: " + ahead(time.Hour)}, 0,
			reason.NoLifetime},
		{"the narrower field wins", []string{
			"Sidecar-Cache-Control: max-age=30", "CDN-Cache-Control: max-age=60",
		}, 30 * time.Second, ""},
		{"its no-store counts", []string{
			"Sidecar-Cache-Control: no-store", "Cache-Control: max-age=60",
		}, 0, reason.ResponseNoStore},
		{"an invalid one is ignored", []string{
			"Sidecar-Cache-Control: max-age=", "CDN-Cache-Control: max-age=60",
		}, time.Minute, ""},
		{"so are two that are invalid",
			[]string{"Sidecar-Cache-Control: =", "CDN-Cache-Control: max-age=60,,",
				"Cache-Control: max-age=10"}, 10 * time.Second, ""},
		{"an empty one is ignored", []string{"CDN-Cache-Control: ", "Cache-Control: max-age=10"},
			10 * time.Second, ""},
		{"of another's nobody knows anything",
			[]string{"Other-Cache-Control: no-store", "Cache-Control: max-age=10"},
			10 * time.Second, ""},
		{"names are case-sensitive, unlike those of Cache-Control",
			[]string{"CDN-Cache-Control: max-age=60, No-Store;x"}, 0, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := store(httpcache.Rules{}, get(), httpcache.Requester{},
				response(200, c.response...))
			// an upper-case key makes the whole field invalid: nothing states a lifetime
			if c.why == "invalid" {
				if got.Store {
					t.Errorf("stored for %v", got.Lifetime)
				}
				return
			}
			if got.Why != c.why || got.Lifetime != c.lifetime {
				t.Errorf("stored %t for %v, %q; want %v, %q",
					got.Store, got.Lifetime, got.Why, c.lifetime, c.why)
			}
		})
	}
}
