package httpfield

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestHopByHopFields(t *testing.T) { // RFC 9110 §7.6.1
	for _, tt := range []struct {
		rule       string
		connection []string
		name       string
		want       bool
	}{
		{"Connection", nil, "Connection", true},
		{"Keep-Alive", nil, "Keep-Alive", true},
		{"Proxy-Connection", nil, "Proxy-Connection", true},
		{"TE", nil, "Te", true},
		{"Transfer-Encoding", nil, "Transfer-Encoding", true},
		{"Upgrade", nil, "Upgrade", true},
		{"Proxy-Authenticate", nil, "Proxy-Authenticate", true},
		{"Proxy-Authentication-Info", nil, "Proxy-Authentication-Info", true},
		{"Proxy-Authorization", nil, "Proxy-Authorization", true},
		{"Trailer is not", nil, "Trailer", false},
		{"Authorization is not", nil, "Authorization", false},
		{"what Connection names", []string{"close, x-a"}, "X-A", true},
		{"on any of its lines", []string{"close", "X-A"}, "X-A", true},
		{"in any case", []string{"x-A"}, "X-A", true},
		{"what it does not name is not", []string{"x-ab"}, "X-A", false},
		{"a name in an open quote is named", []string{`"b, x-a`}, "X-A", true},
		{"the usual Connection names none", []string{"Keep-Alive"}, "X-A", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			fields := http.Header{"Connection": tt.connection, tt.name: {"v"}, "X-Stays": {"v"}}
			hop := HopOf(Header(fields))
			if got := hop.Has(tt.name); got != tt.want {
				t.Errorf("Has = %v", got)
			}
			hop.Strip(fields)
			if _, left := fields[tt.name]; left == tt.want {
				t.Errorf("left after Strip: %v", left)
			}
			if fields.Get("X-Stays") == "" || fields.Values("Connection") != nil {
				t.Errorf("after Strip: %v", fields)
			}
		})
	}
}

func TestConnectionThatNamesOtherFields(t *testing.T) {
	for _, tt := range []struct {
		rule       string
		connection []string
		want       bool
	}{
		{"none", nil, false},
		{"close", []string{"close"}, false},
		{"close and keep-alive", []string{"close, Keep-Alive"}, false},
		{"an upgrade with its field", []string{"Upgrade, TE"}, false},
		{"a field", []string{"close, X-Tenant"}, true},
		{"an end-to-end field of HTTP", []string{"Authorization"}, true},
		{"something that is no token", []string{`"x"`}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := HopOf(Header{"Connection": tt.connection}).NamesOthers(); got != tt.want {
				t.Error(got)
			}
		})
	}
}

func TestAcceptsTrailers(t *testing.T) { // RFC 9110 §10.1.4
	for _, tt := range []struct {
		te   []string
		want bool
	}{
		{[]string{"trailers"}, true},
		{[]string{"gzip;q=0.5, Trailers"}, true},
		{[]string{"gzip", "trailers"}, true},
		{[]string{"gzip"}, false},
		{[]string{"trailersx"}, false},
		{nil, false},
	} {
		if got := AcceptsTrailers(Header{"Te": tt.te}); got != tt.want {
			t.Errorf("%q: %v", tt.te, got)
		}
	}
}

func FuzzHop(f *testing.F) {
	for _, s := range []string{
		"close", "keep-alive, x-a", `"x-a, b`, "TE, HTTP2-Settings,", "\xff", "x-a x-b",
	} {
		f.Add(s)
	}
	token := regexp.MustCompile("\\A[-!#$%&'*+.^_`|~0-9A-Za-z]+\\z")
	f.Fuzz(func(t *testing.T, s string) {
		fields := http.Header{"Connection": {s}, "X-A": {"1"}, "Date": {"2"}}
		hop := HopOf(Header(fields))
		var others bool
		named := map[string]bool{}
		for _, option := range strings.Split(s, ",") {
			option = strings.ToLower(strings.Trim(option, " \t"))
			named[option] = true
			known := []string{"", "close", "connection", "keep-alive", "proxy-connection", "te",
				"transfer-encoding", "upgrade",
				"proxy-authenticate", "proxy-authentication-info", "proxy-authorization"}
			others = others || !token.MatchString(option) && option != "" ||
				!slices.Contains(known, option)
		}
		if got := hop.NamesOthers(); got != others {
			t.Fatalf("%q names others: %v", s, got)
		}
		hop.Strip(fields)
		for _, name := range []string{"X-A", "Date"} {
			if _, left := fields[name]; left == named[strings.ToLower(name)] ||
				hop.Has(name) == left {
				t.Fatalf("Connection: %q leaves %s: %v", s, name, left)
			}
		}
	})
}
