package ops

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/test/redisd"
)

// administration are the endpoints, each with a body that it takes.
var administration = [][3]string{
	{"POST", "/admin/purge", `{"all": true}`}, {"GET", "/admin/policies", ""},
	{"POST", "/admin/reload", ""}, {"POST", "/admin/leave", ""},
	{"POST", "/admin/explain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
}

func TestAdministrationWantsTheToken(t *testing.T) {
	for _, c := range []struct {
		name, authorization string
		status              int
	}{
		{"the token", "Bearer " + token, http.StatusOK},
		{"the scheme in other letters", "bearer " + token, http.StatusOK},
		{"another token", "Bearer " + token[:len(token)-1] + "X", http.StatusUnauthorized},
		{"a part of it", "Bearer " + token[:len(token)-1], http.StatusUnauthorized},
		{"more than it", "Bearer " + token + "X", http.StatusUnauthorized},
		{"an empty one", "Bearer ", http.StatusUnauthorized},
		{"another scheme", "Basic " + token, http.StatusUnauthorized},
		{"no scheme", token, http.StatusUnauthorized},
		{"nothing", "", http.StatusUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, shared, nil)
			for _, r := range administration {
				status, h, body := a.ask(r[0], r[1], r[2], c.authorization)
				if status != c.status {
					t.Errorf("%v: %d %s", r, status, body)
				}
				if status == http.StatusUnauthorized &&
					h.Get("WWW-Authenticate") != `Bearer realm="sidecar"` {
					t.Errorf("%v: WWW-Authenticate: %q", r, h.Get("WWW-Authenticate"))
				}
				if strings.Contains(body, token) {
					t.Errorf("%v answers the token: %s", r, body)
				}
			}
			if want := c.status == http.StatusUnauthorized; (a.failures == len(administration)) !=
				want {
				t.Errorf("%d failures are counted", a.failures)
			}
		})
	}
}

func TestWithoutATokenNobodyAdministers(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		err   error
		says  string
	}{
		"not set":    {"", nil, "ADMIN_TOKEN is not set"},
		"unreadable": {"", errors.New("open /run/secrets/admin: no such file"), "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, shared, func(o *Options) {
				o.AdminToken = func() (string, error) { return c.token, c.err }
			})
			for _, r := range administration {
				for _, authorization := range []string{"Bearer ", "Bearer " + token, ""} {
					status, _, body := a.ask(r[0], r[1], `{"all": true}`, authorization)
					if status != http.StatusForbidden || !strings.Contains(body, c.says) ||
						strings.Contains(body, "/run") {
						t.Errorf("%v: %d %s", r, status, body)
					}
				}
			}
			if a.failures != 0 {
				t.Errorf("%d failures are counted", a.failures)
			}
		})
	}
}

func TestARotatedTokenCountsAtOnce(t *testing.T) {
	now := "the first token"
	a := serve(t, shared, func(o *Options) {
		o.AdminToken = func() (string, error) { return now, nil }
	})
	if status, _, _ := a.ask("GET", "/admin/policies", "",
		"Bearer the first token"); status != http.StatusOK {
		t.Errorf("the first: %d", status)
	}
	now = "the second token"
	if status, _, _ := a.ask("GET", "/admin/policies", "",
		"Bearer the first token"); status != http.StatusUnauthorized {
		t.Errorf("the first, later: %d", status)
	}
}

func TestPoliciesAreShownAndReadAgain(t *testing.T) {
	fault := error(nil)
	a := serve(t, shared, func(o *Options) { o.Reload = func() error { return fault } })
	for _, r := range administration[1:3] {
		if status, _, body := a.ask(r[0], r[1], ""); status != http.StatusOK ||
			!strings.Contains(body, "GET /items/{id}") {
			t.Errorf("%v: %d %s", r, status, body)
		}
	}
	fault = errors.New("policies.yaml:3:4: unknown field")
	status, _, body := a.ask("POST", "/admin/reload", "")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, "policies.yaml:3:4") {
		t.Errorf("a faulty file: %d %s", status, body)
	}
}

func TestPurgeDeletesTheTokensOfWhatItNames(t *testing.T) {
	for _, c := range []struct {
		name, body string
		drops      []cachekeys.Tag
	}{
		{"a tag", `{"tags": ["item:1"]}`, []cachekeys.Tag{cachekeys.Named("item:1")}},
		{"a family", `{"tags": ["item:*"]}`, []cachekeys.Tag{cachekeys.Family("item:")}},
		{"a path", `{"urls": ["/items/1?page=2"]}`, []cachekeys.Tag{cachekeys.OwnURI("/items/1")}},
		{"a URL", `{"urls": ["https://api.example/items/1"]}`,
			[]cachekeys.Tag{cachekeys.OwnURI("/items/1")}},
		{"both", `{"tags": ["item:1"], "urls": ["/a"]}`,
			[]cachekeys.Tag{cachekeys.Named("item:1"), cachekeys.OwnURI("/a")}},
		{"everything", `{"all": true}`, []cachekeys.Tag{cachekeys.All}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := serve(t, shared, nil)
			kept := a.names.Token(cachekeys.Named("item:2").Digest())
			a.redis.Do("SET", kept, "token")
			for _, tag := range c.drops {
				a.redis.Do("SET", a.names.Token(tag.Digest()), "token")
			}
			status, _, body := a.ask("POST", "/admin/purge", c.body)
			if got := decode[map[string]int](t, body); status != http.StatusOK ||
				got["purged"] != len(c.drops) ||
				got["carried"] != len(c.drops) {
				t.Fatalf("%d %s", status, body)
			}
			for _, tag := range c.drops {
				if a.redis.Do("EXISTS", a.names.Token(tag.Digest())) != int64(0) {
					t.Errorf("the token of %v stands", tag)
				}
			}
			if a.redis.Do("EXISTS", kept) != int64(1) {
				t.Error("the token of another tag is gone")
			}
		})
	}
}

func TestAPurgeThatIsNotUnderstoodPurgesNothing(t *testing.T) {
	a := serve(t, shared, nil)
	stands := a.names.Token(cachekeys.Named("item:1").Digest())
	a.redis.Do("SET", stands, "token")
	for body, says := range map[string]string{
		``:                                   "The body is to be",
		`[]`:                                 "The body is to be",
		`{"tag": ["item:1"]}`:                "unknown field",
		`{"tags": "item:1"}`:                 "The body is to be",
		`{"tags": ["item:1"]} {"all": true}`: "something follows",
		`{"tags": ["item:1", ""]}`:           `is no tag`,
		`{"tags": ["item:1", "a*b"]}`:        `is no tag`,
		`{"tags": ["item:1", "other:*"]}`:    "do not carry the family",
		`{"tags": ["item:1"], "urls": ["items/1"]}`:       "is no URL",
		`{"tags": ["item:1"], "urls": ["ftp://x/items"]}`: "is no URL",
		`{"tags": ["item:1"], "urls": ["http:///items"]}`: "is no URL",
		`{}`:                         "Nothing to purge",
		`{"tags": [], "all": false}`: "Nothing to purge",
		`{"tags": ["` + strings.Repeat("x", 1<<20) + `"]}`: "too large",
	} {
		status, _, answer := a.ask("POST", "/admin/purge", body)
		if detail := decode[struct {
			Detail string
		}](t, answer).Detail; status != http.StatusBadRequest || !strings.Contains(detail, says) {
			t.Errorf("%.60s: %d %.200s, want %q", body, status, detail, says)
		}
	}
	if a.redis.Do("EXISTS", stands) != int64(1) {
		t.Error("a refused purge dropped something")
	}
}

func TestAPurgeThatRedisDoesNotTakeIsNotDone(t *testing.T) {
	redis := redisd.Start(t)
	a := serve(t, redis, nil)
	redis.Kill()
	status, _, body := a.ask("POST", "/admin/purge", `{"all": true}`)
	if status != http.StatusServiceUnavailable ||
		!strings.Contains(body, "did not take the purge") {
		t.Errorf("%d %s", status, body)
	}
}
