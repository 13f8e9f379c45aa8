package httpcache_test

import (
	"slices"
	"testing"

	"sidecar/internal/httpcache"
)

func TestInvalidatedURIs(t *testing.T) { // RFC 9111 §4.4; the request is to api.example/a/b
	for _, tt := range []struct {
		rule   string
		fields []string
		want   []string
	}{
		{"none", nil, nil},
		{"a path", []string{"Location: /x/1"}, []string{"/x/1"}},
		{"Content-Location too", []string{"Location: /x/1", "Content-Location: /x/2"},
			[]string{"/x/1", "/x/2"}},
		{"the same twice is one", []string{"Location: /x/1", "Content-Location: /x/1"},
			[]string{"/x/1"}},
		{"every line of it", []string{"Location: /x/1", "Location: /x/2"},
			[]string{"/x/1", "/x/2"}},
		{"query and fragment are no part of a path",
			[]string{"Location: /x/1?a=/b#c", "Content-Location: /y#?"}, []string{"/x/1", "/y"}},
		{"the path stays as it is written", []string{"Location: /x/%2F//../é;v=1"},
			[]string{"/x/%2F//../é;v=1"}},
		{"a relative path", []string{"Location: c"}, []string{"/a/c"}},
		{"a relative path with a colon later on", []string{"Location: ./c:d"},
			[]string{"/a/./c:d"}},
		{"a query alone is the request's own path", []string{"Location: ?page=2"},
			[]string{"/a/b"}},
		{"an absolute URI", []string{"Location: https://api.example/x"}, []string{"/x"}},
		{"with the scheme in any case and a host in any case",
			[]string{"Location: HTTP://API.example/x"}, []string{"/x"}},
		{"with a default port", []string{
			"Location: http://api.example:80/x", "Content-Location: https://api.example:443/y",
		}, []string{"/x", "/y"}},
		{"with a user", []string{"Location: http://u:p@api.example/x"}, []string{"/x"}},
		{"without a path", []string{"Location: http://api.example"}, []string{"/"}},
		{"without a path but a query", []string{"Location: http://api.example?a/b"}, []string{"/"}},
		{"without a scheme", []string{"Location: //api.example/x"}, []string{"/x"}},
		{"another host", []string{"Location: https://other.example/x"}, nil},
		{"a host that begins alike", []string{"Location: https://api.example.org/x"}, nil},
		{"a host that is another's user",
			[]string{"Location: https://api.example@other.example/x"}, nil},
		{"another port", []string{"Location: http://api.example:8080/x"}, nil},
		{"another host without a scheme", []string{"Location: //other.example/x"}, nil},
		{"another scheme", []string{"Location: ftp://api.example/x"}, nil},
		{"no authority", []string{"Location: http:/x", "Content-Location: mailto:a@b"}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			req := get()
			req.Method = "POST"
			if got := httpcache.InvalidatedURIs(req, 201,
				fields(tt.fields...)); !slices.Equal(got, tt.want) {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
}

func TestWhatInvalidates(t *testing.T) { // §4.4
	for _, tt := range []struct {
		method string
		status int
		want   bool
	}{
		{"POST", 200, true}, {"PUT", 204, true}, {"DELETE", 202, true}, {"PATCH", 200, true},
		{"POST", 303, true}, {"POST", 399, true},
		{"FROBNICATE", 200, true}, {"get", 200, true}, // unknown: not known to be safe
		{"GET", 200, false}, {"HEAD", 200, false}, {"OPTIONS", 200, false}, {"TRACE", 200, false},
		{"POST", 400, false}, {"POST", 500, false}, {"POST", 101, false},
	} {
		req := get()
		req.Method = tt.method
		if got := httpcache.InvalidatedURIs(req, tt.status,
			fields("Location: /x")); (got != nil) != tt.want {
			t.Errorf("%s, %d: %q", tt.method, tt.status, got)
		}
	}
}

func TestAuthorityWithAPort(t *testing.T) {
	req := get()
	req.Method, req.Authority = "POST", "[::1]:8080"
	if got := httpcache.InvalidatedURIs(req, 200,
		fields("Location: http://[::1]:8080/x",
			"Content-Location: http://[::1]/y")); !slices.Equal(got, []string{"/x"}) {
		t.Errorf("%q", got)
	}
}
