package backend_test

import (
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sidecar/internal/backend"
)

func prefixes(t *testing.T, list ...string) (parsed []netip.Prefix) {
	t.Helper()
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, p)
	}
	return parsed
}

func TestForwardingFields(t *testing.T) {
	b := newBackend(t,
		backend.Options{URL: "http://127.0.0.1:1", Trusted: prefixes(t, "10.0.0.0/8", "fd00::/8")})
	const untrusted, trusted = "203.0.113.9:4711", "10.1.2.3:4711"
	// set are the fields for a client of which nothing else is known.
	set := func(client, node string) http.Header {
		return http.Header{
			"X-Forwarded-For": {client}, "X-Real-Ip": {client}, "X-Forwarded-Host": {"api.example"},
			"X-Forwarded-Proto": {"http"},
			"Forwarded":         {"for=" + node + ";host=api.example;proto=http"},
		}
	}
	// with is h with other fields.
	with := func(h, other http.Header) http.Header {
		h = h.Clone()
		maps.Copy(h, other)
		return h
	}
	forged := http.Header{
		"X-Forwarded-For": {"1.1.1.1", "2.2.2.2"}, "X-Real-Ip": {"1.1.1.1"},
		"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"https"},
		"Forwarded": {"for=1.1.1.1", "for=2.2.2.2;proto=https"},
	}
	user := http.Header{
		"X-Forwarded-User": {"u"}, "X-Forwarded-User-Id": {"u"}, "X-Forwarded-Email": {"e"},
		"X-Forwarded-Groups":             {"g"},
		"X-Forwarded-Preferred-Username": {"n"}, "X-Forwarded-Access-Token": {"t"},
		"X-Forwarded-Client-Cert": {"c"},
		"X-Forwarded-Id-Token":    {"t"}, "X-Forwarded-Tls-Client-Cert-Info": {"i"},
	}
	underscores := http.Header{
		"X_forwarded_for": {"1.1.1.1"}, "X-Forwarded_host": {"evil.example"},
		"X_real_ip": {"1.1.1.1"}, "X_real-Ip": {"1.1.1.1"},
	}
	for _, tt := range []struct {
		name   string
		remote string
		sent   http.Header
		want   http.Header // all that the backend gets
	}{
		{"an untrusted peer: set", untrusted, nil, set("203.0.113.9", "203.0.113.9")},
		{"an untrusted peer: replaced", untrusted, forged, set("203.0.113.9", "203.0.113.9")},
		{"an untrusted peer: other spellings are dropped", untrusted, underscores,
			set("203.0.113.9", "203.0.113.9")},
		{
			"an untrusted peer: others of the family are dropped", untrusted,
			http.Header{
				"X-Forwarded-Port": {"1"}, "X-Forwarded-Prefix": {"/a"},
				"X-Forwarded-Server": {"s"}, "X-Forwarded-Ssl": {"on"},
				"X-Forwarded-Anything": {"x"},
			},
			set("203.0.113.9", "203.0.113.9"),
		},
		{"an untrusted peer: credentials pass", untrusted, user,
			with(set("203.0.113.9", "203.0.113.9"), user)},
		{
			"an untrusted peer: other fields pass", untrusted,
			http.Header{"X-Forwardedfor": {"1"}, "X-Real-Ip-2": {"1"}, "Forwarded-For": {"1"}},
			with(set("203.0.113.9", "203.0.113.9"),
				http.Header{"X-Forwardedfor": {"1"}, "X-Real-Ip-2": {"1"}, "Forwarded-For": {"1"}}),
		},
		{"an untrusted peer of IPv6", "[2001:db8::1]:4711", forged,
			set("2001:db8::1", `"[2001:db8::1]"`)},
		{"an untrusted peer of IPv6 with a zone", "[fe80::1%eth0]:4711", nil,
			set("fe80::1", `"[fe80::1]"`)},
		{"an untrusted peer of IPv4 in IPv6", "[::ffff:203.0.113.9]:4711", forged,
			set("203.0.113.9", "203.0.113.9")},
		{"a trusted peer: set", trusted, nil, set("10.1.2.3", "10.1.2.3")},
		{"a trusted peer: unchanged", trusted, forged, forged},
		{"a trusted peer: other spellings of fields that are set are dropped", trusted,
			with(forged, underscores), forged},
		{
			"a trusted peer: other spellings pass where nothing is set", trusted,
			with(forged,
				http.Header{"X_forwarded_port": {"1"}, "X_tenant": {"a"}, "X.tenant": {"a"}}),
			with(forged,
				http.Header{"X_forwarded_port": {"1"}, "X_tenant": {"a"}, "X.tenant": {"a"}}),
		},
		{
			"an untrusted peer: any byte for '-'", untrusted,
			http.Header{
				"X.forwarded.for": {"1.1.1.1"}, "X~real~ip": {"1.1.1.1"}, "X!forwarded!port": {"1"},
			},
			set("203.0.113.9", "203.0.113.9"),
		},
		{"a trusted peer: credentials pass", trusted, with(forged, user), with(forged, user)},
		{"a trusted peer of IPv6", "[fd00::1]:4711", forged, forged},
		{"a trusted peer of IPv4 in IPv6", "[::ffff:10.1.2.3]:4711", forged, forged},
		{
			"a trusted peer: absent ones agree with X-Forwarded-For", trusted,
			http.Header{"X-Forwarded-For": {"198.51.100.7"}},
			set("198.51.100.7", "198.51.100.7"),
		},
		{
			"a trusted peer: the client is the last that is no trusted proxy", trusted,
			http.Header{"X-Forwarded-For": {"1.1.1.1, 198.51.100.7", "fd00::2, 10.0.0.2"}},
			with(set("198.51.100.7", "198.51.100.7"),
				http.Header{"X-Forwarded-For": {"1.1.1.1, 198.51.100.7", "fd00::2, 10.0.0.2"}}),
		},
		{
			"a trusted peer: the first if all are trusted", trusted,
			http.Header{"X-Forwarded-For": {"10.0.0.4, 10.0.0.3, 10.0.0.2"}},
			with(set("10.0.0.4", "10.0.0.4"),
				http.Header{"X-Forwarded-For": {"10.0.0.4, 10.0.0.3, 10.0.0.2"}}),
		},
		{
			"a trusted peer: nothing before what is no address is believed", trusted,
			http.Header{"X-Forwarded-For": {"198.51.100.7, unknown, 10.0.0.2"}},
			with(set("10.0.0.2", "10.0.0.2"),
				http.Header{"X-Forwarded-For": {"198.51.100.7, unknown, 10.0.0.2"}}),
		},
		{
			"a trusted peer: no address at all", trusted,
			http.Header{"X-Forwarded-For": {"unknown"}},
			with(set("10.1.2.3", "10.1.2.3"), http.Header{"X-Forwarded-For": {"unknown"}}),
		},
		{
			"a trusted peer: absent ones agree with X-Real-IP", trusted,
			http.Header{"X-Real-Ip": {"2001:db8::7"}},
			set("2001:db8::7", `"[2001:db8::7]"`),
		},
		{
			"a trusted peer: an address with a port", trusted,
			http.Header{"X-Forwarded-For": {"203.0.113.7:54321"}},
			with(set("203.0.113.7", "203.0.113.7"),
				http.Header{"X-Forwarded-For": {"203.0.113.7:54321"}}),
		},
		{
			"a trusted peer: addresses with ports, the last ones of proxies", trusted,
			http.Header{"X-Forwarded-For": {"203.0.113.7:54321, 10.0.0.9:80, [fd00::1]:443"}},
			with(set("203.0.113.7", "203.0.113.7"),
				http.Header{"X-Forwarded-For": {"203.0.113.7:54321, 10.0.0.9:80, [fd00::1]:443"}}),
		},
		{
			"a trusted peer: an address of IPv6 in brackets", trusted,
			http.Header{"X-Forwarded-For": {"[2001:db8::7]"}},
			with(set("2001:db8::7", `"[2001:db8::7]"`),
				http.Header{"X-Forwarded-For": {"[2001:db8::7]"}}),
		},
		{
			"a trusted peer: an address of IPv6 with a port", trusted,
			http.Header{"X-Forwarded-For": {"[2001:db8::7]:1234"}},
			with(set("2001:db8::7", `"[2001:db8::7]"`),
				http.Header{"X-Forwarded-For": {"[2001:db8::7]:1234"}}),
		},
		{
			"a trusted peer: X-Real-IP with a port", trusted,
			http.Header{"X-Real-Ip": {"203.0.113.7:1"}},
			with(set("203.0.113.7", "203.0.113.7"), http.Header{"X-Real-Ip": {"203.0.113.7:1"}}),
		},
		{
			"a trusted peer: absent ones agree with host and protocol", trusted,
			http.Header{
				"X-Forwarded-Host": {"www.example:8443"}, "X-Forwarded-Proto": {"http, https"},
			},
			with(set("10.1.2.3", "10.1.2.3"), http.Header{
				"X-Forwarded-Host": {"www.example:8443"}, "X-Forwarded-Proto": {"http, https"},
				"Forwarded": {`for=10.1.2.3;host="www.example:8443";proto=https`},
			}),
		},
		{
			"a trusted peer: absent ones agree with Forwarded", trusted,
			http.Header{"Forwarded": {`for=1.1.1.1, for="[2001:db8::7]:1";host=b;proto=http`,
				`for=10.0.0.2;host="www.example:8443";proto=HTTPS`}},
			http.Header{
				"X-Forwarded-For": {"2001:db8::7"}, "X-Real-Ip": {"2001:db8::7"},
				"X-Forwarded-Host": {"www.example:8443"}, "X-Forwarded-Proto": {"https"},
				"Forwarded": {`for=1.1.1.1, for="[2001:db8::7]:1";host=b;proto=http`,
					`for=10.0.0.2;host="www.example:8443";proto=HTTPS`},
			},
		},
		{
			"a trusted peer: its last element says little", trusted,
			http.Header{"Forwarded": {"for=1.1.1.1;proto=https, for=unknown"}},
			with(set("10.1.2.3", "10.1.2.3"),
				http.Header{"Forwarded": {"for=1.1.1.1;proto=https, for=unknown"}}),
		},
		{
			"a trusted peer: Forwarded beside another field may be the client's", trusted,
			http.Header{
				"X-Real-Ip": {"198.51.100.7"}, "Forwarded": {"for=1.1.1.1;host=evil;proto=https"},
			},
			with(set("198.51.100.7", "198.51.100.7"),
				http.Header{"Forwarded": {"for=1.1.1.1;host=evil;proto=https"}}),
		},
		{
			"a trusted peer: nor is it believed beside one that the sidecar never sets", trusted,
			http.Header{
				"X-Forwarded-Port": {"443"}, "Forwarded": {"for=1.1.1.1;host=evil;proto=https"},
			},
			with(set("10.1.2.3", "10.1.2.3"), http.Header{
				"X-Forwarded-Port": {"443"}, "Forwarded": {"for=1.1.1.1;host=evil;proto=https"},
			}),
		},
		{
			"a trusted peer: Forwarded that cannot be read", trusted,
			http.Header{"Forwarded": {"for=1.1.1.1;proto=https;proto=http"}},
			with(set("10.1.2.3", "10.1.2.3"),
				http.Header{"Forwarded": {"for=1.1.1.1;proto=https;proto=http"}}),
		},
		{
			"a trusted peer: a host and a scheme that are none", trusted,
			http.Header{"Forwarded": {`for=1.1.1.1;host="a/b";proto=gopher`}},
			with(set("1.1.1.1", "1.1.1.1"),
				http.Header{"Forwarded": {`for=1.1.1.1;host="a/b";proto=gopher`}}),
		},
		{
			"a trusted peer: empty ones are there", trusted,
			http.Header{"X-Forwarded-For": {""}, "X-Forwarded-Host": {""}},
			with(set("10.1.2.3", "10.1.2.3"),
				http.Header{"X-Forwarded-For": {""}, "X-Forwarded-Host": {""}}),
		},
		{
			"a trusted peer: one that Connection names is absent", trusted,
			with(forged, http.Header{"Connection": {"X-Forwarded-For, X-Real-IP"}}),
			with(forged, http.Header{"X-Forwarded-For": {"10.1.2.3"}, "X-Real-Ip": {"10.1.2.3"}}),
		},
		{
			"a peer without an address is not trusted", "@", forged,
			http.Header{
				"X-Forwarded-Host": {"api.example"}, "X-Forwarded-Proto": {"http"},
				"Forwarded": {"for=unknown;host=api.example;proto=http"},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := httptest.NewRequest("GET", "http://api.example/", nil)
			in.RemoteAddr, in.Header = tt.remote, tt.sent
			if in.Header == nil {
				in.Header = http.Header{}
			}
			out, ok := b.Outgoing(in, "")
			if !ok {
				t.Fatal("refused")
			}
			delete(out.Header(), "User-Agent")
			delete(out.Header(), "Sidecar-Passed")
			for _, name := range slices.Sorted(maps.Keys(with(out.Header(), tt.want))) {
				if got, want := out.Header()[name], tt.want[name]; !slices.Equal(got, want) {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestPeerOfAUnixSocketIsUnknown(t *testing.T) {
	o, got := startRecorder(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	b := newBackend(t, backend.Options{URL: o.URL(), Trusted: prefixes(t, "0.0.0.0/0", "::/0")})
	startRelay(t, b, func(s *httptest.Server) {
		_ = s.Listener.Close()
		s.Listener = l
	})
	c := dialTo(t, "unix", path)
	c.send(t, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n\r\n")
	if resp, body := c.answer(t); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, body)
	}
	r := next(t, got)
	if r.Values("X-Forwarded-For") != nil || r.Values("X-Real-IP") != nil ||
		strings.Join(r.Values("Forwarded"), "|") != "for=unknown;host=a;proto=http" {
		t.Errorf("%q", r.Head)
	}
}
