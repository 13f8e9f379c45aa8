package httpcache_test

import (
	"net/http"
	"reflect"
	"testing"

	"sidecar/internal/httpcache"
)

func TestStorableFields(t *testing.T) { // RFC 9111 §3.1
	for _, tt := range []struct {
		rule  string
		rules httpcache.Rules
		in    []string
		strip []string
		want  http.Header
	}{
		{"all fields are stored as they came, Date too", private,
			[]string{"X-A: 1", "X-A: 2", date, "Warning: 110 - x", "Cache-Status: CDN; hit"}, nil,
			http.Header{
				"X-A": {"1", "2"}, "Date": {ahead(0)}, "Warning": {"110 - x"},
				"Cache-Status": {"CDN; hit"},
			}},
		{"but those of this hop", private,
			[]string{"X-A: 1", "Connection: close", "Keep-Alive: 1", "Proxy-Connection: x",
				"Transfer-Encoding: chunked", "Upgrade: x", "TE: x"}, nil,
			http.Header{"X-A": {"1"}}},
		{"those of proxies", private, []string{
			"X-A: 1", "Proxy-Authenticate: x", "Proxy-Authorization: x",
			"Proxy-Authentication-Info: x",
		}, nil,
			http.Header{"X-A": {"1"}}},
		{"those that Connection names", private,
			[]string{"X-A: 1", "Connection: close, x-b", "X-B: 1"}, nil, http.Header{"X-A": {"1"}}},
		{"Age and Trailer", private, []string{"X-A: 1", "Age: 5", "Trailer: X-T"}, nil,
			http.Header{"X-A": {"1"}}},
		{"§5.2.2.4 those that no-cache names", private,
			[]string{`Cache-Control: no-cache="x-a, x-b"`, "X-A: 1", "X-B: 1", "X-C: 1"}, nil,
			http.Header{"Cache-Control": {`no-cache="x-a, x-b"`}, "X-C": {"1"}}},
		{"§5.2.2.7 those that private names, in a shared cache", shared,
			[]string{`Cache-Control: private=x-a`, "X-A: 1", "X-B: 1"}, nil,
			http.Header{"Cache-Control": {"private=x-a"}, "X-B": {"1"}}},
		{"§5.2.2.7 not in a private one", private,
			[]string{`Cache-Control: private=x-a`, "X-A: 1"}, nil,
			http.Header{"Cache-Control": {"private=x-a"}, "X-A": {"1"}}},
		{"those that the policy strips, by name", private,
			[]string{"X-Request-Id: 1", "X-Request-Id2: 2"}, []string{"x-request-ID"},
			http.Header{"X-Request-Id2": {"2"}}},
		{"or by prefix, which is one itself", private,
			[]string{"RateLimit: 1", "RateLimit-Policy: 2", "X-RateLimit: 3", "Rate: 4"},
			[]string{"RateLimit*"},
			http.Header{"X-Ratelimit": {"3"}, "Rate": {"4"}}},
		{"RFC 9213 not what is said to this cache: it counts again after a validation", private,
			[]string{"CDN-Cache-Control: max-age=1", "Surrogate-Control: x"}, []string{"*"},
			http.Header{"Cdn-Cache-Control": {"max-age=1"}}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := httpcache.StorableFields(tt.rules, fields(tt.in...),
				tt.strip); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%v; want %v", got, tt.want)
			}
		})
	}
}

func TestStorableFieldsAreACopy(t *testing.T) {
	in := fields("X-A: 1")
	httpcache.StorableFields(private, in, nil)["X-A"][0] = "2"
	if in["X-A"][0] != "1" {
		t.Error("the response's own fields were changed")
	}
}
