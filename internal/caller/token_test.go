package caller_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sidecar/internal/caller"
	"sidecar/internal/reason"
)

// goodClaims hold now, for strict().
const goodClaims = `{"sub":"7","iss":"game","aud":"web","exp":1000000060}`

// strict is withSecret with an issuer and an audience.
func strict() caller.Config {
	return withJWT(caller.JWT{
		Secret: sharedSecret, Algorithms: []string{"HS256"}, Issuer: "game", Audience: "web",
	})
}

func TestATokenThatHoldsIsVerified(t *testing.T) {
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	for _, tt := range []struct {
		rule    string
		claims  string
		expires time.Time
	}{
		{"all that is asked for", goodClaims, at(1_000_000_060)},
		{"no exp", `{"iss":"game","aud":"web"}`, time.Time{}},
		{"exp one second ahead", `{"iss":"game","aud":"web","exp":1000000001}`, at(1_000_000_001)},
		{"exp with a fraction", `{"iss":"game","aud":"web","exp":1000000000.5}`,
			time.Unix(1_000_000_000, 500_000_000)},
		{"exp with an exponent", `{"iss":"game","aud":"web","exp":2e9}`, at(2_000_000_000)},
		{"nbf exactly now", `{"iss":"game","aud":"web","nbf":1000000000}`, time.Time{}},
		{"aud as a list", `{"iss":"game","aud":["app","web"]}`, time.Time{}},
		{"aud as a list with what is no text", `{"iss":"game","aud":[1,"web"]}`, time.Time{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := who(t, strict(), bearer(hs256(t, tt.claims)))
			if got.Bypass != "" || !got.Verified || got.Anonymous || got.ID == "" ||
				got.Claims["iss"] != "game" {
				t.Errorf("%+v", got)
			}
			if !got.Expires.Equal(tt.expires) {
				t.Errorf("expires %v, want %v", got.Expires, tt.expires)
			}
		})
	}
}

func TestATokenThatDoesNotHoldBypasses(t *testing.T) {
	good := hs256(t, goodClaims)
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	with := func(claims string) string { return bearer(hs256(t, claims)) }
	for _, tt := range []struct {
		rule string
		line string
	}{
		{"another secret",
			bearer(sign(t, jose.HS256, []byte("another secret, of 32 bytes, too"), goodClaims))},
		{"another payload",
			bearer(head + "." + encode(strings.Replace(goodClaims, `"7"`, `"8"`, 1)) +
				"." + signature)},
		{"a signature that is cut", bearer(good[:len(good)-4])},
		{"no signature", bearer(head + "." + payload + ".")},
		{"alg none without a signature", bearer(encode(`{"alg":"none"}`) + "." + payload + ".")},
		{"alg none with one", bearer(encode(`{"alg":"none"}`) + "." + payload + "." + signature)},
		{"alg None", bearer(encode(`{"alg":"None"}`) + "." + payload + ".")},
		{"no alg", bearer(encode(`{}`) + "." + payload + "." + signature)},
		{"an algorithm that is not on the list, though the key is right",
			bearer(sign(t, jose.HS512, append(slices.Clone(sharedSecret), make([]byte, 32)...),
				goodClaims))},
		{"exp exactly now", with(`{"iss":"game","aud":"web","exp":1000000000}`)},
		{"exp in the past", with(`{"iss":"game","aud":"web","exp":999999999}`)},
		{"exp as text", with(`{"iss":"game","aud":"web","exp":"1000000060"}`)},
		{"exp null", with(`{"iss":"game","aud":"web","exp":null}`)},
		{"exp as a list", with(`{"iss":"game","aud":"web","exp":[1000000060]}`)},
		{"exp in microseconds", with(`{"iss":"game","aud":"web","exp":1000000060000000}`)},
		{"exp at the zero of time.Time", with(`{"iss":"game","aud":"web","exp":-62135596800}`)},
		{"exp beyond all time", with(`{"iss":"game","aud":"web","exp":1e300}`)},
		{"exp that no float holds", with(`{"iss":"game","aud":"web","exp":1e999}`)},
		{"nbf in the future", with(`{"iss":"game","aud":"web","nbf":1000000001}`)},
		{"nbf as text", with(`{"iss":"game","aud":"web","nbf":"0"}`)},
		{"another issuer", with(`{"iss":"other","aud":"web"}`)},
		{"the issuer in another case", with(`{"iss":"Game","aud":"web"}`)},
		{"no issuer", with(`{"aud":"web"}`)},
		{"the issuer in a list", with(`{"iss":["game"],"aud":"web"}`)},
		{"another audience", with(`{"iss":"game","aud":"app"}`)},
		{"an audience that only begins so", with(`{"iss":"game","aud":"web2"}`)},
		{"no audience", with(`{"iss":"game"}`)},
		{"a list of other audiences", with(`{"iss":"game","aud":["app","api"]}`)},
		{"an empty list of audiences", with(`{"iss":"game","aud":[]}`)},
		{"an audience that is neither text nor list", with(`{"iss":"game","aud":{"web":"web"}}`)},
		{"a payload that is no object", with(`["game"]`)},
		{"a payload that is null", with(`null`)},
		{"a payload that is no JSON", with(`game`)},
		{"an opaque token after Bearer", bearer("opaque")},
		{"nothing after Bearer", "Authorization: Bearer"},
		{"garbage of a token's form", bearer("eyJ.eyJ.eyJ")},
		{"bearer in any case", "Authorization: bEARER opaque"},
		{"two tokens in one", bearer(good + " " + good)},
		{"in a cookie, what has the form of a token", "Cookie: session=eyJ.eyJ.eyJ"},
		{"in X-API-Key, what has the form of a token", "X-Api-Key: eyJ.eyJ.eyJ"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, lines := range [][]string{
				{tt.line}, {tt.line, "Cookie: token=" + good}, {"Cookie: opaque=1", tt.line},
			} {
				got := who(t, strict(), crumbs(lines...)...)
				if got.Bypass != reason.TokenInvalid || got.ID != "" || got.Verified ||
					got.Claims != nil {
					t.Errorf("%q: %+v", lines, got)
				}
			}
		})
	}
}

func TestAPayloadThatIsNoObjectBypassesThoughNothingIsAskedOfIt(t *testing.T) {
	for _, payload := range []string{`null`, `[]`, `"7"`, `7`, `{`, ``} {
		t.Run(payload, func(t *testing.T) {
			if got := who(t, withSecret(),
				bearer(hs256(t, payload))); got.Bypass != reason.TokenInvalid || got.Verified {
				t.Errorf("%+v", got)
			}
		})
	}
	if got := who(t, withSecret(), bearer(hs256(t, `{}`))); !got.Verified {
		t.Errorf("an object without claims: %+v", got)
	}
}

func TestATokenOver16KiBIsNotLookedAt(t *testing.T) {
	padded := func(n int) string { return hs256(t, `{"pad":"`+strings.Repeat("x", n)+`"}`) }
	over := sort.Search(16<<10, func(n int) bool { return len(padded(n)) > 16<<10 })
	if got := who(t, withSecret(), bearer(padded(over-1))); !got.Verified {
		t.Errorf("%d bytes: bypass %q", len(padded(over-1)), got.Bypass)
	}
	if got := who(t, withSecret(), bearer(padded(over))); got.Bypass != reason.TokenInvalid {
		t.Errorf("%d bytes: bypass %q, verified %v", len(padded(over)), got.Bypass, got.Verified)
	}
}

func TestAnExpiredTokenHeldBefore(t *testing.T) {
	i, line := identifier(t, withSecret()), bearer(hs256(t, `{"exp":1000000060}`))
	exp := time.Unix(1_000_000_060, 0)
	if got := i.Identify(fields(line), exp.Add(-1)); !got.Verified {
		t.Errorf("a nanosecond before: %+v", got)
	}
	if got := i.Identify(fields(line), exp); got.Bypass != reason.TokenInvalid {
		t.Errorf("at exp: %+v", got)
	}
}

func TestTokensOfEveryAlgorithmAreVerifiedWithItsKeyAlone(t *testing.T) {
	long := append(slices.Clone(sharedSecret), sharedSecret...)
	for _, tt := range []struct {
		algorithm string
		jwt       caller.JWT
		key       any
		wrong     any
	}{
		{"HS256", caller.JWT{Secret: sharedSecret}, sharedSecret, long},
		{"HS512", caller.JWT{Secret: long}, long, append([]byte("x"), long...)},
		{"RS256", caller.JWT{PublicKeyFile: publicPEM(t, rsaKey().Public())},
			rsaKey(), otherRSAKey()},
		{"PS256", caller.JWT{PublicKeyFile: publicPEM(t, rsaKey().Public())},
			rsaKey(), otherRSAKey()},
		{"ES256", caller.JWT{PublicKeyFile: publicPEM(t, ecKey().Public())}, ecKey(), otherECKey()},
		{"EdDSA", caller.JWT{PublicKeyFile: publicPEM(t, edKey().Public())}, edKey(), otherEdKey()},
	} {
		t.Run(tt.algorithm, func(t *testing.T) {
			tt.jwt.Algorithms = []string{tt.algorithm}
			algorithm := jose.SignatureAlgorithm(tt.algorithm)
			if got := who(t, withJWT(tt.jwt),
				bearer(sign(t, algorithm, tt.key, goodClaims))); !got.Verified ||
				got.Claims["sub"] != "7" {
				t.Errorf("its key: %+v", got)
			}
			if got := who(t, withJWT(tt.jwt),
				bearer(sign(t, algorithm, tt.wrong, goodClaims))); got.Bypass !=
				reason.TokenInvalid {
				t.Errorf("another key: %+v", got)
			}
		})
	}
}

func TestAShortSecretVerifiesWhatWasSignedWithIt(t *testing.T) {
	// The example of a token with the secret "secret" that every library but this one makes: HMAC
	// pads with zeros (RFC 2104 §2).
	padded := append([]byte("secret"), make([]byte, 58)...)
	c := withJWT(caller.JWT{Secret: []byte("secret"), Algorithms: []string{"HS256"}})
	const known = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ." +
		"XbPfbIHMI6arZ3Y922BhjWgQzWXcXNrz0ogtVhfEd2o"
	for _, token := range []string{known, sign(t, jose.HS256, padded, `{"sub":"1234567890"}`)} {
		if got := who(t, c, bearer(token)); !got.Verified || got.Claims["sub"] != "1234567890" {
			t.Errorf("%+v", got)
		}
	}
}

func TestAPublicKeyIsNeverASharedSecret(t *testing.T) {
	public := rsaKey().Public()
	der := must(x509.MarshalPKIXPublicKey(public))
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	c := withJWT(caller.JWT{
		PublicKeyFile: publicPEM(t, public), Algorithms: []string{"RS256", "ES256"},
	})
	if got := who(t, c, bearer(sign(t, jose.RS256, rsaKey(), goodClaims))); !got.Verified {
		t.Fatalf("the key itself: %+v", got)
	}
	for what, secret := range map[string][]byte{
		"PEM": text, "PEM without its last line feed": text[:len(text)-1], "DER": der,
	} {
		t.Run(what, func(t *testing.T) {
			if got := who(t, c,
				bearer(sign(t, jose.HS256, secret, goodClaims))); got.Bypass !=
				reason.TokenInvalid {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAKeyThatATokenBringsIsNotTrusted(t *testing.T) {
	c := withJWT(caller.JWT{
		PublicKeyFile: publicPEM(t, rsaKey().Public()), Algorithms: []string{"RS256"},
	})
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: otherRSAKey()},
		&jose.SignerOptions{EmbedJWK: true}))
	token := must(must(signer.Sign([]byte(goodClaims))).CompactSerialize())
	if got := who(t, c, bearer(token)); got.Bypass != reason.TokenInvalid {
		t.Errorf("%+v", got)
	}
}

func TestWhereATokenIsFound(t *testing.T) {
	token := hs256(t, goodClaims)
	want := who(t, withSecret(), bearer(token)).ID
	c := withSecret()
	c.Credentials = append(c.Credentials, caller.Credential{Name: "X-Token"})
	for _, line := range []string{
		"X-Api-Key: " + token, "X-Token: " + token, "Cookie: any=" + token,
	} {
		t.Run(line[:15], func(t *testing.T) {
			if got := who(t, c, line); !got.Verified || got.ID != want {
				t.Errorf("%+v, want the ID of Authorization: Bearer", got)
			}
		})
	}
	for _, line := range []string{
		"Authorization: " + token, "Authorization: Basic " + token, "X-Api-Key: Bearer " + token,
		"X-Api-Key: x" + token, "X-Api-Key: " + token + ".x",
	} {
		t.Run("not in "+line[:23], func(t *testing.T) {
			if got := who(t, c, line); got.Verified || got.Bypass != "" ||
				got.ID == "" || got.ID == want {
				t.Errorf("%+v, want an opaque credential", got)
			}
		})
	}
}

func TestATokenInAnotherSpellingOfBearerFails(t *testing.T) {
	token := hs256(t, goodClaims)
	for _, line := range []string{
		"bearer " + token, "BEARER " + token, "Bearer  " + token, "Bearer\t" + token,
		"Bearer " + token + " ", "Bearer",
	} {
		if got := who(t, withSecret(), "Authorization: "+line); got.Verified ||
			got.Bypass == "" && strings.HasPrefix(line, "Bearer ") {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestWithoutJWTATokenIsOpaque(t *testing.T) {
	a, b := hs256(t, `{"sub":"7","iat":1}`), hs256(t, `{"sub":"7","iat":2}`)
	x, y := who(t, caller.Default(), bearer(a)), who(t, caller.Default(), bearer(b))
	if x.Bypass != "" || x.Verified || x.Claims != nil || !x.Expires.IsZero() || x.ID == y.ID {
		t.Errorf("%+v, %+v", x, y)
	}
	if got := who(t, caller.Default(), bearer("opaque")); got.Bypass != "" || got.ID == "" {
		t.Errorf("%+v", got)
	}
}

// TestWhichTokensAreOfOneCaller compares two requests, each with one token.
func TestWhichTokensAreOfOneCaller(t *testing.T) {
	for _, tt := range []struct {
		rule string
		id   string // template; "": none
		a, b string
		same bool
	}{
		{"a refreshed token is the same", "",
			`{"sub":"7","exp":1000000060,"iat":1,"nbf":1,"jti":"a"}`,
			`{"sub":"7","exp":1000000090,"iat":2,"nbf":2,"jti":"b"}`, true},
		{"with or without what passes", "", `{"sub":"7","exp":1000000060,"iat":1}`,
			`{"sub":"7"}`, true},
		{"the order of claims says nothing", "", `{"sub":"7","role":"a","x":{"p":1,"q":2}}`,
			`{"x":{"q":2,"p":1},"role":"a","sub":"7"}`, true},
		{"nor does the spelling of a text", "", `{"sub":"\u0037"}`, `{"sub" : "7"}`, true},
		{"another user", "", `{"sub":"7"}`, `{"sub":"8"}`, false},
		{"another role", "", `{"sub":"7","role":"admin"}`, `{"sub":"7","role":"user"}`, false},
		{"a claim more", "", `{"sub":"7","admin":false}`, `{"sub":"7"}`, false},
		{"a claim null", "", `{"sub":"7","admin":null}`, `{"sub":"7"}`, false},
		{"a number is no text", "", `{"sub":7}`, `{"sub":"7"}`, false},
		{"the order of a list", "", `{"roles":["a","b"]}`, `{"roles":["b","a"]}`, false},
		{"large numbers keep all digits", "", `{"sub":9007199254740993}`,
			`{"sub":9007199254740992}`, false},
		{"jti within another claim does not pass", "", `{"sub":"7","act":{"jti":"a"}}`,
			`{"sub":"7","act":{"jti":"b"}}`, false},
		{"what passes is spelt so", "", `{"sub":"7","JTI":"a"}`, `{"sub":"7","JTI":"b"}`, false},

		{"id: another role is the same caller, if sub alone says it", "{claim.sub}",
			`{"sub":"7","role":"admin"}`, `{"sub":"7","role":"user"}`, true},
		{"id: another user", "{claim.sub}", `{"sub":"7"}`, `{"sub":"8"}`, false},
		{"id: large numbers keep all digits", "{claim.sub}", `{"sub":9007199254740993}`,
			`{"sub":9007199254740992}`, false},
		{"id: two claims, one of them another", "{claim.org}:{claim.sub}", `{"org":"a","sub":"7"}`,
			`{"org":"b","sub":"7"}`, false},
		{"id: a value does not move from one claim to the next", "{claim.org}{claim.sub}",
			`{"org":"a","sub":"bc"}`, `{"org":"ab","sub":"c"}`, false},
		{"id: nor over what stands between", "{claim.org}:{claim.sub}", `{"org":"a","sub":"b:c"}`,
			`{"org":"a:b","sub":"c"}`, false},
		{"id: jti makes each token a caller", "{claim.jti}", `{"sub":"7","jti":"a"}`,
			`{"sub":"7","jti":"b"}`, false},
		{"id: a claim in an object", "{claim.user.id}", `{"user":{"id":7,"x":1}}`,
			`{"user":{"id":7,"x":2}}`, true},
		{"id: lowered", "{claim.sub|lower}", `{"sub":"A"}`, `{"sub":"a"}`, true},
		{"id: not lowered", "{claim.sub}", `{"sub":"A"}`, `{"sub":"a"}`, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			c := withSecret()
			if tt.id != "" {
				c = withID(tt.id)
			}
			a, b := who(t, c, bearer(hs256(t, tt.a))), who(t, c, bearer(hs256(t, tt.b)))
			if !a.Verified || !b.Verified {
				t.Fatalf("%+v, %+v", a, b)
			}
			if (a.ID == b.ID) != tt.same {
				t.Errorf("same %v, want %v", a.ID == b.ID, tt.same)
			}
		})
	}
}

func TestTwoTemplatesAreTwoCallers(t *testing.T) {
	line := bearer(hs256(t, `{"sub":"7","uid":"7"}`))
	ids := map[string]string{}
	for _, template := range []string{"{claim.sub}", "{claim.uid}", "u{claim.sub}"} {
		id := who(t, withID(template), line).ID
		if other, taken := ids[id]; taken {
			t.Errorf("%s and %s have the ID %s", other, template, id)
		}
		ids[id] = template
	}
}

func TestATokenWithoutAClaimOfIDBypasses(t *testing.T) {
	for _, tt := range []struct{ rule, id, claims string }{
		{"absent", "{claim.user_id}", `{"sub":"7"}`},
		{"one of two absent", "{claim.sub}:{claim.org}", `{"sub":"7"}`},
		{"empty", "{claim.sub}", `{"sub":""}`},
		{"null", "{claim.sub}", `{"sub":null}`},
		{"an object", "{claim.sub}", `{"sub":{"id":7}}`},
		{"several values", "{claim.sub}", `{"sub":["7","8"]}`},
		{"no value", "{claim.sub}", `{"sub":[]}`},
		{"absent in an object", "{claim.user.id}", `{"user":{"name":"x"}}`},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := who(t, withID(tt.id), bearer(hs256(t, tt.claims)))
			if got.Bypass != reason.TokenInvalid || got.ID != "" || got.Verified ||
				got.Claims != nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestTwoTokensInOneRequest(t *testing.T) {
	early, late := `"exp":1000000060`, `"exp":1000000090`
	for _, tt := range []struct {
		rule    string
		config  caller.Config
		a, b    string
		expires int64 // 0: never
		bypass  reason.Reason
	}{
		{"the same claims are one caller, until the first expires", withSecret(),
			`{"sub":"7","iat":1,"jti":"a",` + early + `}`,
			`{"sub":"7","iat":2,"jti":"b",` + late + `}`, 1_000_000_060, ""},
		{"in either order", withSecret(), `{"sub":"7",` + late + `}`, `{"sub":"7",` + early + `}`,
			1_000_000_060, ""},
		{"one that never expires changes nothing", withSecret(), `{"sub":"7"}`,
			`{"sub":"7",` + early + `}`, 1_000_000_060, ""},
		{"nor if it is the second", withSecret(), `{"sub":"7",` + early + `}`, `{"sub":"7"}`,
			1_000_000_060, ""},
		{"two that never expire", withSecret(), `{"sub":"7","jti":"a"}`,
			`{"sub":"7","jti":"b"}`, 0, ""},
		{"the same by id", withID("{claim.sub}"), `{"sub":"7",` + late + `}`,
			`{"sub":"7",` + early + `}`, 1_000_000_060, ""},
		{"two users are ambiguous", withSecret(), `{"sub":"7"}`, `{"sub":"8"}`, 0,
			reason.TokenAmbiguous},
		{"two roles are ambiguous", withSecret(), `{"sub":"7","role":"admin"}`,
			`{"sub":"7","role":"user"}`, 0, reason.TokenAmbiguous},
		{"also of one caller by id", withID("{claim.sub}"), `{"sub":"7","role":"admin"}`,
			`{"sub":"7","role":"user"}`, 0, reason.TokenAmbiguous},
		{"two callers by id", withID("{claim.jti}"), `{"sub":"7","jti":"a"}`,
			`{"sub":"7","jti":"b"}`, 0, reason.TokenAmbiguous},
		{"one that does not hold", withSecret(), `{"sub":"7"}`, `{"sub":"7","exp":1}`, 0,
			reason.TokenInvalid},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			a, b := hs256(t, tt.a), hs256(t, tt.b)
			got := who(t, tt.config, bearer(a), "Cookie: token="+b)
			if got.Bypass != tt.bypass {
				t.Fatalf("bypass %q, want %q", got.Bypass, tt.bypass)
			}
			if tt.bypass != "" {
				if got.ID != "" || got.Verified {
					t.Errorf("%+v", got)
				}
				return
			}
			if alone := who(t, tt.config, bearer(a)); !got.Verified || got.ID != alone.ID {
				t.Errorf("%+v, with the first alone %+v", got, alone)
			}
			want := time.Time{}
			if tt.expires != 0 {
				want = time.Unix(tt.expires, 0)
			}
			if !got.Expires.Equal(want) {
				t.Errorf("expires %v, want %v", got.Expires, want)
			}
		})
	}
}

func TestThreeTokensExpireWithTheFirst(t *testing.T) {
	line := func(exp int) string {
		return fmt.Sprintf("Cookie: t%d=%s", exp, hs256(t, fmt.Sprintf(`{"exp":%d}`, exp)))
	}
	exps := []int{1_000_000_060, 1_000_000_070, 1_000_000_080}
	for _, order := range [][3]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}} {
		got := who(t, withSecret(),
			crumbs(line(exps[order[0]]), line(exps[order[1]]), line(exps[order[2]]))...)
		if !got.Verified || !got.Expires.Equal(time.Unix(1_000_000_060, 0)) {
			t.Errorf("%v: %+v", order, got)
		}
	}
}

func TestATokenBesideAnOpaqueCredentialIsNotVerified(t *testing.T) {
	token := bearer(hs256(t, goodClaims))
	alone := who(t, withSecret(), token)
	for _, lines := range [][]string{
		{token, "Cookie: session=1"}, {"X-Api-Key: a", token}, {token, `Cookie: session="quoted"`},
	} {
		t.Run(strings.Join(lines[1:], "")[:12], func(t *testing.T) {
			got := who(t, withSecret(), lines...)
			if got.Bypass != "" || got.Verified || got.Claims != nil || got.ID == "" ||
				got.ID == alone.ID {
				t.Errorf("%+v", got)
			}
			if _, ok := got.Claim("sub"); ok {
				t.Error("it has claims")
			}
			if !got.Expires.Equal(time.Unix(1_000_000_060, 0)) {
				t.Errorf("it outlives the token: %v", got.Expires)
			}
		})
	}
	t.Run("both tell callers apart", func(t *testing.T) {
		other := bearer(hs256(t, strings.Replace(goodClaims, `"7"`, `"8"`, 1)))
		ids := map[string]bool{}
		for _, line := range []string{token, other} {
			for _, cookie := range []string{"Cookie: s=1", "Cookie: s=2"} {
				ids[who(t, withSecret(), line, cookie).ID] = true
			}
		}
		if len(ids) != 4 {
			t.Errorf("%v", slices.Collect(maps.Keys(ids)))
		}
	})
	t.Run("an ignored cookie is none", func(t *testing.T) {
		if got := who(t, withSecret(), token, "Cookie: _ga=1"); !got.Verified ||
			got.ID != alone.ID {
			t.Errorf("%+v", got)
		}
	})
}

func TestClaim(t *testing.T) {
	c := who(t, withSecret(), bearer(hs256(t, `{
		"text":"a b","empty":"","int":7,"big":9007199254740993123,"fraction":1.50,"yes":true,"no":false,"null":null,
		"roles":["a",1,true],"none":[],"mixed":["a",null],"lists":[["a"]],"objects":[{"a":1}],
		"user":{"id":7,"org":{"name":"x","ids":[1,2]}},
		"dotted.name":"whole","user.id2":"whole","https://x.example/role":"url","https://x":{"example/role":"path"}}`)))
	if !c.Verified {
		t.Fatalf("%+v", c)
	}
	for _, tt := range []struct {
		name string
		want []string
		ok   bool
	}{
		{"text", []string{"a b"}, true},
		{"empty", []string{""}, true},
		{"int", []string{"7"}, true},
		{"big", []string{"9007199254740993123"}, true},
		{"fraction", []string{"1.50"}, true},
		{"yes", []string{"true"}, true},
		{"no", []string{"false"}, true},
		{"roles", []string{"a", "1", "true"}, true},
		{"none", []string{}, true},
		{"user.id", []string{"7"}, true},
		{"user.org.name", []string{"x"}, true},
		{"user.org.ids", []string{"1", "2"}, true},
		{"dotted.name", []string{"whole"}, true},
		{"user.id2", []string{"whole"}, true},
		{"https://x.example/role", []string{"url"}, true},
		{"null", nil, false},
		{"mixed", nil, false},
		{"lists", nil, false},
		{"objects", nil, false},
		{"user", nil, false},
		{"user.org", nil, false},
		{"user.absent", nil, false},
		{"user.id.x", nil, false},
		{"user.", nil, false},
		{"roles.0", nil, false},
		{"text.length", nil, false},
		{"absent", nil, false},
		{"absent.x", nil, false},
		{"Text", nil, false},
		{"", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := c.Claim(tt.name); ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("%q, %v", got, ok)
			}
		})
	}
	if got, ok := (caller.Caller{}).Claim("text"); ok {
		t.Errorf("without claims: %q", got)
	}
}
