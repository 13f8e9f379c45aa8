package proxy_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sidecar/internal/backend"
	"sidecar/internal/httpfield"
	"sidecar/policy"
)

// TestTwoRequestsThatTellTheBackendDifferentTargetsHaveTwoKeys compares the keys of two requests
// with the requests that the backend gets: under one key only the client's address, and fields that
// no rule names, may differ.
func TestTwoRequestsThatTellTheBackendDifferentTargetsHaveTwoKeys(t *testing.T) {
	b, err := backend.New(backend.Options{
		URL: "http://127.0.0.1:1", Via: true,
		Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	check(t, err)
	table, _, err := policy.Load([]byte(`version: 1
routes: [{match: "GET /{rest...}", cache: {scope: shared, ttl: 1h, vary: [X-Real-IP, Accept]}}]`),
		policy.Options{
			Secret: func() []byte { return []byte("a key for this test") }, MaxInspect: 1 << 20,
		})
	check(t, err)

	values := map[string][]string{
		"X-Forwarded-Host":  {"a", "b", "a, b", "A"},
		"X-Forwarded-Proto": {"http", "https", "https, http"}, "X-Forwarded-Port": {"80", "443"},
		"X-Forwarded-Prefix": {"/a", "/b"}, "X-Forwarded-Scheme": {"https"}, "X-Host": {"a", "b"},
		"Front-End-Https": {"on"},
		"Forwarded": {"for=192.0.2.1", "for=192.0.2.1;host=a", "for=192.0.2.2;host=a",
			"host=b;proto=https", `for="x;host=b"`, `host="a`},
		"X-Forwarded-For": {"192.0.2.1", "192.0.2.2"}, "X-Real-Ip": {"192.0.2.1", "192.0.2.3"},
		"Accept": {"a/b", "c/d"}, "X-Other": {"1", "2"},
	}
	draw := func(t *rapid.T, label string) *http.Request {
		r := httptest.NewRequest(http.MethodGet,
			rapid.SampledFrom([]string{"/p", "/q", "/p?", "/p?x"}).Draw(t, label+" target"), nil)
		r.Host = rapid.SampledFrom([]string{"a", "b", "A", "a:80"}).Draw(t, label+" host")
		r.RemoteAddr = rapid.SampledFrom([]string{
			"10.0.0.1:1", "10.0.0.2:1", "192.0.2.1:1", "192.0.2.3:1",
		}).Draw(t, label+" peer")
		for range rapid.IntRange(0, 3).Draw(t, label+" fields") {
			name := rapid.SampledFrom(slices.Sorted(func(yield func(string) bool) {
				for name := range values {
					if !yield(name) {
						return
					}
				}
			})).Draw(t, label+" name")
			r.Header[name] = append(r.Header[name],
				rapid.SampledFrom(values[name]).Draw(t, label+" value"))
		}
		return r
	}
	// told is the backend's request, without the fields that do not count.
	told := func(r *http.Request) string {
		out, ok := b.Outgoing(r, r.URL.RawQuery)
		if !ok {
			return ""
		}
		parts := []string{out.Host, r.RequestURI}
		for name := range values {
			switch lines := out.Header()[name]; name {
			case "X-Forwarded-For", "X-Other":
			case "Forwarded":
				text := strings.Join(lines, ",")
				for _, node := range []string{
					"192.0.2.1", "192.0.2.2", "192.0.2.3", "10.0.0.1", "10.0.0.2",
				} {
					text = strings.ReplaceAll(text, "for="+node, "for")
				}
				parts = append(parts, name+fmt.Sprintf("%q", strings.ReplaceAll(text, "for;", "")))
			default:
				parts = append(parts, name+fmt.Sprintf("%q", strings.Join(lines, ",")))
			}
		}
		slices.Sort(parts[2:])
		return fmt.Sprintf("%q", parts)
	}
	key := func(t *rapid.T, r *http.Request) string {
		sent := b.Fields(r)
		path, query, has, _ := httpfield.SplitTarget(r.RequestURI)
		p := table.Plan(httpfield.Request{Method: r.Method, Authority: r.Host, Path: path,
			Query: query, HasQuery: has,
			Fields: httpfield.Header(r.Header), Sent: &sent}, time.Unix(0, 0))
		if p.Kind != policy.Read {
			t.Fatalf("%q: bypass %q", r.Header, p.Bypass)
		}
		return p.Read.Primary.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		one, two := draw(t, "one"), draw(t, "two")
		if rapid.Bool().Draw(t, "neighbours") {
			other := two.Header
			two = httptest.NewRequest(http.MethodGet, one.RequestURI, nil)
			two.Host, two.RemoteAddr, two.Header = one.Host, one.RemoteAddr, one.Header.Clone()
			for name, lines := range other {
				two.Header[name] = lines
			}
		}
		if a, b := told(one), told(two); a != b && key(t, one) == key(t, two) {
			t.Fatalf("one key for\n%s\n%s", a, b)
		}
	})
}
