package caller_test

import (
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/internal/caller"
	"sidecar/internal/reason"
)

// TestWhoIsTheSameCaller compares two requests; each list of lines is one.
func TestWhoIsTheSameCaller(t *testing.T) {
	defaults, session := caller.Default(), only("cookie:session")
	none := only()
	for _, tt := range []struct {
		rule   string
		config caller.Config
		a, b   []string
		same   bool
	}{
		{"default: Authorization tells callers apart", defaults, []string{"Authorization: Basic a"},
			[]string{"Authorization: Basic b"}, false},
		{"default: X-API-Key tells callers apart", defaults, []string{"X-API-Key: a"},
			[]string{"X-API-Key: b"}, false},
		{"default: any cookie tells callers apart", defaults, []string{"Cookie: any=a"},
			[]string{"Cookie: any=b"}, false},
		{"default: so does a cookie beside others", defaults, []string{"Cookie: x=1; any=a"},
			[]string{"Cookie: x=1; any=b"}, false},
		{"default: other fields do not", defaults,
			[]string{"X-Api-Key: a", "Accept: x", "X-Tenant: 1"},
			[]string{"X-Api-Key: a", "User-Agent: y"}, true},
		{"default: csrf*, XSRF-* and _ga* say nothing", defaults,
			[]string{"Cookie: csrftoken=a; XSRF-TOKEN=a; _ga=a; _ga_XYZ=a; s=1"},
			[]string{"Cookie: s=1; csrf=b; _gat=b"}, true},
		{"default: names of cookies are case-sensitive, also the ignored", defaults,
			[]string{"Cookie: CSRF=a"}, []string{"Cookie: CSRF=b"}, false},
		{"default: a prefix is one of the name", defaults, []string{"Cookie: x_ga=a"},
			[]string{"Cookie: x_ga=b"}, false},
		{"default: the credential is the value and its place", defaults,
			[]string{"Authorization: a"}, []string{"X-Api-Key: a"}, false},
		{"default: a field is no cookie", defaults, []string{"Cookie: Authorization=a"},
			[]string{"Authorization: a"}, false},
		{"default: a value does not move from one cookie to the next", defaults,
			[]string{"Cookie: a=xy; b=z"}, []string{"Cookie: a=x; b=yz"}, false},
		{"default: nor from a name to its value", defaults, []string{"Cookie: ab=c"},
			[]string{"Cookie: a=bc"}, false},
		{"default: nor can it pretend to be two", defaults, []string{"Cookie: a=x; b=y"},
			[]string{"Cookie: a=xopaquecookieby"}, false},
		{"default: the name of a cookie counts", defaults, []string{"Cookie: a=1"},
			[]string{"Cookie: b=1"}, false},
		{"default: two lines are not their sum", defaults, []string{"X-Api-Key: a", "X-Api-Key: b"},
			[]string{"X-Api-Key: ab"}, false},
		{"default: nor the first of them", defaults, []string{"X-Api-Key: a", "X-Api-Key: b"},
			[]string{"X-Api-Key: a"}, false},
		{"default: nor their reverse", defaults, []string{"X-Api-Key: a", "X-Api-Key: b"},
			[]string{"X-Api-Key: b", "X-Api-Key: a"}, false},
		{"default: an empty credential is one", defaults, []string{"X-Api-Key: "}, nil, false},

		{"list: only what it names counts", session, []string{"Cookie: session=1; other=a"},
			[]string{"Cookie: other=b; session=1"}, true},
		{"list: what it names tells callers apart", session, []string{"Cookie: session=1"},
			[]string{"Cookie: session=2"}, false},
		{"list: names of cookies are whole", session, []string{"Cookie: session=1; session2=a"},
			[]string{"Cookie: session=1; sessio=b"}, true},
		{"list: an ignored cookie that is named counts", only("cookie:csrftoken"),
			[]string{"Cookie: csrftoken=1"}, []string{"Cookie: csrftoken=2"}, false},
		{"list: a field of any name", only("header:x-tenant"), []string{"X-Tenant: 1"},
			[]string{"X-Tenant: 2"}, false},
		{"list: fields and cookies together", only("header:X-Tenant", "cookie:s"),
			[]string{"X-Tenant: 1", "Cookie: s=1"}, []string{"X-Tenant: 1", "Cookie: s=2"}, false},
		{"list: the order of the request's fields says nothing",
			only("header:X-Tenant", "header:X-User"),
			[]string{"X-User: b", "X-Tenant: a"}, []string{"X-Tenant: a", "X-User: b"}, true},
		{"list: an empty one makes everybody the same caller", none,
			[]string{"Cookie: session=1"}, nil, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			a, b := who(t, tt.config, tt.a...), who(t, tt.config, tt.b...)
			if a.Bypass != "" || b.Bypass != "" {
				t.Fatalf("bypass %q, %q", a.Bypass, b.Bypass)
			}
			if (a.ID == b.ID) != tt.same {
				t.Errorf("same %v, want %v", a.ID == b.ID, tt.same)
			}
		})
	}
}

func TestAFieldThatSaysWhoAsksAndIsNotDeclaredBypasses(t *testing.T) {
	session := only("cookie:session")
	exempting := func(names ...string) caller.Config {
		c := session
		c.NotCredentials = names
		return c
	}
	for _, tt := range []struct {
		rule   string
		config caller.Config
		lines  []string
		bypass bool
	}{
		{"Authorization", session, []string{"Authorization: x"}, true},
		{"X-API-Key", session, []string{"X-API-Key: x"}, true},
		{"X-Forwarded-User", session, []string{"X-Forwarded-User: x"}, true},
		{"X-Auth-Request-User", session, []string{"X-Auth-Request-User: x"}, true},
		{"X-Auth-Request-Access-Token", session, []string{"X-Auth-Request-Access-Token: x"}, true},
		{"Remote-User", session, []string{"Remote-User: x"}, true},
		{"X-Forwarded-Client-Cert", session, []string{"X-Forwarded-Client-Cert: x"}, true},
		{"X-Authorization", session, []string{"X-Authorization: x"}, true},
		{"X-Vault-Token", session, []string{"X-Vault-Token: x"}, true},
		{"PRIVATE-TOKEN", session, []string{"Private-Token: x"}, true},
		{"Token", session, []string{"Token: x"}, true},
		{"Ocp-Apim-Subscription-Key", session, []string{"Ocp-Apim-Subscription-Key: x"}, true},
		{"X-Client-Secret", session, []string{"X-Client-Secret: x"}, true},
		{"a token against forged requests does not", session,
			[]string{"X-Csrf-Token: x", "X-Xsrf-Token: x", "RequestVerificationToken: x",
				"Idempotency-Key: x", "Sec-Websocket-Key: x"}, false},
		{"without a value too", session, []string{"Authorization: "}, true},
		{"beside a declared credential too", session,
			[]string{"Cookie: session=1", "Remote-User: x"}, true},
		{"X_Api_Key, which some servers read as X-Api-Key", session,
			[]string{"X_Api_Key: x"}, true},
		{"Remote_User", session, []string{"Remote_User: x"}, true},
		{"Acme_Api_Key", session, []string{"Acme_Api_Key: x"}, true},
		{"X-Forwarded_User", session, []string{"X-Forwarded_User: x"}, true},
		{"X_Auth_Request_Email", session, []string{"X_Auth_Request_Email: x"}, true},
		{"X_Forwarded_Client_Cert", session, []string{"X_Forwarded_Client_Cert: x"}, true},
		{"the underscore spelling of a declared field", only("header:X-Api-Key"),
			[]string{"X_Api_Key: x"}, true},
		{"by default, what is no default credential", caller.Default(),
			[]string{"X-Forwarded-User: x"}, true},

		{"a declared one does not", only("header:X-Forwarded-User"),
			[]string{"X-Forwarded-User: x"}, false},
		{"nor do the default credentials", caller.Default(),
			[]string{"Authorization: x", "X-API-Key: x"}, false},
		{"nor names that only look like one", session,
			[]string{"X-Forwarded-For: x", "X-Auth-Request: x", "Remote-Users: x",
				"X-Authorized: x", "Proxy-Authorization: x", "X-Api-Keys: x"}, false},

		{"not_credentials exempts Authorization", exempting("Authorization"),
			[]string{"Authorization: x"}, false},
		{"in any case", exempting("x-API-key"), []string{"X-Api-Key: x"}, false},
		{"exempts X-Forwarded-User", exempting("X-Forwarded-User"),
			[]string{"X-Forwarded-User: x"}, false},
		{"exempts Remote-User", exempting("Remote-User"), []string{"Remote-User: x"}, false},
		{"exempts X-Forwarded-Client-Cert", exempting("X-Forwarded-Client-Cert"),
			[]string{"X-Forwarded-Client-Cert: x"}, false},
		{"exempts a prefix", exempting("X-Auth-Request-*"),
			[]string{"X-Auth-Request-User: x", "X-Auth-Request-Email: x"}, false},
		{"exempts underscore spellings with it", exempting("X-Api-Key"),
			[]string{"X_Api_Key: x"}, false},
		{"exempts no other", exempting("Authorization"),
			[]string{"Authorization: x", "Remote-User: x"}, true},
		{"a name is no prefix", exempting("X-Auth-Request-"),
			[]string{"X-Auth-Request-User: x"}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := who(t, tt.config, tt.lines...)
			if want := (caller.Caller{
				Bypass: reason.UndeclaredCaller,
			}); tt.bypass != (got.Bypass == want.Bypass) || tt.bypass && got.ID != "" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAnExemptedFieldIsNoCredential(t *testing.T) {
	c := only("cookie:session")
	c.NotCredentials = []string{"Authorization"}
	if a, b := who(t, c, "Authorization: a"), who(t, c, "Authorization: b"); !a.Anonymous ||
		a.ID != b.ID {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestWhoBringsNoCredentialIsNobody(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		config caller.Config
		lines  []string
	}{
		{"no fields", caller.Default(), nil},
		{"other fields", caller.Default(), []string{"Accept: a", "User-Agent: b"}},
		{"ignored cookies", caller.Default(), []string{"Cookie: csrf=a; _ga=b; XSRF-TOKEN=c"}},
		{"an empty Cookie field", caller.Default(), []string{"Cookie: "}},
		{"separators alone", caller.Default(), []string{"Cookie: ;; ; "}},
		{"a cookie that is not on the list", only("cookie:session"), []string{"Cookie: other=1"}},
		{"another list of credentials", only("header:X-Tenant"), nil},
		{"tokens are verified", withSecret(), nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			nobody := who(t, caller.Default())
			got := who(t, tt.config, tt.lines...)
			if !got.Anonymous || got.ID != nobody.ID || got.Bypass != "" || got.Verified {
				t.Errorf("%+v, nobody is %+v", got, nobody)
			}
		})
	}
	nobody := who(t, caller.Default())
	for _, line := range []string{
		"X-Api-Key: ", "X-Api-Key: nobody", "Authorization: nobody", "Cookie: nobody=",
	} {
		t.Run("not with "+line, func(t *testing.T) {
			if got := who(t, caller.Default(), line); got.Anonymous || got.ID == nobody.ID {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAnIDIsADigest(t *testing.T) {
	hexDigits := regexp.MustCompile(`^[0-9a-f]{32}$`)
	const credential = "deadbeef"
	for _, lines := range [][]string{
		nil, {"Authorization: " + credential}, {"X-Api-Key: " + credential},
		{"Cookie: s=" + credential},
	} {
		t.Run(strings.Join(lines, ""), func(t *testing.T) {
			id := who(t, caller.Default(), lines...).ID
			if !hexDigits.MatchString(id) {
				t.Errorf("%q is not 32 lower-case hex digits", id)
			}
			bytes, _ := hex.DecodeString(id)
			for _, spelt := range []string{
				credential, hex.EncodeToString([]byte(credential))[:8],
				base64.StdEncoding.EncodeToString([]byte(credential))[:8],
			} {
				if strings.Contains(id, spelt) || strings.Contains(string(bytes), spelt) {
					t.Errorf("%q holds the credential as %q", id, spelt)
				}
			}
		})
	}
}

func TestAnIDDependsOnTheSecretAndOnNothingElse(t *testing.T) {
	at := func(secret string, lines ...string) string {
		i, err := caller.New(caller.Default(), func() []byte { return []byte(secret) })
		if err != nil {
			t.Fatal(err)
		}
		return i.Identify(fields(lines...), now).ID
	}
	for _, lines := range [][]string{nil, {"X-Api-Key: a"}} {
		if at("one", lines...) == at("two", lines...) {
			t.Errorf("%q has the same ID with two secrets", lines)
		}
		if first := at("one", lines...); at("one", lines...) != first {
			t.Errorf("%q has two IDs on two sidecars with the same secret", lines)
		}
	}
}

func TestWhileTheSecretIsUnknownEverybodyBypasses(t *testing.T) {
	var secret []byte
	i, err := caller.New(withSecret(), func() []byte { return secret })
	if err != nil {
		t.Fatal(err)
	}
	for _, lines := range [][]string{
		nil, {"X-Api-Key: a"}, {bearer(hs256(t, `{"sub":"7"}`))}, {"Remote-User: a"},
	} {
		got := i.Identify(fields(lines...), now)
		if got.Bypass != reason.KeySecretUnknown || got.ID != "" || got.Anonymous || got.Verified {
			t.Errorf("%q: %+v", lines, got)
		}
	}
	secret = []byte("known now")
	if got := i.Identify(fields(), now); got.Bypass != "" || got.ID == "" {
		t.Errorf("once it is known: %+v", got)
	}
}

// A bag is the credentials of a request, as its sender meant them.
type bag struct {
	authorization, key []string
	cookies            []string // pairs
}

func (b bag) lines() []string {
	var out []string
	for _, v := range b.authorization {
		out = append(out, "Authorization: "+v)
	}
	for _, v := range b.key {
		out = append(out, "X-Api-Key: "+v)
	}
	if len(b.cookies) > 0 {
		out = append(out, "Cookie: "+strings.Join(b.cookies, "; "))
	}
	return out
}

func (b bag) equal(o bag) bool {
	return slices.Equal(b.authorization, o.authorization) && slices.Equal(b.key, o.key) &&
		slices.Equal(b.cookies, o.cookies)
}

func drawBag(t *rapid.T, label string) bag {
	value := rapid.StringMatching(`[ab:=,]{0,3}`)
	return bag{ // two of Authorization, or a comma in a cookie, are unclear
		authorization: rapid.SliceOfN(rapid.StringMatching(`[ab:=]{0,3}`), 0, 1).Draw(t,
			label+" authorization"),
		key: rapid.SliceOfN(value, 0, 2).Draw(t, label+" key"),
		cookies: rapid.SliceOfN(rapid.StringMatching(`[ab]{1,2}=[ab:=]{0,2}`), 0, 3).Draw(t,
			label+" cookies"),
	}
}

func TestTwoRequestsHaveTheSameIDOnlyIfTheirCredentialsAreTheSame(t *testing.T) {
	i := identifier(t, caller.Default())
	rapid.Check(t, func(t *rapid.T) {
		a := drawBag(t, "a")
		b := drawBag(t, "b")
		if rapid.Bool().Draw(t, "alike") { // but for one of the three
			switch b2 := a; rapid.IntRange(0, 2).Draw(t, "but for") {
			case 0:
				b2.authorization = b.authorization
				b = b2
			case 1:
				b2.key = b.key
				b = b2
			case 2:
				b2.cookies = b.cookies
				b = b2
			}
		}
		x, y := i.Identify(fields(a.lines()...), now), i.Identify(fields(b.lines()...), now)
		for _, who := range []caller.Caller{x, y} {
			if who.Bypass == reason.UnclearCredential {
				return
			}
			if who.Bypass != "" {
				t.Fatalf("bypass %q", who.Bypass)
			}
		}
		if (x.ID == y.ID) != a.equal(b) {
			t.Errorf("%q and %q: same ID is %v", a.lines(), b.lines(), x.ID == y.ID)
		}
	})
}
