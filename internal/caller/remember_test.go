package caller

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var noon = time.Unix(1_000_000_000, 0)

// signed is a token of HS256.
func signed(secret []byte, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, padded(secret))
	_, _ = mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func verifierOf(t testing.TB, secret string) *verifier {
	t.Helper()
	v, err := newVerifier(&JWT{Secret: []byte(secret), Algorithms: []string{"HS256"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tokens are those that v remembers.
func (v *verifier) tokens() *remembered { return &v.keys.Load().tokens }

func (r *remembered) has(token string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.young[token] != nil || r.old[token] != nil
}

func TestATokenIsVerifiedOnce(t *testing.T) {
	v := verifierOf(t, "secret")
	token := signed([]byte("secret"), `{"sub":"7"}`)
	first, ok := v.verify(token, noon)
	if !ok {
		t.Fatal("not verified")
	}
	if again, ok := v.verify(strings.Clone(token), noon); !ok || again != first {
		t.Error("verified anew")
	}
}

func TestATokenThatFailsIsNotRemembered(t *testing.T) {
	v := verifierOf(t, "secret")
	for _, token := range []string{
		"", "a.b.c", signed([]byte("other"), `{"sub":"7"}`),
		signed([]byte("secret"), `{"nbf":1000000001}`),
		signed([]byte("secret"), `{"exp":1000000000}`),
	} {
		if _, ok := v.verify(token, noon); ok || v.tokens().has(token) {
			t.Errorf("%q: verified %v, remembered %v", token, ok, v.tokens().has(token))
		}
	}
	if r := v.tokens(); r.bytes != 0 || r.turns != nil {
		t.Errorf("%d bytes are counted", r.bytes)
	}
}

func TestARememberedTokenHoldsNoLongerThanItIsValid(t *testing.T) {
	v := verifierOf(t, "secret")
	token := signed([]byte("secret"), `{"nbf":999999990,"exp":1000000060}`)
	for _, step := range []struct {
		at   time.Time
		want bool
	}{
		{noon, true},
		{time.Unix(1_000_000_060, -1), true},
		{time.Unix(1_000_000_060, 0), false},
		{noon, true}, // the clock was set back
		{time.Unix(999_999_990, 0), true},
		{time.Unix(999_999_990, -1), false},
	} {
		if _, ok := v.verify(token, step.at); ok != step.want {
			t.Errorf("at %v: %v", step.at, ok)
		}
		if v.tokens().has(token) != step.want {
			t.Errorf("at %v: remembered %v", step.at, !step.want)
		}
	}
}

// Tokens are told apart by their whole text: by that in the middle as by its ends.
func TestNoTokenIsTakenForARememberedOne(t *testing.T) {
	v := verifierOf(t, "secret")
	token := signed([]byte("secret"), `{"sub":"7","pad":"`+strings.Repeat("x", 1000)+`"}`)
	if _, ok := v.verify(token, noon); !ok {
		t.Fatal("not verified")
	}
	for i := range len(token) - 1 { // the last letter has bits that count for nothing
		other := []byte(token)
		if other[i]++; other[i] == '.'+1 {
			continue
		}
		if _, ok := v.verify(string(other), noon); ok {
			t.Fatalf("verified with another letter at %d", i)
		}
	}
	if _, ok := v.verify(token[:len(token)-1], noon); ok {
		t.Error("verified without its end")
	}
}

func TestWhatFormerKeysVerifiedIsForgottenAtOnce(t *testing.T) {
	secrets := make(chan []byte, 1)
	v := verifierOf(t, "first")
	v.read = func(context.Context) ([]jose.JSONWebKey, error) {
		return []jose.JSONWebKey{{Key: padded(<-secrets)}}, nil
	}
	first, second := signed([]byte("first"), `{}`), signed([]byte("second"), `{}`)
	if _, ok := v.verify(first, noon); !ok {
		t.Fatal("not verified")
	}
	former := v.keys.Load()
	secrets <- []byte("second")
	if err := v.refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.verify(first, noon); ok {
		t.Error("verified by a key that was rotated out")
	}
	if _, ok := v.verify(second, noon); !ok {
		t.Error("not verified by the new key")
	}
	// A verification that began before remembers the token where nobody looks.
	former.tokens.put(first, &claimSet{})
	if former.tokens.has(first) || former.tokens.turns != nil {
		t.Error("the former keys remember")
	}
}

// A value that depends on the keys, or on the secret, can be kept for an epoch.
func TestAnEpochEndsWithTheKeysAndWithTheSecret(t *testing.T) {
	secret := []byte("secret")
	i := &Identifier{secret: func() []byte { return secret }, tokens: verifierOf(t, "first")}
	first := i.Epoch()
	if i.Epoch() != first {
		t.Error("it ends without a reason")
	}
	i.tokens.use([]jose.JSONWebKey{{Key: padded([]byte("second"))}})
	second := i.Epoch()
	if second == first {
		t.Error("it outlives the keys")
	}
	if secret = []byte("secret"); i.Epoch() == second {
		t.Error("it outlives the secret")
	}
}

// Policies that are loaded anew have keys and memory of their own.
func TestVerifiersShareNoTokens(t *testing.T) {
	token := signed([]byte("secret"), `{"iss":"game"}`)
	if _, ok := verifierOf(t, "secret").verify(token, noon); !ok {
		t.Fatal("not verified")
	}
	for _, j := range []JWT{
		{Secret: []byte("other"), Algorithms: []string{"HS256"}},
		{Secret: []byte("secret"), Algorithms: []string{"HS512"}},
		{Secret: []byte("secret"), Algorithms: []string{"HS256"}, Issuer: "other"},
	} {
		v, err := newVerifier(&j, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := v.verify(token, noon); ok {
			t.Errorf("verified with %v, issuer %q", j.Algorithms, j.Issuer)
		}
	}
}

func TestRememberedTokensAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name string
		cost int // of one
		want int // that a generation holds
	}{
		{"in number", 0, generationTokens},
		{"in bytes", generationBytes/10 - len("token 0000000"), 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &remembered{}
			defer r.end()
			for i := range 10 * tt.want {
				token := fmt.Sprintf("token %07d", i)
				r.put(token, &claimSet{cost: tt.cost})
				if !r.has(token) {
					t.Fatalf("%s was not remembered", token)
				}
				if len(r.young) > tt.want || len(r.old) > tt.want || r.bytes > generationBytes {
					t.Fatalf("%d and %d tokens, %d bytes", len(r.young), len(r.old), r.bytes)
				}
			}
			if len(r.old) != tt.want {
				t.Errorf("%d old ones, want %d", len(r.old), tt.want)
			}
		})
	}
	r := &remembered{}
	if r.put("huge", &claimSet{cost: generationBytes}); r.has("huge") || r.turns != nil {
		t.Error("one is remembered that is larger than a generation")
	}
}

func TestATokenInUseIsNotPushedOut(t *testing.T) {
	r := &remembered{}
	defer r.end()
	r.put("mine", &claimSet{})
	for i := range 10 * generationTokens {
		r.put(fmt.Sprint(i), &claimSet{})
		if i%(generationTokens/2) == 0 && r.get("mine", noon) == nil {
			t.Fatalf("forgotten after %d others", i)
		}
	}
}

func TestATokenThatIsNotUsedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &remembered{}
		begin := time.Now()
		r.put("used", &claimSet{})
		r.put("unused", &claimSet{})
		for time.Since(begin) < 3*generationAge {
			time.Sleep(generationAge / 2)
			synctest.Wait()
			if r.get("used", noon) == nil {
				t.Fatalf("what is used was forgotten after %v", time.Since(begin))
			}
		}
		if r.has("unused") {
			t.Error("what is not used is remembered")
		}
		time.Sleep(3 * generationAge)
		synctest.Wait()
		if r.has("used") || r.turns != nil {
			t.Error("the last one is remembered, or the timer runs on")
		}
		if r.put("later", &claimSet{}); r.turns == nil {
			t.Error("no timer runs for a later one")
		}
		r.end()
	})
}

func TestTokensMayBeUsedAndForgottenAtOnce(t *testing.T) {
	v := verifierOf(t, "secret")
	v.read = func(context.Context) ([]jose.JSONWebKey, error) {
		return []jose.JSONWebKey{{Key: padded([]byte("secret"))}}, nil
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 500 {
				sub := fmt.Sprint((worker + i) % 7)
				token := signed([]byte("secret"), `{"sub":"`+sub+`","exp":1000000060}`)
				if c, ok := v.verify(token, noon); !ok || c.all["sub"] != sub {
					t.Errorf("%v, verified %v, want %s", c, ok, sub)
					return
				}
				switch {
				case worker == 0 && i%50 == 0:
					_ = v.refresh(t.Context())
				case worker == 1:
					v.tokens().age()
				case worker == 2 && i%9 == 0:
					v.verify(token, noon.Add(time.Hour))
				}
			}
		})
	}
	all.Wait()
	v.tokens().end()
}

// The bound in bytes is one of real memory, also for claims that are small as text.
func TestTheCostOfATokenCoversItsMemory(t *testing.T) {
	for name, claims := range map[string]string{
		"usual": `{"sub":"0123456789abcdef","iss":"https://login.example.com/","aud":["web","app"],` +
			`"exp":1000000060,"iat":1000000000,"jti":"f3b2","org":{"id":42},"scope":"read write","n":%d}`,
		"small":   `{"sub":%d}`,
		"objects": `{"n":%d,"o":[` + strings.Repeat(`{"a":1},`, 999) + `1]}`,
		"lists":   `{"n":%d,"o":[` + strings.Repeat(`[],`, 999) + `1]}`,
		"numbers": `{"n":%d,"o":[` + strings.Repeat(`1,`, 1999) + `1]}`,
		"members": `{"n":%d` + members(500) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			const tokens = 200
			texts := make([]string, tokens)
			for i := range texts {
				texts[i] = signed([]byte("secret"), fmt.Sprintf(claims, i))
			}
			r := &remembered{}
			defer r.end()
			v := verifierOf(t, "secret")
			before, cost := heap(), 0
			for _, text := range texts {
				c, ok := v.check(v.keys.Load(), text, noon)
				if !ok {
					t.Fatal("not verified")
				}
				cost += c.cost + len(text)
				r.old = nil // nothing is to be lost to the bound
				r.put(text, c)
				r.bytes = 0
			}
			used := int(heap() - before)
			if used > cost || used < cost/4 {
				t.Errorf("%d tokens take %d bytes, counted as %d", tokens, used, cost)
			}
			runtime.KeepAlive(r)
			runtime.KeepAlive(texts)
		})
	}
}

func members(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":%d`, i, i)
	}
	return b.String()
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
