package httpfield

import (
	"slices"
	"testing"
)

func TestHostIsOneSpellingOfAnAuthority(t *testing.T) {
	for want, all := range map[string][]string{
		"api.example": {
			"api.example", "API.Example", "api.example:80", "api.example:443", "api.example:",
			"api.example.", "api.example.:80", "api.example..",
			"api.example:0080", "%61pi.example", "api%2eexample", "user:pw@api.example",
		},
		"api.example:8080":   {"api.example:8080", "API.example:08080", "api.example.:8080"},
		"[::1]":              {"[::1]", "[::1]:80", "[0:0:0:0:0:0:0:1]:443", "[::0001]:"},
		"[::1]:8080":         {"[::1]:8080", "[0::1]:8080"},
		"[2001:db8::80]":     {"[2001:db8::80]", "[2001:DB8::80]:80"},
		"":                   {"", ":80", "."},
		"api.example:8o":     {"api.example:8o"},
		"xn--mnchen-3ya.org": {"XN--MNCHEN-3YA.org"},
	} {
		for _, authority := range all {
			if got := Host(authority); got != want {
				t.Errorf("%q: %q, want %q", authority, got, want)
			}
		}
	}
}

func TestHostsAreAllThatTheBackendIsTold(t *testing.T) {
	for _, c := range []struct {
		sent     Header
		want     []string
		overflow bool
	}{
		{nil, []string{"api.example"}, false},
		{Header{"X-Forwarded-Host": {"API.example:443"}}, []string{"api.example"}, false},
		{Header{"X-Forwarded-Host": {"a, b:80"}}, []string{"api.example", "a", "b"}, false},
		{Header{"Forwarded": {`for=1;host="c:80", host=d`}},
			[]string{"api.example", "c", "d"}, false},
		{Header{"X-Forwarded-Host": {"a", "b", "c", "d"}},
			[]string{"api.example", "a", "b", "c"}, true},
	} {
		if got, overflow := Hosts("api.example:80", c.sent); !slices.Equal(got, c.want) ||
			overflow != c.overflow {
			t.Errorf("%q: %q, %t", c.sent, got, overflow)
		}
	}
}
