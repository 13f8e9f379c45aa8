package caller_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sidecar/internal/caller"
	"sidecar/internal/reason"
)

var (
	otherECKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	})
	otherEdKey = sync.OnceValue(func() ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	})
)

func write(t testing.TB, content string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// publicPEM is a file with this key.
func publicPEM(t testing.TB, key crypto.PublicKey) (file string) {
	t.Helper()
	return write(t, inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key))))
}

// certificate is DER.
func certificate(key crypto.Signer) []byte {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: now}
	return must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

func jwks(keys ...jose.JSONWebKey) string {
	return string(must(json.Marshal(jose.JSONWebKeySet{Keys: keys})))
}

// named is the public key of a set, and of a signer by this kid.
func named(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid}
}

// rs256 is a token that names its key; kid may be "".
func rs256(t testing.TB, kid string, key crypto.Signer) string {
	t.Helper()
	return sign(t, jose.RS256, jose.JSONWebKey{Key: key, KeyID: kid}, goodClaims)
}

func TestAPublicKeyFile(t *testing.T) {
	rsa := rsaKey()
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsa.PublicKey)
	for what, content := range map[string]string{
		"PUBLIC KEY":            inPEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(rsa.Public()))),
		"RSA PUBLIC KEY":        inPEM("RSA PUBLIC KEY", pkcs1),
		"CERTIFICATE":           inPEM("CERTIFICATE", certificate(rsa)),
		"text before the block": "# the key of the game\n" + inPEM("RSA PUBLIC KEY", pkcs1),
	} {
		t.Run(what, func(t *testing.T) {
			c := withJWT(caller.JWT{
				PublicKeyFile: write(t, content), Algorithms: []string{"RS256"},
			})
			if got := who(t, c, bearer(rs256(t, "", rsa))); !got.Verified {
				t.Errorf("%+v", got)
			}
			if got := who(t, c, bearer(rs256(t, "whatever", rsa))); !got.Verified {
				t.Errorf("with a kid, which the file cannot know: %+v", got)
			}
			if got := who(t, c,
				bearer(rs256(t, "", otherRSAKey()))); got.Bypass != reason.TokenInvalid {
				t.Errorf("another key: %+v", got)
			}
		})
	}
}

func TestAKeySetFile(t *testing.T) {
	a, b := rsaKey(), otherRSAKey()
	alg := func(k jose.JSONWebKey, algorithm string) jose.JSONWebKey {
		k.Algorithm = algorithm
		return k
	}
	use := func(k jose.JSONWebKey, use string) jose.JSONWebKey { k.Use = use; return k }
	for _, tt := range []struct {
		rule  string
		set   string
		token string
		good  bool
	}{
		{"the key of the kid", jwks(named("a", a), named("b", b)), rs256(t, "b", b), true},
		{"not the key of another kid", jwks(named("a", a), named("b", b)), rs256(t, "a", b), false},
		{"a kid that is not there", jwks(named("a", a)), rs256(t, "b", a), false},
		{"kids are case-sensitive", jwks(named("a", a)), rs256(t, "A", a), false},
		{"without a kid in the token any key", jwks(named("a", a), named("b", b)),
			rs256(t, "", b), true},
		{"without a kid in the set any token", jwks(named("", b)), rs256(t, "b", b), true},
		{"two keys of one kid", jwks(named("a", a), named("a", b)), rs256(t, "a", b), true},
		{"a key of the token's algorithm", jwks(alg(named("a", a), "RS256")),
			rs256(t, "a", a), true},
		{"a key of another algorithm", jwks(alg(named("a", a), "RS512")), rs256(t, "a", a), false},
		{"a key for signatures", jwks(use(named("a", a), "sig")), rs256(t, "a", a), true},
		{"a key for encryption", jwks(use(named("a", a), "enc"), named("b", b)),
			rs256(t, "a", a), false},
		{"keys of several kinds", jwks(named("e", ecKey()), named("d", edKey()), named("a", a)),
			rs256(t, "a", a), true},
		{"a key of a kind or curve unknown here is passed over (RFC 7517 §5)",
			`{"keys":[{"kty":"new","kid":"n"},{"kty":"OKP","crv":"X448","x":"AA"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},{"kty":"RSA"},` + strings.TrimPrefix(jwks(named("a", a)), `{"keys":[`), rs256(t, "a", a), true},
		{"what else is in the set says nothing", `{"x":1,` + jwks(named("a", a))[1:],
			rs256(t, "a", a), true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := who(t,
				withJWT(caller.JWT{JWKSFile: write(t, tt.set), Algorithms: []string{"RS256"}}),
				bearer(tt.token))
			if got.Verified != tt.good || !tt.good && got.Bypass != reason.TokenInvalid {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAFileThatHoldsNoPublicKeyIsRefusedByName(t *testing.T) {
	private := rsaKey()
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(private))
	for _, tt := range []struct {
		rule    string
		set     bool
		content string
		want    string
	}{
		{"empty", false, "", "no PEM block"},
		{"no PEM", false, "-----BEGIN PUBLIC KEY-----", "no PEM block"},
		{"a private key", false, inPEM("PRIVATE KEY", pkcs8), "no public key"},
		{"an RSA private key", false,
			inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)), "no public key"},
		{"a private key that calls itself public", false, inPEM("PUBLIC KEY", pkcs8), ""},
		{"a damaged key", false, inPEM("PUBLIC KEY", []byte("x")), ""},
		{"a damaged RSA key", false, inPEM("RSA PUBLIC KEY", []byte("x")), ""},
		{"a damaged certificate", false, inPEM("CERTIFICATE", []byte("x")), ""},
		{"a key set in a place for PEM", false, jwks(named("a", private)), "no PEM block"},

		{"an empty set file", true, "", "no key set"},
		{"no JSON", true, "x", "no key set"},
		{"a list", true, "[]", "no key set"},
		{"a set that ends early", true,
			strings.TrimSuffix(jwks(named("a", private)), "}"), "no key set"},
		{"no keys", true, `{}`, "no key for signatures"},
		{"an empty list of keys", true, `{"keys":[]}`, "no key for signatures"},
		{"keys of unknown kinds alone", true, `{"keys":[{"kty":"new"}]}`, "no key for signatures"},
		{"keys for encryption alone", true,
			jwks(jose.JSONWebKey{Key: private.Public(), Use: "enc"}), "no key for signatures"},
		{"a private key in the set", true,
			jwks(named("a", ecKey()), jose.JSONWebKey{Key: private, KeyID: "p"}),
			`key "p" is no public key`},
		{"a shared secret in the set", true, jwks(jose.JSONWebKey{Key: sharedSecret, KeyID: "s"}),
			`key "s" is no public key`},
		{"a damaged key in the set", true, `{"keys":[{"kty":"RSA","kid":"a","n":"AQAB"}]}`,
			"no key for signatures that can be read: go-jose"},
		{"PEM in a place for a key set", true, inPEM("PUBLIC KEY", pkcs8), "no key set"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			file := write(t, tt.content)
			j := caller.JWT{PublicKeyFile: file, Algorithms: []string{"RS256"}}
			if tt.set {
				j.PublicKeyFile, j.JWKSFile = "", file
			}
			_, err := caller.New(withJWT(j), func() []byte { return nil })
			if err == nil {
				t.Fatal("it is taken")
			}
			if !strings.HasPrefix(err.Error(), file+": ") ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want the file and %q", err, tt.want)
			}
			if len(tt.content) > 40 && strings.Contains(err.Error(), tt.content) {
				t.Errorf("the error shows the file's content: %v", err)
			}
		})
	}
	absent := filepath.Join(t.TempDir(), "absent")
	for _, j := range []caller.JWT{
		{PublicKeyFile: absent, Algorithms: []string{"RS256"}},
		{JWKSFile: absent, Algorithms: []string{"RS256"}},
	} {
		if _, err := caller.New(withJWT(j), func() []byte { return nil }); err == nil ||
			!strings.Contains(err.Error(), absent) {
			t.Errorf("a file that is not there: %v", err)
		}
	}
}

// A keyServer answers with a key set, or with an error status.
type keyServer struct {
	url    string
	answer atomic.Value // string: the set; "" for 500
	asked  atomic.Int32
}

// serveKeys starts a server that closes each connection after its answer, so that none is left in
// the bubble of a test.
func serveKeys(t *testing.T, set string) *keyServer {
	s := &keyServer{}
	s.answer.Store(set)
	server := httptest.NewUnstartedServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			s.asked.Add(1)
			if set := s.answer.Load().(string); set != "" {
				_, _ = w.Write([]byte(set))
				return
			}
			http.Error(w, jwks(named("of an error", otherRSAKey())), http.StatusInternalServerError)
		}))
	server.Config.SetKeepAlivesEnabled(false)
	server.Start()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *keyServer) config() caller.Config {
	return withJWT(caller.JWT{JWKSURL: s.url, Algorithms: []string{"RS256"}})
}

// inBubble runs test with the clock of a bubble (testing/synctest), which moves only with pass.
func (s *keyServer) inBubble(t *testing.T, test func(t *testing.T, i *caller.Identifier)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel() // the bubble ends when Run does
		i := identifier(t, s.config())
		go i.Run(ctx)
		synctest.Wait()
		test(t, i)
	})
}

// pass lets d pass and waits until the timers that came due have run.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func verifies(i *caller.Identifier, token string) bool {
	return i.Identify(fields(bearer(token)), now).Verified
}

func TestKeysOfAURLComeWithRun(t *testing.T) {
	s := serveKeys(t, jwks(named("a", rsaKey())))
	token := rs256(t, "a", rsaKey())
	before := who(t, s.config(), bearer(token))
	if before.Bypass != reason.TokenInvalid || s.asked.Load() != 0 {
		t.Errorf("before Run: %+v, asked %d times", before, s.asked.Load())
	}
	s.inBubble(t, func(t *testing.T, i *caller.Identifier) {
		if !verifies(i, token) {
			t.Error("not verified")
		}
	})
}

func TestATokenWithAnUnknownKeyHasTheKeysReadAgain(t *testing.T) {
	s := serveKeys(t, jwks(named("old", rsaKey())))
	oldToken, newToken := rs256(t, "old", rsaKey()), rs256(t, "new", otherRSAKey())
	s.inBubble(t, func(t *testing.T, i *caller.Identifier) {
		s.answer.Store(jwks(named("old", rsaKey()), named("new", otherRSAKey())))
		pass(time.Minute)
		if s.asked.Load() != 1 {
			t.Fatalf("read %d times though no token asked for it", s.asked.Load())
		}
		if verifies(i, newToken) {
			t.Fatal("verified with a key that was not there")
		}
		synctest.Wait()
		if !verifies(i, newToken) || !verifies(i, oldToken) {
			t.Error("the new key is not there")
		}
		s.answer.Store(jwks(named("new", otherRSAKey())))
		pass(5 * time.Minute)
		if verifies(i, oldToken) {
			t.Error("the old key is still there")
		}
	})
}

func TestUnknownKeysHaveTheKeysReadOnceIn10Seconds(t *testing.T) {
	s := serveKeys(t, jwks(named("a", rsaKey())))
	unknown := rs256(t, "unknown", rsaKey())
	s.inBubble(t, func(t *testing.T, i *caller.Identifier) {
		for second := range 100 {
			for range 3 {
				if verifies(i, unknown) {
					t.Fatal("verified")
				}
			}
			if got, most := int(s.asked.Load()), 1+second/10; got > most {
				t.Fatalf("after %d s the keys were read %d times, want at most %d",
					second, got, most)
			}
			pass(time.Second)
		}
		if got := s.asked.Load(); got < 10 {
			t.Errorf("in 100 s the keys were read %d times", got)
		}
	})
}

func TestKeysAreReadEvery5Minutes(t *testing.T) {
	s := serveKeys(t, jwks(named("a", rsaKey())))
	s.inBubble(t, func(t *testing.T, _ *caller.Identifier) {
		for round := range int32(3) {
			pass(5*time.Minute - time.Second)
			if got := s.asked.Load(); got != round+1 {
				t.Fatalf("a second before round %d: read %d times", round+1, got)
			}
			pass(time.Second)
			if got := s.asked.Load(); got != round+2 {
				t.Fatalf("in round %d: read %d times", round+1, got)
			}
		}
	})
}

func TestWhileTheSourceFailsTheKeysInHandStay(t *testing.T) {
	good := jwks(named("a", rsaKey()))
	token := rs256(t, "a", rsaKey())
	for what, answer := range map[string]string{
		"an error status": "", "no key set": "<html>", "no keys": `{"keys":[]}`,
	} {
		t.Run(what, func(t *testing.T) {
			s := serveKeys(t, good)
			s.inBubble(t, func(t *testing.T, i *caller.Identifier) {
				s.answer.Store(answer)
				pass(5*time.Minute + 25*time.Second)
				// at first, after 5 minutes, and twice 10 seconds later
				if got := s.asked.Load(); got != 4 {
					t.Errorf("read %d times", got)
				}
				if !verifies(i, token) {
					t.Error("the key is gone")
				}
				if verifies(i, rs256(t, "of an error", otherRSAKey())) {
					t.Error("a key of an error's body was taken")
				}
				s.answer.Store(jwks(named("b", otherRSAKey())))
				pass(10 * time.Second)
				if verifies(i, token) || !verifies(i, rs256(t, "b", otherRSAKey())) {
					t.Error("the keys of a source that works again are not there")
				}
			})
		})
	}
}

func TestASourceThatFailsAtFirstIsAskedAgain(t *testing.T) {
	s := serveKeys(t, "")
	token := rs256(t, "a", rsaKey())
	s.inBubble(t, func(t *testing.T, i *caller.Identifier) {
		if got := i.Identify(fields(bearer(token)), now); got.Bypass != reason.TokenInvalid {
			t.Errorf("without keys: %+v", got)
		}
		s.answer.Store(jwks(named("a", rsaKey())))
		pass(10 * time.Second)
		if !verifies(i, token) {
			t.Error("not verified")
		}
	})
}

func TestAKeyFileThatChangesIsReadAgain(t *testing.T) {
	file := write(t, jwks(named("old", rsaKey())))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		i := identifier(t, withJWT(caller.JWT{JWKSFile: file, Algorithms: []string{"RS256"}}))
		go i.Run(ctx)
		synctest.Wait()
		if err := os.WriteFile(file, []byte(jwks(named("new", otherRSAKey()))), 0o600); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		if !verifies(i, rs256(t, "new", otherRSAKey())) || verifies(i, rs256(t, "old", rsaKey())) {
			t.Error("the keys are still the old ones")
		}
	})
}

func TestRunWithoutASourceEndsAtOnce(t *testing.T) {
	for _, c := range []caller.Config{caller.Default(), withSecret()} {
		identifier(t, c).Run(t.Context()) // the test's time limit says otherwise
	}
}
