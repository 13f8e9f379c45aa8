package httpfield_test

import (
	"testing"

	"sidecar/internal/httpfield"
)

func TestTargetsAreSplit(t *testing.T) { // RFC 9112 §3.2
	for _, tt := range []struct {
		target, path, query string
		hasQuery, ok        bool
	}{
		{"/a/b", "/a/b", "", false, true},
		{"/a?x=1?2", "/a", "x=1?2", true, true},
		{"/a?", "/a", "", true, true},
		{"//a/%2F", "//a/%2F", "", false, true},
		{"*", "*", "", false, true},
		{"http://api.example", "/", "", false, true},
		{"http://api.example/a?x", "/a", "x", true, true},
		{"http://api.example?x", "/", "x", true, true},
		{"api.example:443", "api.example:443", "", false, false},
		{"", "", "", false, false},
		{"a?x=://b", "a?x=://b", "", false, false},
		{"a", "a", "", false, false},
		{"/a#b", "/a#b", "", false, false},
		{"http://api.example#b", "#b", "", false, false},
		{"/a b", "/a b", "", false, false},
		{"/a?b\x7f", "/a", "b\x7f", true, false},
	} {
		path, query, hasQuery, ok := httpfield.SplitTarget(tt.target)
		if path != tt.path || query != tt.query || hasQuery != tt.hasQuery || ok != tt.ok {
			t.Errorf("%q: %q %q %v %v", tt.target, path, query, hasQuery, ok)
		}
	}
}

func TestTheOriginFormOfATarget(t *testing.T) {
	for target, want := range map[string]string{
		"/a?b=c": "/a?b=c", "//a": "//a", "http://h": "/", "http://h?q": "/?q",
		"http://h/a?b": "/a?b", "https://h:1/": "/", "*": "*",
	} {
		if got, ok := httpfield.OriginForm(target); got != want || !ok {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
