package cachekeys_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// fieldsOf are fields of "Name: value" lines.
func fieldsOf(lines ...string) httpfield.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		name = http.CanonicalHeaderKey(name)
		h[name] = append(h[name], value)
	}
	return httpfield.Header(h)
}

func TestTargetIsWhatTheBackendIsToldBesideHost(t *testing.T) {
	one := func(name string, values ...string) []cachekeys.Vary {
		return []cachekeys.Vary{{Name: name, Values: values}}
	}
	for _, c := range []struct {
		name       string
		came, sent []string // sent nil: as it came
		want       []cachekeys.Vary
	}{
		{"nothing", []string{"Accept: a"}, nil, nil},
		{"a scheme", []string{"X-Forwarded-Proto: https"}, nil, one("X-Forwarded-Proto", "https")},
		{"the scheme that the sidecar sets", []string{"X-Forwarded-Proto: http"}, nil, nil},
		{"a host", []string{"X-Forwarded-Host: evil.example"}, nil,
			one("X-Forwarded-Host", "evil.example")},
		{"a host in other letters", []string{"X-Forwarded-Host: API.example"}, nil,
			one("X-Forwarded-Host", "API.example")},
		{"the host that the sidecar sets", []string{"X-Forwarded-Host: api.example"}, nil, nil},
		{"two hosts", []string{"X-Forwarded-Host: a", "X-Forwarded-Host: api.example"}, nil,
			one("X-Forwarded-Host", "a", "api.example")},
		{"a list of hosts", []string{"X-Forwarded-Host: a, b"}, nil,
			one("X-Forwarded-Host", "a, b")},
		{"port, prefix and scheme, by name",
			[]string{"X-Forwarded-Proto: https", "X-Forwarded-Prefix: /a",
				"X-Forwarded-Port: 8443"}, nil, []cachekeys.Vary{
				{Name: "X-Forwarded-Port", Values: []string{"8443"}},
				{Name: "X-Forwarded-Prefix", Values: []string{"/a"}},
				{Name: "X-Forwarded-Proto", Values: []string{"https"}},
			}},
		{"fields that are dropped or replaced",
			[]string{"X-Forwarded-Proto: https", "X-Forwarded-Port: 1", "Forwarded: host=evil"},
			[]string{"X-Forwarded-Proto: http",
				"Forwarded: for=203.0.113.7;host=api.example;proto=http"}, nil},
		{"a client's address", []string{"X-Forwarded-For: 203.0.113.7", "X-Real-Ip: 203.0.113.7"},
			nil, nil},
		{"Forwarded", []string{`Forwarded: for=203.0.113.7;host=evil.example;proto=https`}, nil,
			one("Forwarded", "host=evil.example;proto=https")},
		{"Forwarded with an address alone", []string{"Forwarded: for=203.0.113.7"}, nil,
			one("Forwarded", "")},
		{"fields of older proxies", []string{
			"X-Forwarded-Scheme: https", "X-Forwarded-Ssl: on", "Front-End-Https: on",
		}, nil, []cachekeys.Vary{
			{Name: "Front-End-Https", Values: []string{"on"}},
			{Name: "X-Forwarded-Scheme", Values: []string{"https"}},
			{Name: "X-Forwarded-Ssl", Values: []string{"on"}},
		}},
		{"another name of the host", []string{"X-Host: evil.example"}, nil,
			one("X-Host", "evil.example")},
	} {
		req := httpfield.Request{Authority: "api.example", Fields: fieldsOf(c.came...)}
		if c.sent != nil {
			req.Sent = fieldsOf(c.sent...)
		}
		if got, plain, few := cachekeys.Target(&req); !reflect.DeepEqual(got, c.want) || !plain ||
			!few {
			t.Errorf("%s: %q, %t; want %q", c.name, got, plain, c.want)
		}
	}
}

func TestANameThatServersTakeForAnotherIsNotPlain(t *testing.T) {
	for _, name := range []string{
		"X_forwarded_host", "Accept_language", "Accept-Language_", "X.tenant", "X!a", "X~a",
		"_", "X-A_b", "X'a",
	} {
		req := httpfield.Request{Fields: httpfield.Header{name: {"a"}, "Accept": {"a"}}}
		if _, plain, _ := cachekeys.Target(&req); plain {
			t.Errorf("%s is plain", name)
		}
	}
}

func TestTargetCostsNothingWhereNothingIsTold(t *testing.T) {
	req := httpfield.Request{
		Authority: "api.example", Fields: fieldsOf("Accept: a", "User-Agent: b", "X-Request-Id: c",
			"X-Forwarded-For: 203.0.113.7"),
	}
	if n := testing.AllocsPerRun(100, func() { cachekeys.Target(&req) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
