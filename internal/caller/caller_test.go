package caller_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
)

// now is the time of every request here; exp and nbf are written relative to its 1000000000.
var now = time.Unix(1_000_000_000, 0)

var sharedSecret = []byte("a secret of thirty-two bytes, or")

// Key pairs, made once.
var (
	rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
		return must(rsa.GenerateKey(rand.Reader, 2048))
	})
	otherRSAKey = sync.OnceValue(func() *rsa.PrivateKey {
		return must(rsa.GenerateKey(rand.Reader, 2048))
	})
	ecKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	})
	edKey = sync.OnceValue(func() ed25519.PrivateKey {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// fields makes a field section of lines like "X-Api-Key: a".
func fields(lines ...string) httpfield.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimPrefix(value, " "))
	}
	return httpfield.Header(h)
}

// crumbs joins the Cookie lines, as net/http does with those of HTTP/2.
func crumbs(lines ...string) (out []string) {
	jar := []string{}
	for _, line := range lines {
		if cookie, ok := strings.CutPrefix(line, "Cookie: "); ok {
			jar = append(jar, cookie)
		} else {
			out = append(out, line)
		}
	}
	if len(jar) > 0 {
		out = append(out, "Cookie: "+strings.Join(jar, "; "))
	}
	return out
}

func identifier(t testing.TB, c caller.Config) *caller.Identifier {
	t.Helper()
	i, err := caller.New(c, func() []byte { return []byte("key secret") })
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// who identifies a request with these field lines.
func who(t testing.TB, c caller.Config, lines ...string) caller.Caller {
	t.Helper()
	return identifier(t, c).Identify(fields(lines...), now)
}

// only is a config with nothing but these credentials.
func only(credentials ...string) caller.Config {
	c := caller.Config{IgnoreCookies: caller.Default().IgnoreCookies}
	for _, s := range credentials {
		c.Credentials = append(c.Credentials, must(caller.ParseCredential(s)))
	}
	return c
}

// withSecret is the default config with tokens of HS256.
func withSecret() caller.Config {
	return withJWT(caller.JWT{Secret: sharedSecret, Algorithms: []string{"HS256"}})
}

func withJWT(j caller.JWT) caller.Config {
	c := caller.Default()
	c.JWT = &j
	return c
}

func withID(template string) caller.Config {
	c := withSecret()
	c.ID = must(cachekeys.ParseTemplate(template))
	return c
}

// sign makes a token of a payload.
func sign(t testing.TB, algorithm jose.SignatureAlgorithm, key any, payload string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// hs256 is a token that withSecret verifies.
func hs256(t testing.TB, payload string) string {
	t.Helper()
	return sign(t, jose.HS256, sharedSecret, payload)
}

func bearer(token string) string { return "Authorization: Bearer " + token }
