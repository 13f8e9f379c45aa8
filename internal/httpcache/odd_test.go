package httpcache_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

func TestErrorsThatMayAnswerAFieldOfTheRequest(t *testing.T) {
	long := strings.Repeat("a", 5000)
	for _, c := range []struct {
		field string
		odd   bool
	}{
		{"Accept: application/json", false}, {"Accept: */*", false},
		{"Accept: text/html;q=0.9, image/*", false}, {"Accept-Language: en, de;q=0.5", false},
		{"Accept-Encoding: ", false}, {"Range: bytes=0-9", false},
		{`If-None-Match: "a", W/"b"`, false}, {"Referer: https://api.example/a", false},
		{"User-Agent: Mozilla/5.0 (X11; Linux)", false}, {"X-Whatever: a b, c", false},
		{"Cache-Control: no-cache", false},
		{"X-Long: " + long, true}, {"Accept: x/y", true}, {"Accept: json", true},
		{"Accept: ", true}, {"Accept: */json", true}, {"Accept-Language: en;q=2", true},
		{"Accept-Charset: @", true}, {"Content-Type: application/json", true},
		{"Max-Forwards: 0", true}, {"Expect: 100-continue", true}, {"Range: lines=1", true},
		{"Range: bytes=x", true}, {"If-None-Match: a", true},
		{"If-Modified-Since: yesterday", true}, {"If-Range: a", true}, {"Origin: a b", true},
		{"X-Whatever: a\x01", true}, {"Authorization: Basic x y", true},
		{"Authorization: Bearer", false}, {"Authorization: (", true},
		{"X-Whatever: \xff", false}, {"Authorization: Basic eDp5", false},
		{`Authorization: Digest username="a", realm="b"`, false},
		{"Authorization: Digest username", false}, {"Authorization: Digest a=1, b", true},
		{"Content-Length: x", true},
	} {
		req := get()
		name, value, _ := strings.Cut(c.field, ": ")
		req.Fields = httpfield.Header{http.CanonicalHeaderKey(name): {value}}
		for _, status := range []int{400, 401, 403, 404, 405, 410, 414, 422, 451, 500, 501, 503} {
			want := reason.Reason("")
			switch status {
			case 404, 405, 410, 414, 451, 501:
			default:
				if c.odd {
					want = reason.FieldError
				}
			}
			rules := httpcache.Rules{Shared: true}
			demand := httpcache.Read(rules, req)
			resp := response(status, "Cache-Control: public, max-age=60")
			if got := httpcache.Store(rules, &demand, httpcache.Requester{},
				resp); got.Why != want {
				t.Errorf("%.30s, %d: %q, want %q", c.field, status, got.Why, want)
			}
			rules = httpcache.Rules{} // one caller's own
			if got := httpcache.Store(rules, &demand, httpcache.Requester{}, resp); !got.Store {
				t.Errorf("private, %.30s, %d: %q", c.field, status, got.Why)
			}
		}
	}
}

// Without ttl the API's own lifetime counts, for every status (RFC 9111 §3).
func TestAnErrorWithALifetimeOfItsOwnIsStoredWhereNoFieldIsOdd(t *testing.T) {
	for _, status := range []int{
		400, 401, 402, 403, 406, 407, 408, 409, 411, 413, 415, 417, 418, 421, 422, 423, 424, 425,
		426, 499, 500, 502, 503, 504, 599,
	} {
		for _, vary := range []string{"Origin", "Accept"} {
			req := get()
			req.Fields = httpfield.Header{"Accept": {"image/png"}}
			rules := httpcache.Rules{Shared: true}
			demand := httpcache.Read(rules, req)
			if got := httpcache.Store(rules, &demand, httpcache.Requester{Credentials: true},
				response(status, "Cache-Control: public, max-age=60", "Vary: "+vary)); !got.Store {
				t.Errorf("%d that varies on %s: %q", status, vary, got.Why)
			}
		}
	}
}

func TestOnASharedRouteWithTTLOnlyThePolicyStoresErrorsThatMayAnswerAField(t *testing.T) {
	plain := get()
	for status := 400; status < 600; status++ {
		rules := httpcache.Rules{Shared: true, HasTTL: true, TTL: 60e9}
		demand := httpcache.Read(rules, plain)
		resp := response(status, "Cache-Control: public, max-age=60")
		got := httpcache.Store(rules, &demand, httpcache.Requester{}, resp)
		switch status {
		case 404, 405, 410, 414, 451, 501:
			if !got.Store {
				t.Errorf("%d: %q", status, got.Why)
			}
			continue
		case 412, 416, 428, 429, 431, 511:
			if got.Why != reason.StatusNotStorable {
				t.Errorf("%d: %q", status, got.Why)
			}
			continue
		}
		if got.Why != reason.FieldError {
			t.Errorf("%d: %q", status, got.Why)
		}
		rules.Status = map[int]time.Duration{status: 60e9}
		if got := httpcache.Store(rules, &demand, httpcache.Requester{}, resp); !got.Store {
			t.Errorf("%d, named: %q", status, got.Why)
		}
	}
}

func TestSupersedes(t *testing.T) {
	tagged := func(tag string) httpfield.Fields {
		if tag == "" {
			return httpfield.Header{}
		}
		return httpfield.Header{"Etag": {tag}}
	}
	for _, c := range []struct {
		status  int
		tag     string
		held    int
		heldTag string
		want    bool
	}{
		{200, "", 200, "", true}, {301, "", 200, "", true}, {200, "", 404, "", true},
		{404, "", 200, "", false}, {500, "", 301, "", false}, {404, "", 206, "", false},
		{404, `"b"`, 200, `"a"`, false}, {404, "", 410, "", true},
		{206, "", 200, "", false}, {206, `"a"`, 200, "", false}, {206, "", 200, `"a"`, false},
		{206, `"a"`, 200, `"a"`, false},
		{206, `"b"`, 200, `"a"`, true}, {206, `W/"b"`, 200, `"a"`, false}, {206, "", 206, "", true},
		{206, "", 301, "", false}, {206, "", 404, "", true},
	} {
		if got := httpcache.Supersedes(c.status, tagged(c.tag), c.held,
			tagged(c.heldTag)); got != c.want {
			t.Errorf("%d %s over %d %s: %t", c.status, c.tag, c.held, c.heldTag, got)
		}
		if httpcache.MaySupersede(c.status) && !c.want {
			t.Errorf("%d may always, but not over %d", c.status, c.held)
		}
	}
}
