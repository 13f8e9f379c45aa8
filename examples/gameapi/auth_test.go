package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func TestLogin(t *testing.T) {
	g := newGame(t)
	t.Run("the right password gives tokens, a session cookie and a CSRF cookie",
		func(t *testing.T) {
			a := g.do("", "POST", "/api/v1/auth/login",
				`{"username":"lyra","password":"lyra-password"}`).want(200)
			var pair tokenPair
			a.data(&pair)
			if a.cookie(sessionCookie) != pair.Access || pair.Access == "" ||
				a.cookie(csrfName) == "" || len(a.Header.Values("Set-Cookie")) != 2 {
				t.Errorf("cookies %q", a.Header.Values("Set-Cookie"))
			}
			if a.Header.Get("Cache-Control") != "no-store" {
				t.Error("tokens may be stored")
			}
			c, err := g.api.tokens.verify(pair.Access)
			if err != nil {
				t.Fatal(err)
			}
			if c.UserID != "u2" || c.Subject != "u2" || c.Username != "lyra" ||
				c.Role != rolePlayer ||
				c.ID == "" || c.ExpiresAt.Sub(c.IssuedAt.Time) != 15*time.Minute {
				t.Errorf("claims %+v", c)
			}
		})
	for name, body := range map[string]string{
		"a wrong password is refused": `{"username":"lyra","password":"mara-password"}`,
		"an unknown name is refused":  `{"username":"nobody","password":""}`,
	} {
		t.Run(name, func(t *testing.T) { g.do("", "POST", "/api/v1/auth/login", body).want(401) })
	}
}

func TestRefreshTokensAreGoodOnce(t *testing.T) {
	g := newGame(t)
	body := `{"refresh_token":"` + g.login("thorin").Refresh + `"}`
	var next tokenPair
	g.do("", "POST", "/api/v1/auth/refresh", body).want(200).data(&next)
	g.do("", "POST", "/api/v1/auth/refresh", body).want(401)
	g.do("", "POST", "/api/v1/auth/refresh", `{"refresh_token":"`+next.Refresh+`"}`).want(200)
	g.do("", "GET", "/api/v1/users/me", "", "Authorization: Bearer "+next.Access).want(200)
}

func TestLogoutEndsBothTokensAndNobodyElses(t *testing.T) {
	g := newGame(t)
	pair := g.login("thorin")
	other := g.do("", "POST", "/api/v1/auth/login",
		`{"username":"thorin","password":"thorin-password"}`).want(200)
	var second tokenPair
	other.data(&second)
	a := g.do("thorin", "POST", "/api/v1/auth/logout",
		`{"refresh_token":"`+pair.Refresh+`"}`).want(200)
	if !strings.Contains(a.Header.Get("Set-Cookie"), "session=;") {
		t.Errorf("the session cookie stays: %q", a.Header.Get("Set-Cookie"))
	}
	g.do("thorin", "GET", "/api/v1/users/me", "").want(401)
	g.do("", "POST", "/api/v1/auth/refresh", `{"refresh_token":"`+pair.Refresh+`"}`).want(401)
	g.do("", "GET", "/api/v1/users/me", "", "Authorization: Bearer "+second.Access).want(200)
	g.do("", "POST", "/api/v1/auth/logout", "", "Authorization: Bearer "+second.Access).want(200)
	g.do("", "GET", "/api/v1/users/me", "", "Authorization: Bearer "+second.Access).want(401)
}

func TestOnlyValidTokensAreTaken(t *testing.T) {
	g := newGame(t)
	good := func() *claims {
		return &claims{UserID: "u1", Username: "thorin", Role: rolePlayer,
			RegisteredClaims: jwt.RegisteredClaims{
				Issuer: issuer, Audience: jwt.ClaimStrings{audience}, ID: "x",
				ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Minute))}}
	}
	secret := []byte(g.api.jwtSecret)
	for _, test := range []struct {
		name   string
		method jwt.SigningMethod
		key    any
		change func(*claims)
		status int
	}{
		{"one as the API makes them", jwt.SigningMethodHS256, secret, func(*claims) {}, 200},
		{"expired", jwt.SigningMethodHS256, secret, func(c *claims) {
			c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Second))
		}, 401},
		{"without an end", jwt.SigningMethodHS256, secret,
			func(c *claims) { c.ExpiresAt = nil }, 401},
		{"of another issuer", jwt.SigningMethodHS256, secret,
			func(c *claims) { c.Issuer = "shop" }, 401},
		{"for another audience", jwt.SigningMethodHS256, secret,
			func(c *claims) { c.Audience = jwt.ClaimStrings{"phone"} }, 401},
		{"without a name to revoke it by", jwt.SigningMethodHS256, secret,
			func(c *claims) { c.ID = "" }, 401},
		{"signed with another secret", jwt.SigningMethodHS256,
			[]byte("another secret of the tests"), func(*claims) {}, 401},
		{"signed with another algorithm", jwt.SigningMethodHS384, secret, func(*claims) {}, 401},
		{"not signed", jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType,
			func(*claims) {}, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := good()
			test.change(c)
			token, err := jwt.NewWithClaims(test.method, c).SignedString(test.key)
			if err != nil {
				t.Fatal(err)
			}
			a := g.do("", "GET", "/api/v1/users/me", "",
				"Authorization: Bearer "+token).want(test.status)
			if test.status == 401 &&
				(a.failure().Code != "unauthorized" || a.Header.Get("WWW-Authenticate") == "") {
				t.Error(a.Header, string(a.content))
			}
		})
	}
	t.Run("none at all", func(t *testing.T) { g.do("", "GET", "/api/v1/users/me", "").want(401) })
	t.Run("a field of another scheme beside a good cookie", func(t *testing.T) {
		g.do("", "GET", "/api/v1/users/me", "", "Authorization: Basic eDp5",
			"Cookie: session="+g.login("thorin").Access).want(401)
	})
}

func TestBrowsersSendTheCSRFCookieTwice(t *testing.T) {
	g := newGame(t)
	session := sessionCookie + "=" + g.login("thorin").Access
	t.Run("it is set anew on every GET", func(t *testing.T) {
		one := g.do("", "GET", "/api/v1/characters", "",
			"Cookie: "+session).want(200).cookie(csrfName)
		two := g.do("", "GET", "/api/v1/characters", "",
			"Cookie: "+session).want(200).cookie(csrfName)
		three := g.do("thorin", "GET", "/api/v1/characters/c1", "").want(200).cookie(csrfName)
		if one == "" || two == "" || three == "" || one == two || two == three {
			t.Errorf("%q, %q, %q", one, two, three)
		}
	})
	for _, test := range []struct {
		name   string
		fields []string
		status int
	}{
		{"a write by cookie without it is refused", []string{"Cookie: " + session}, 403},
		{"a write by cookie with the cookie alone is refused",
			[]string{"Cookie: " + session + "; csrf_token=abc"}, 403},
		{"a write by cookie with the field alone is refused",
			[]string{"Cookie: " + session, "X-CSRF-Token: abc"}, 403},
		{"a write by cookie with two values is refused",
			[]string{"Cookie: " + session + "; csrf_token=abc", "X-CSRF-Token: abd"}, 403},
		{"a write by cookie with two empty values is refused",
			[]string{"Cookie: " + session + "; csrf_token=", "X-CSRF-Token: "}, 403},
		{"a write by cookie with both is taken",
			[]string{"Cookie: " + session + "; csrf_token=abc", "X-CSRF-Token: abc"}, 200},
		{"a write by bearer token needs none",
			[]string{"Authorization: Bearer " + g.login("thorin").Access}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := g.do("", "PATCH", "/api/v1/characters/c1", `{"hp":1}`,
				test.fields...).want(test.status)
			if test.status == http.StatusForbidden && a.failure().Code != "csrf" {
				t.Error(string(a.content))
			}
		})
	}
}

func TestCleanupDeletesExpiredTokensOnly(t *testing.T) {
	g := newGame(t)
	g.login("thorin")
	g.login("lyra")
	g.do("lyra", "POST", "/api/v1/auth/logout", "").want(200)
	long := time.Now().Add(-10 * 24 * time.Hour).Unix()
	for _, statement := range []string{
		`UPDATE refresh_tokens SET expires_at = ? WHERE user_id = 'u1'`,
		`UPDATE revoked_tokens SET expires_at = ?`,
	} {
		if _, err := g.api.db.writer.Exec(statement, long); err != nil {
			t.Fatal(err)
		}
	}
	body := `{"type":"expired_tokens","older_than":"` +
		time.Now().Add(-7*24*time.Hour).Format(time.RFC3339) + `"}`
	g.do("dm", "POST", "/internal/cleanup", body).want(401)
	g.do("", "POST", "/internal/cleanup", body).want(401)
	var done struct{ Deleted int }
	g.do("", "POST", "/internal/cleanup", body, "Authorization: Bearer broom").want(200).data(&done)
	if done.Deleted != 2 {
		t.Errorf("deleted %d, want the two that have expired", done.Deleted)
	}
	var left int
	if err := g.api.db.reader.QueryRow(`SELECT count(*) FROM refresh_tokens`).
		Scan(&left); err != nil || left != 2 {
		t.Errorf("%d refresh tokens left (%v), want lyra's and the dm's", left, err)
	}
	g.do("", "POST", "/internal/cleanup", `{"type":"everything"}`,
		"Authorization: Bearer broom").want(400)
}
