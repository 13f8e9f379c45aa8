package caller

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sidecar/cachekeys"
)

// A Config is the `caller` block of the policies.
type Config struct {
	Credentials    []Credential
	NotCredentials []string // exempt names of fields, or prefixes that end in '*'
	IgnoreCookies  []string // names of cookies, or prefixes that end in '*'
	JWT            *JWT     // nil: no token is verified
	// ID, if not nil, is filled with the claims of a verified token and identifies the caller. nil:
	// all claims but exp, iat, nbf and jti do.
	ID     *cachekeys.Template
	MaxAge time.Duration // lifetime limit of entries filled with unverified credentials
}

// A Credential is a field or a cookie that identifies the caller.
type Credential struct {
	Cookie bool
	Query  bool   // a parameter of the query
	Name   string // canonical for a field; "*" for every cookie that is not ignored
}

// A JWT configures the keys and the required claims of tokens. Exactly one source of keys is set.
type JWT struct {
	Secret        []byte `digest:"-"` // of HS256, HS384, HS512; in no digest
	PublicKeyFile string // PEM
	JWKSFile      string
	JWKSURL       string
	Algorithms    []string // accepted ones; not empty
	Issuer        string   // "": any
	Audience      string   // "": any
	Type          string   // of the token (typ), like at+jwt; "": any
}

// DefaultMaxAge is the default of `max_age`.
const DefaultMaxAge = 5 * time.Minute

// Default is the caller block of a policies file without one.
func Default() Config {
	return Config{
		Credentials: []Credential{{Name: "Authorization"}, {Name: "X-Api-Key"},
			{Cookie: true, Name: "*"}},
		IgnoreCookies: []string{"csrf*", "XSRF-*", "_ga*"},
		MaxAge:        DefaultMaxAge,
	}
}

// ParseCredential reads "header:NAME", "cookie:NAME" or "query:NAME".
func ParseCredential(s string) (Credential, error) {
	kind, name, ok := strings.Cut(s, ":")
	switch {
	case !ok || name == "" || strings.ContainsAny(name, " ,;="):
	case kind == "header" && !strings.Contains(name, "*"):
		return Credential{Name: http.CanonicalHeaderKey(name)}, nil
	case kind == "cookie":
		return Credential{Cookie: true, Name: name}, nil
	case kind == "query" && !strings.Contains(name, "*"):
		return Credential{Query: true, Name: name}, nil
	}
	return Credential{}, fmt.Errorf("%q is no credential: %s", s, meantCredential(kind, name))
}

// meantCredential is the credential that was probably meant by one of an unknown kind.
func meantCredential(kind, name string) string {
	const forms = "it is like header:Authorization, cookie:session or query:token"
	kind, name = strings.ToLower(strings.TrimSpace(kind)), strings.TrimSpace(name)
	switch {
	case strings.Contains(name, "*"):
		return "a field or a parameter has its whole name here, without *"
	case strings.ContainsAny(name, " ,;="):
		return forms
	case name == "" && (kind == "authorization" || strings.HasPrefix(kind, "x-")):
		return "did you mean header:" + http.CanonicalHeaderKey(kind) + "?"
	case kind == "bearer" || kind == "basic" || kind == "token":
		return "did you mean header:Authorization?"
	case name != "" && slices.Contains([]string{"headers", "header", "field"}, kind):
		return "did you mean header:" + name + "?"
	case name != "" && (kind == "cookies" || kind == "cookie"):
		return "did you mean cookie:" + name + "?"
	case name != "" && slices.Contains([]string{"param", "parameter", "queries", "query"}, kind):
		return "did you mean query:" + name + "?"
	}
	return forms
}

// symmetric are the algorithms of a shared secret, asymmetric those of a key pair (RFC 7518 §3.1,
// RFC 8037 §3.1).
var (
	symmetric  = []string{"HS256", "HS384", "HS512"}
	asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384",
		"ES512", "EdDSA"}
)

// Check returns the first fault of j. The algorithms have to fit the kind of key, so that a public
// key is never used as a shared secret.
func (j *JWT) Check() error {
	sources := 0
	for _, set := range []bool{len(j.Secret) > 0, j.PublicKeyFile != "", j.JWKSFile != "",
		j.JWKSURL != ""} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		return errors.New(
			"keys need exactly one of secret_env, public_key_file, jwks_file and jwks_url")
	}
	want, kind := asymmetric, "a public key"
	if len(j.Secret) > 0 {
		want, kind = symmetric, "a shared secret"
	}
	if len(j.Algorithms) == 0 {
		return fmt.Errorf("algorithms has to name those that are accepted: with %s some of %s",
			kind, strings.Join(want, ", "))
	}
	for _, a := range j.Algorithms {
		if slices.Contains(want, a) {
			continue
		}
		there := "those are " + strings.Join(want, ", ")
		if upper := strings.ToUpper(a); slices.Contains(want, upper) {
			there = "did you mean " + upper + "?"
		}
		return fmt.Errorf("%q is no algorithm for %s: %s", a, kind, there)
	}
	return checkURL(j.JWKSURL)
}

// checkURL checks the form of jwks_url.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "", err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"):
		return nil
	case !strings.Contains(s, "://"):
		return fmt.Errorf("jwks_url %q is no URL: did you mean %q?", s, "https://"+s)
	}
	return errors.New("jwks_url is no URL of https, like " +
		"https://login.example/.well-known/jwks.json")
}
