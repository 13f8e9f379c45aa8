package httpfield

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCacheStatus(t *testing.T) { // RFC 9211 §2
	for _, tt := range []struct {
		rule string
		in   CacheStatus
		want string
	}{
		{"a hit", CacheStatus{
			Cache: "sidecar", Hit: true, TTL: 287 * time.Second, HasTTL: true, Detail: "memory",
		}, "sidecar; hit; ttl=287; detail=memory"},
		{"a hit was not forwarded (§2.2)",
			CacheStatus{
				Cache: "sidecar", Hit: true, Fwd: "miss", FwdStatus: 200,
				Stored: true, Collapsed: true,
			}, "sidecar; hit"},
		{"a miss that is stored", CacheStatus{Cache: "sidecar", Fwd: "uri-miss", Stored: true},
			"sidecar; fwd=uri-miss; stored"},
		{"a miss that waited for another",
			CacheStatus{Cache: "sidecar", Fwd: "stale", Collapsed: true},
			"sidecar; fwd=stale; collapsed"},
		{"a bypass", CacheStatus{Cache: "sidecar", Fwd: "bypass", Detail: "breaker-open"},
			"sidecar; fwd=bypass; detail=breaker-open"},
		{"what the next hop said", CacheStatus{Cache: "sidecar", Fwd: "stale", FwdStatus: 304},
			"sidecar; fwd=stale; fwd-status=304"},
		{"ttl is rounded down", CacheStatus{
			Cache: "c", Hit: true, TTL: 1999 * time.Millisecond, HasTTL: true,
		}, "c; hit; ttl=1"},
		{"and below zero away from it",
			CacheStatus{Cache: "c", Hit: true, TTL: -time.Millisecond, HasTTL: true},
			"c; hit; ttl=-1"},
		{"key is a string always", CacheStatus{Cache: "c", Hit: true, Key: "abc"},
			`c; hit; key="abc"`},
		{"detail that is no token is a string", CacheStatus{Cache: "c", Detail: `say "hi" \`},
			`c; detail="say \"hi\" \\"`},
		{"a token of structured fields begins with a letter", CacheStatus{Cache: "c", Detail: "1a"},
			`c; detail="1a"`},
		{"and may have a slash", CacheStatus{Cache: "c", Detail: "a/b:c"}, `c; detail=a/b:c`},
		{"what neither can hold is left out",
			CacheStatus{Cache: "c", Detail: "é", Key: "a\nb"}, "c"},
		{"a name with a space is a string", CacheStatus{Cache: "my cache", Hit: true},
			`"my cache"; hit`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := tt.in.String(); got != tt.want {
				t.Errorf("got %s; want %s", got, tt.want)
			}
		})
	}
}

func TestCacheStatusFromUpstreamComesFirst(t *testing.T) {
	upstream := make([]string, 1, 8)
	upstream[0] = `"CDN"; hit; ttl=5`
	got := AppendCacheStatus(upstream, CacheStatus{Cache: "sidecar", Fwd: "uri-miss"})
	if want := []string{`"CDN"; hit; ttl=5`, "sidecar; fwd=uri-miss"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if upstream[:2][1] != "" {
		t.Error("the slice of the answer from upstream was written to")
	}
}

// parseItem is a naive reader of one structured-field item with parameters (RFC 9651 §4.2.3), as
// strict as the RFC.
func parseItem(t *testing.T, s string) (item string, params map[string]string) {
	t.Helper()
	const bare = `([A-Za-z*][-!#$%&'*+.^_|~0-9A-Za-z:/\x60]*|"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|-?[0-9]{1,15})`
	m := regexp.MustCompile(`\A` + bare).FindString(s)
	if m == "" {
		t.Fatalf("no item: %q", s)
	}
	params = map[string]string{}
	param := regexp.MustCompile(`\A; *([a-z*][-_.*a-z0-9]*)(?:=` + bare + `)?`)
	for rest := s[len(m):]; rest != ""; {
		p := param.FindStringSubmatch(rest)
		if p == nil {
			t.Fatalf("no parameter at %q of %q", rest, s)
		}
		params[p[1]] = p[2]
		rest = rest[len(p[0]):]
	}
	return m, params
}

func FuzzCacheStatus(f *testing.F) {
	f.Add("sidecar", "uri-miss", "memory", "k", int64(287), 304, false, true)
	f.Add("my cache", "", `a"b\`, "é", int64(-1), 0, true, false)
	f.Add("*", "bad fwd", "", "\"", int64(1)<<62, -1, false, false)
	unquote := func(s string) string {
		if value, ok := ParseQuoted(s); ok {
			return value
		}
		return s
	}
	f.Fuzz(func(t *testing.T, cache, fwd, detail, key string, ttl int64, status int,
		hit, stored bool) {
		if cache == "" || !isASCII(cache) || status > 999 {
			return
		}
		in := CacheStatus{
			Cache: cache, Hit: hit, Fwd: fwd, FwdStatus: status, TTL: time.Duration(ttl),
			HasTTL: true, Stored: stored, Detail: detail, Key: key,
		}
		item, params := parseItem(t, in.String())
		if unquote(item) != cache {
			t.Fatalf("cache %q is read as %q", cache, item)
		}
		if got, there := params["detail"]; there != (detail != "" && isASCII(detail)) ||
			there && unquote(got) != detail {
			t.Fatalf("detail %q is read as %q", detail, got)
		}
		if got, there := params["key"]; there != (key != "" && isASCII(key)) ||
			there && (unquote(got) != key || !strings.HasPrefix(got, `"`)) {
			t.Fatalf("key %q is read as %q", key, got)
		}
		if n, err := strconv.ParseInt(params["ttl"], 10, 64); err != nil ||
			time.Duration(n)*time.Second > in.TTL ||
			in.TTL-time.Duration(n)*time.Second >= time.Second {
			t.Fatalf("ttl %v is written as %s", in.TTL, params["ttl"])
		}
		if _, there := params["hit"]; there != hit {
			t.Fatalf("hit %v is read as %v", hit, there)
		}
		if _, there := params["stored"]; there != (stored && !hit) {
			t.Fatalf("stored %v of a hit %v is read as %v", stored, hit, there)
		}
	})
}
