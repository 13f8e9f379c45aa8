package httpfield

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestForwarded(t *testing.T) { // RFC 7239 §4, §5
	for _, tt := range []struct {
		rule string
		in   Forwarded
		want string
	}{
		{"an IPv4 address needs no quotes", Forwarded{For: "192.0.2.43"}, "for=192.0.2.43"},
		{"an IPv6 address does", Forwarded{For: "[2001:db8::1]"}, `for="[2001:db8::1]"`},
		{"so does a port", Forwarded{Host: "api.example:8080"}, `host="api.example:8080"`},
		{"a host without one does not", Forwarded{Host: "api.example"}, "host=api.example"},
		{"all four", Forwarded{For: "unknown", By: "_sidecar", Host: "h", Proto: "https"},
			"for=unknown;by=_sidecar;host=h;proto=https"},
		{"quotes and backslashes are escaped", Forwarded{Host: `a";for="b\`},
			`host="a\";for=\"b\\"`},
		{"what no field can hold is left out",
			Forwarded{Host: "a\r\nb", Proto: "http"}, "proto=http"},
		{"nothing known, nothing said", Forwarded{}, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := tt.in.String(); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
}

func TestParseForwarded(t *testing.T) { // RFC 7239 §4
	for _, tt := range []struct {
		rule  string
		lines []string
		want  []Forwarded // nil: it cannot be read
	}{
		{"an element of each proxy", []string{"for=192.0.2.43, for=198.51.100.17;proto=https"},
			[]Forwarded{{For: "192.0.2.43"}, {For: "198.51.100.17", Proto: "https"}}},
		{"lines are one list", []string{"for=a", "for=b"}, []Forwarded{{For: "a"}, {For: "b"}}},
		{"all four, in any case and order",
			[]string{`Proto=http;HOST="h:1";by=_b;For="[2001:db8::1]:47011"`},
			[]Forwarded{{For: "[2001:db8::1]:47011", By: "_b", Host: "h:1", Proto: "http"}}},
		{"a quoted comma and semicolon part nothing", []string{`host="a,b;proto=c"`},
			[]Forwarded{{Host: "a,b;proto=c"}}},
		{"blanks around a semicolon, and an empty pair", []string{"for=a ; ;proto=http;"},
			[]Forwarded{{For: "a", Proto: "http"}}},
		{"another parameter says nothing", []string{"for=a;secret=x"}, []Forwarded{{For: "a"}}},
		{"one that comes twice", []string{"proto=http;proto=https"}, nil},
		{"none of two equal ones", []string{"host=a;Host=a"}, nil},
		{"an empty value", []string{`host=""`}, nil},
		{"no value", []string{"for=a;proto"}, nil},
		{"a value that is no token", []string{"for=a:1"}, nil},
		{"a name that is no token", []string{"for=a; pro to=http"}, nil},
		{"blanks around the equals sign", []string{"for = a"}, nil},
		{"a quote that does not end", []string{`for="a`}, nil},
		{"bytes behind a quote", []string{`host="a"b`}, nil},
		{"a fault in another element", []string{"for=a, =b"}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok := ParseForwarded(tt.lines)
			if ok != (tt.want != nil) || !slices.Equal(got, tt.want) {
				t.Errorf("%+v, %v; want %+v", got, ok, tt.want)
			}
		})
	}
}

func TestNode(t *testing.T) { // RFC 7239 §6
	for address, want := range map[string]string{
		"192.0.2.43": "192.0.2.43", "2001:db8::1": "[2001:db8::1]", "": "unknown",
	} {
		if got := Node(address); got != want {
			t.Errorf("Node(%q) = %s; want %s", address, got, want)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("192.0.2.1", "[::1]", `a";for=b`, "http")
	f.Add("", "\xff", "\\", "a\x7f")
	pair := regexp.MustCompile(
		"\\A(for|by|host|proto)=([-!#$%&'*+.^_`|~0-9A-Za-z]+|\"(?:[^\"\\\\\x00-\x08\x0a-\x1f\x7f]|\\\\[^\x00-\x08\x0a-\x1f\x7f])*\")(?:;|\\z)")
	f.Fuzz(func(t *testing.T, client, by, host, proto string) {
		in := map[string]string{"for": client, "by": by, "host": host, "proto": proto}
		for rest := (Forwarded{
			For: client, By: by, Host: host, Proto: proto,
		}).String(); rest != ""; {
			m := pair.FindStringSubmatch(rest)
			if m == nil {
				t.Fatalf("no pair at %q", rest)
			}
			value, ok := ParseQuoted(m[2])
			if !ok {
				value = m[2]
			}
			if in[m[1]] != value {
				t.Fatalf("%s is %q; written as %s", m[1], in[m[1]], m[2])
			}
			delete(in, m[1])
			rest = rest[len(m[0]):]
		}
		for name, value := range in {
			if _, ok := Quote(value); ok && value != "" {
				t.Fatalf("%s=%q is missing", name, value)
			}
		}
	})
}

func TestWhatForwardedSaysOfTheTarget(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{"for=192.0.2.1"}, ""},
		{[]string{"for=192.0.2.1, for=192.0.2.2;by=_x"}, ""},
		{[]string{`FOR="[2001:db8::1]:80"; By=unknown`}, ""},
		{[]string{"for=192.0.2.1;host=a;proto=https;by=_x"}, "host=a;proto=https"},
		{[]string{"for=192.0.2.1;Host=a"}, "Host=a"},
		{[]string{"host=a, for=192.0.2.1"}, "host=a,"},
		{[]string{"for=192.0.2.1", "host=a"}, ",host=a"},
		{[]string{"secret=1;for=x"}, "secret=1"},
		// not certainly an address alone
		{[]string{`for="1;host=evil"`}, `for="1;host=evil"`},
		{[]string{`for="1,host=evil"`}, `for="1,host=evil"`},
		{[]string{`for="a\"b"`}, `for="a\"b"`},
		{[]string{"for=192.0.2.1 host=evil"}, "for=192.0.2.1 host=evil"},
		{[]string{"for = 1"}, "for = 1"},
		{[]string{"for=[::1]"}, "for=[::1]"},
		{[]string{"for"}, "for"},
		{[]string{"for="}, "for="},
		{[]string{`for=1;host="a`}, `for=1;host="a`},
		{[]string{`for="a`, "host=b"}, `for="a,host=b`},
	} {
		if got := ForwardedTarget(c.lines); got != c.want {
			t.Errorf("%q: %q, want %q", c.lines, got, c.want)
		}
	}
}

func FuzzForwardedTarget(f *testing.F) {
	f.Add("for=192.0.2.1;host=a, by=b;proto=https", "for=1")
	f.Add(`for="a;host=b", host="c\""`, ";,=")
	f.Fuzz(func(t *testing.T, one, two string) {
		got := ForwardedTarget([]string{one, two})
		for _, name := range []string{"host=", "proto="} {
			if strings.Count(got, name) != strings.Count(one, name)+strings.Count(two, name) {
				t.Errorf("%q, %q: %q", one, two, got)
			}
		}
	})
}
