package caller_test

import (
	"strings"
	"testing"

	"sidecar/internal/caller"
)

func TestACredentialIsAHeaderOrACookie(t *testing.T) {
	for _, tt := range []struct {
		text string
		want caller.Credential
		bad  bool
	}{
		{text: "header:Authorization", want: caller.Credential{Name: "Authorization"}},
		{text: "header:X-API-KEY", want: caller.Credential{Name: "X-Api-Key"}},
		{text: "cookie:session", want: caller.Credential{Cookie: true, Name: "session"}},
		{text: "cookie:SESSION", want: caller.Credential{Cookie: true, Name: "SESSION"}},
		{text: "cookie:*", want: caller.Credential{Cookie: true, Name: "*"}},
		{text: "header:*", bad: true},
		{text: "header:X-*", bad: true},
		{text: "header:", bad: true},
		{text: "cookie:", bad: true},
		{text: "Authorization", bad: true},
		{text: "query:t*", bad: true},
		{text: "Header:Authorization", bad: true},
		{text: "cookie: session", bad: true},
		{text: "cookie:a;b", bad: true},
		{text: "cookie:a=b", bad: true},
		{text: "cookie:a,b", bad: true},
		{text: "", bad: true},
	} {
		t.Run(tt.text, func(t *testing.T) {
			got, err := caller.ParseCredential(tt.text)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("%+v, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.text) {
				t.Errorf("the error does not say what it is about: %v", err)
			}
		})
	}
}

func TestCheckWantsOneSourceOfKeysAndAlgorithmsThatFitIt(t *testing.T) {
	secret := []byte("secret")
	const source, none, kind = "exactly one of", "algorithms has to name", "is no algorithm for"
	for _, tt := range []struct {
		rule string
		jwt  caller.JWT
		want string // part of the error; "": good
	}{
		{"a secret goes with HMAC",
			caller.JWT{Secret: secret, Algorithms: []string{"HS256", "HS384", "HS512"}}, ""},
		{"a public key with signatures",
			caller.JWT{PublicKeyFile: "f",
				Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"}}, ""},
		{"so does a key set in a file",
			caller.JWT{JWKSFile: "f", Algorithms: []string{"RS384", "PS384", "ES384"}}, ""},
		{"and one at a URL",
			caller.JWT{JWKSURL: "https://u/keys", Algorithms: []string{"RS512", "PS512", "ES512"}},
			""},
		{"a URL has a scheme", caller.JWT{JWKSURL: "u.example/keys", Algorithms: []string{"RS512"}},
			`did you mean "https://u.example/keys"?`},
		{"and one of HTTP", caller.JWT{JWKSURL: "ftp://u/keys", Algorithms: []string{"RS512"}},
			"no URL of https"},
		{"no source", caller.JWT{Algorithms: []string{"HS256"}}, source},
		{"an empty secret is no source",
			caller.JWT{Secret: []byte{}, Algorithms: []string{"HS256"}}, source},
		{"two sources", caller.JWT{Secret: secret, JWKSURL: "u", Algorithms: []string{"HS256"}},
			source},
		{"two files", caller.JWT{PublicKeyFile: "f", JWKSFile: "f", Algorithms: []string{"RS256"}},
			source},
		{"no algorithm for a secret", caller.JWT{Secret: secret}, none},
		{"no algorithm for a public key", caller.JWT{PublicKeyFile: "f"}, none},
		{"a secret verifies no signature",
			caller.JWT{Secret: secret, Algorithms: []string{"HS256", "RS256"}}, kind},
		{"a public key is no secret",
			caller.JWT{PublicKeyFile: "f", Algorithms: []string{"RS256", "HS256"}}, kind},
		{"nor are those of a key set in a file",
			caller.JWT{JWKSFile: "f", Algorithms: []string{"HS512"}}, kind},
		{"nor those of a URL", caller.JWT{JWKSURL: "u", Algorithms: []string{"HS384"}}, kind},
		{"none is never accepted with a secret",
			caller.JWT{Secret: secret, Algorithms: []string{"none"}}, kind},
		{"none is never accepted with a public key",
			caller.JWT{PublicKeyFile: "f", Algorithms: []string{"none"}}, kind},
		{"names are case-sensitive (RFC 7515 §4.1.1)",
			caller.JWT{Secret: secret, Algorithms: []string{"hs256"}}, kind},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			err := tt.jwt.Check()
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNewRefusesWhatCheckRefuses(t *testing.T) {
	c := withJWT(caller.JWT{Secret: sharedSecret, Algorithms: []string{"RS256"}})
	if i, err := caller.New(c, func() []byte { return nil }); err == nil {
		t.Errorf("%v", i)
	}
}

func TestMaxAgeIsTheConfigs(t *testing.T) {
	c := caller.Default()
	if got := identifier(t, c).MaxAge(); got != caller.DefaultMaxAge {
		t.Error(got)
	}
	c.MaxAge = 7
	if got := identifier(t, c).MaxAge(); got != 7 {
		t.Error(got)
	}
}
