package caller

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"sidecar/internal/httpfield"
)

// unsigned is a token with a signature that no key makes.
func unsigned(header, claims, signature string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(header)) + "." + part([]byte(claims)) + "." + signature
}

func TestClaimedTellsApartByLastingClaims(t *testing.T) {
	i, err := New(Default(), func() []byte { return []byte("secret") })
	if err != nil {
		t.Fatal(err)
	}
	claim := func(lines ...string) Claimed {
		h := http.Header{}
		for _, line := range lines {
			name, value, _ := strings.Cut(line, ": ")
			h.Add(name, value)
		}
		return i.Claimed(httpfield.Request{Fields: httpfield.Header(h)})
	}
	claimed := func(lines ...string) string { return claim(lines...).ID }
	bearer := func(header, claims, signature string) string {
		return "Authorization: Bearer " + unsigned(header, claims, signature)
	}
	ann := claimed(bearer(`{"alg":"HS256"}`, `{"sub":"ann","iat":1,"exp":2,"jti":"x"}`, "a"))
	if ann == "" || strings.Contains(ann, "ann") {
		t.Fatalf("%q", ann)
	}
	for name, line := range map[string]string{
		"renewed":           bearer(`{"alg":"HS256"}`, `{"sub":"ann","iat":5,"exp":9}`, "b"),
		"another algorithm": bearer(`{"alg":"none"}`, `{"sub":"ann"}`, ""),
	} {
		if got := claimed(line); got != ann {
			t.Errorf("%s: %q is not %q", name, got, ann)
		}
	}
	for name, lines := range map[string][]string{
		"another caller": {bearer(`{"alg":"HS256"}`, `{"sub":"bob"}`, "a")},
		"another role":   {bearer(`{"alg":"HS256"}`, `{"sub":"ann","role":"gm"}`, "a")},
		"another key":    {bearer(`{"alg":"HS256","kid":"2"}`, `{"sub":"ann"}`, "a")},
		"a cookie beside": {bearer(`{"alg":"HS256"}`, `{"sub":"ann"}`, "a"),
			"Cookie: session=1"},
		"a cookie alone": {"Cookie: session=" + unsigned(`{"alg":"HS256"}`, `{"sub":"ann"}`, "a")},
	} {
		if got := claimed(lines...); got == ann || got == "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, line := range map[string]string{
		"no token":       "Authorization: Bearer opaque",
		"no credentials": "Accept: */*",
		"no JSON":        bearer(`{}`, `{`, "a"),
		"a claim twice":  bearer(`{}`, `{"sub":"ann","sub":"bob"}`, "a"),
		"no claims":      bearer(`{}`, `{}`, "a"),
		"not UTF-8":      bearer(`{}`, "{\"sub\":\"\xff\"}", "a"),
		"too long":       bearer(`{}`, `{"sub":"`+strings.Repeat("a", maxToken)+`"}`, "a"),
		"two parts":      "Authorization: Bearer e30.e30",
		"undeclared":     "X-Forwarded-User: ann",
		"another scheme": "Authorization: Basic YTpi",
		"an odd spelling": strings.Replace(bearer(`{}`, `{"sub":"ann"}`, "a"),
			"Bearer", "bearer", 1),
	} {
		if got := claimed(line); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}

	// PocketBase's clients, for instance, send no scheme
	bare := func(claims string) Claimed {
		return claim("Authorization: " + unsigned(`{"alg":"HS256"}`, claims, "a"))
	}
	first, renewed := bare(`{"sub":"ann","exp":1}`), bare(`{"sub":"ann","exp":2}`)
	if !first.Bare || first != renewed || first.ID == ann || first.ID == "" {
		t.Errorf("without Bearer: %+v, and renewed %+v", first, renewed)
	}
	if other := bare(`{"sub":"bob","exp":1}`); other.ID == first.ID {
		t.Error("two callers without Bearer are one")
	}
	if claim(bearer(`{"alg":"HS256"}`, `{"sub":"ann"}`, "a")).Bare {
		t.Error("with Bearer it is taken for one without")
	}
}
