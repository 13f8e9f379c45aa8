package policy

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
)

// callers reads the caller block.
func (l *loader) callers(n ast.Node) {
	c := &l.caller
	var id ast.Node
	l.mapping(n, "caller",
		field{"credentials", func(n ast.Node) { c.Credentials = l.credentials(n) }},
		field{"not_credentials", func(n ast.Node) { c.NotCredentials = plain(l.texts(n, "not_credentials")) }},
		field{"ignore_cookies", func(n ast.Node) { c.IgnoreCookies = plain(l.texts(n, "ignore_cookies")) }},
		field{"jwt", func(n ast.Node) { l.token(n) }},
		field{"id", func(n ast.Node) { id = n }},
		field{"max_age", func(n ast.Node) { c.MaxAge = l.positive(n, "max_age") }},
	)
	if id != nil {
		l.callerID(id)
	}
}

func (l *loader) credentials(n ast.Node) []caller.Credential {
	out := []caller.Credential{} // none at all: everybody is the same caller, and who says otherwise bypasses
	for _, s := range l.texts(n, "credentials") {
		credential, err := caller.ParseCredential(s.text)
		if err != nil {
			l.fault(s.at, "%v", err)
			continue
		}
		out = append(out, credential)
	}
	return out
}

// token reads the jwt block.
func (l *loader) token(n ast.Node) {
	j := &caller.JWT{}
	l.jwt = true
	text := func(to *string, what string) func(ast.Node) {
		return func(n ast.Node) { *to, _ = l.text(n, what) }
	}
	secret := ""
	before := len(l.findings.List)
	l.mapping(n, "jwt",
		field{"secret_env", func(n ast.Node) {
			secret, _ = l.text(n, "secret_env")
			j.Secret = l.secret(n, secret)
		}},
		field{"public_key_file", text(&j.PublicKeyFile, "public_key_file")},
		field{"jwks_file", text(&j.JWKSFile, "jwks_file")},
		field{"jwks_url", text(&j.JWKSURL, "jwks_url")},
		field{"algorithms", func(n ast.Node) { j.Algorithms = plain(l.texts(n, "algorithms")) }},
		field{"issuer", text(&j.Issuer, "issuer")},
		field{"audience", text(&j.Audience, "audience")},
	)
	if l.faultySince(before) {
		return // what follows would only repeat it
	}
	if err := j.Check(); err != nil {
		l.fault(n, "jwt: %v", err)
		return
	}
	if l.options.Env != nil { // else what the file refers to is not looked at
		l.caller.JWT = j
	}
}

// minSecret is how long a shared secret should be, in bytes (RFC 7518 §3.2).
const minSecret = 32

// secret looks up the variable that holds a shared secret. Its value never reaches a finding.
func (l *loader) secret(n ast.Node, name string) []byte {
	if l.options.Env == nil {
		return []byte("unknown")
	}
	value, ok := l.options.Env(name)
	if !ok || value == "" {
		l.fault(n, "the variable %s is not set: it holds the secret of the API's tokens", name)
		return nil
	}
	if len(value) < minSecret {
		l.smell(n, "the secret in %s is shorter than %d bytes: it can be guessed from one token (RFC 7518 §3.2)", name, minSecret)
	}
	return []byte(value)
}

// callerID reads the id template.
func (l *loader) callerID(n ast.Node) {
	t := l.template(n)
	if t == nil {
		return
	}
	if !l.jwt {
		l.fault(n, "id is made of claims, which need jwt")
		return
	}
	if len(t.Placeholders()) == 0 || t.IsFamily() {
		l.fault(n, "id names at least one claim, like %q", "{claim.user_id}")
		return
	}
	for _, p := range t.Placeholders() {
		if p.Source != cachekeys.FromClaim {
			l.fault(n, "id is made of claims alone, like %q: nothing else is verified", "{claim.user_id}")
			return
		}
	}
	l.caller.ID = t
	l.smellOfID(n, t)
}

// deciding are claims that often decide what an answer holds.
var deciding = []string{"role", "roles", "scope", "scp", "permissions", "groups", "org", "tenant"}

func (l *loader) smellOfID(n ast.Node, t *cachekeys.Template) {
	names := claimsOf(t)
	if !slices.ContainsFunc(deciding, func(c string) bool { return slices.Contains(names, c) }) && !slices.Contains(names, "jti") {
		l.smell(n, "id leaves out claims like %s: two roles of one user would share private entries", strings.Join(deciding[:3], ", "))
	}
}

func claimsOf(t *cachekeys.Template) []string {
	var names []string
	for _, p := range t.Placeholders() {
		if p.Source == cachekeys.FromClaim {
			names = append(names, p.Name)
		}
	}
	return names
}
