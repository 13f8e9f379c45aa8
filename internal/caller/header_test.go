package caller

import (
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// withHeader signs claims under these header fields.
func withHeader(t *testing.T, fields map[jose.HeaderKey]any, claims string) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: fields}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, o)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// identifyToken identifies the bearer of a token, where typ is demanded unless it is empty.
func identifyToken(t *testing.T, typ, token string) Caller {
	t.Helper()
	c := Default()
	c.JWT = &JWT{Secret: []byte(strings.Repeat("k", 32)), Algorithms: []string{"HS256"}, Type: typ}
	i, err := New(c, func() []byte { return []byte("secret") })
	if err != nil {
		t.Fatal(err)
	}
	return i.Identify(httpfield.Header{"Authorization": {"Bearer " + token}}, time.Now())
}

func TestTheHeaderOfATokenBelongsToItsCaller(t *testing.T) {
	const claims = `{"sub": "alice"}`
	plain := identifyToken(t, "", withHeader(t, nil, claims))
	if plain.Bypass != "" || plain.ID != identifyToken(t, "", withHeader(t, nil, claims)).ID {
		t.Fatalf("%+v", plain)
	}
	for name, fields := range map[string]map[jose.HeaderKey]any{
		"kid": {"kid": "tenant-2"}, "typ": {"typ": "at+jwt"}, "cty": {"cty": "x"},
		"another": {"tenant": "2"},
	} {
		if got := identifyToken(t, "", withHeader(t, fields, claims)); got.Bypass != "" ||
			got.ID == plain.ID {
			t.Errorf("with another %s: %+v", name, got)
		}
	}
}

func TestTheTypeOfATokenCanBeDemanded(t *testing.T) {
	for typ, ok := range map[string]bool{
		"at+jwt": true, "AT+JWT": true, "application/at+jwt": true, "JWT": false, "": false,
	} {
		var fields map[jose.HeaderKey]any
		if typ != "" {
			fields = map[jose.HeaderKey]any{"typ": typ}
		}
		got := identifyToken(t, "at+jwt", withHeader(t, fields, `{"sub": "alice"}`))
		if (got.Bypass == "") != ok || !ok && got.Bypass != reason.TokenInvalid {
			t.Errorf("%q: %+v", typ, got)
		}
	}
}

func TestATokenWithAClaimTwiceIsNone(t *testing.T) {
	for claims, ok := range map[string]bool{
		`{"sub": "alice", "sub": "bob"}`:                false,
		`{"sub": "alice", "s\u0075b": "bob"}`:           false,
		`{"a": {"b": 1, "b": 2}}`:                       false,
		`{"a": [{"b": 1}, {"b": 2}], "b": {"a": "b"}}`:  true,
		`{"sub": "sub", "a": ["sub", "sub"], "b": "a"}`: true,
	} {
		if got := identifyToken(t, "", withHeader(t, nil, claims)); (got.Bypass == "") != ok {
			t.Errorf("%s: %+v", claims, got)
		}
	}
}

func TestFieldsThatSayWhoIsAskingKeepARequestOut(t *testing.T) {
	i, err := New(Default(), func() []byte { return []byte("secret") })
	if err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]bool{
		"X-Forwarded-Email": true, "X-Forwarded-Groups": true,
		"X-Forwarded-Preferred-Username": true, "X-Forwarded-Access-Token": true,
		"X-Auth-Token": true, "X-Amzn-Oidc-Data": true, "Cf-Access-Jwt-Assertion": true,
		"X-Goog-Authenticated-User-Email": true,
		"X-Consumer-Id":                   true, "X-Userinfo": true,
		"X-Forwarded-Tls-Client-Cert-Info": true,
		"X_Forwarded_Email":                true, "Ssl-Client-Verify": true, "Client-Cert": true,
		"REMOTE_USER":     true,
		"X-Forwarded-For": false, "Accept": false, "Cache-Control": false, "X-Request-Id": false,
		"Client-Hint": false, "Connection": false,
	} {
		got := i.Identify(httpfield.Header{name: {"x"}}, time.Now())
		if (got.Bypass == reason.UndeclaredCaller) != out {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
