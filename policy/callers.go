package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/policy/yamldoc"
)

// callers reads the caller block.
func (l *loader) callers(n yamldoc.Node) {
	c := &l.caller
	var id yamldoc.Node
	l.Mapping(n, "caller",
		field("credentials", func(n yamldoc.Node) {
			c.Credentials, l.credentialsAt = l.credentials(n), placeOf(n)
		}),
		field("not_credentials", func(n yamldoc.Node) {
			c.NotCredentials, l.notCredentialsAt =
				l.names(n, "not_credentials", isFieldName), placeOf(n)
		}),
		field("ignore_cookies", func(n yamldoc.Node) {
			c.IgnoreCookies = l.names(n, "ignore_cookies", isParameter)
		}),
		field("jwt", func(n yamldoc.Node) { l.token(n) }),
		field("id", func(n yamldoc.Node) { id = n }),
		field("max_age", func(n yamldoc.Node) { c.MaxAge = l.Positive(n, "max_age") }),
	)
	if !id.Absent() {
		l.callerID(id)
	}
}

func placeOf(n yamldoc.Node) *yamldoc.Place {
	at := n.At()
	return &at
}

func (l *loader) credentials(n yamldoc.Node) []caller.Credential {
	// none at all: everybody is the same caller, and who says otherwise bypasses
	out := []caller.Credential{}
	for _, s := range l.Texts(n, "credentials") {
		credential, err := caller.ParseCredential(s.Text)
		if err != nil {
			l.Fault(s, "%v", err)
			continue
		}
		out = append(out, credential)
	}
	return out
}

// token reads the jwt block.
func (l *loader) token(n yamldoc.Node) {
	j := &caller.JWT{}
	l.jwt = true
	text := func(to *string, what string) func(yamldoc.Node) {
		return func(n yamldoc.Node) { *to, _ = l.Text(n, what) }
	}
	secret := ""
	var algorithms yamldoc.Node
	before := l.Count()
	l.Mapping(n, "jwt",
		field("secret_env", func(n yamldoc.Node) {
			if secret, _ = l.Text(n, "secret_env"); secret != "" &&
				!isVariable.MatchString(secret) {
				l.Fault(n, "secret_env is the name of the variable with the secret, like JWT_SECRET, "+
					"and neither the secret nor $NAME")
				return
			}
			j.Secret = l.secret(n, secret)
		}),
		field("public_key_file", text(&j.PublicKeyFile, "public_key_file")),
		field("jwks_file", text(&j.JWKSFile, "jwks_file")),
		field("jwks_url", text(&j.JWKSURL, "jwks_url")),
		field("algorithms", func(n yamldoc.Node) {
			algorithms, j.Algorithms = n, l.Strings(n, "algorithms")
		}),
		field("issuer", text(&j.Issuer, "issuer")),
		field("audience", text(&j.Audience, "audience")),
		field("typ", text(&j.Type, "typ")),
	)
	if l.FaultySince(before) {
		return // a check of the whole block would only repeat the fault
	}
	if err := j.Check(); err != nil {
		var at yamldoc.Placed = n
		if strings.Contains(err.Error(), "is no algorithm") {
			at = algorithms
		}
		l.Fault(at, "jwt: %v", err)
		return
	}
	if l.options.Env != nil { // else the file alone is checked
		l.caller.JWT = j
	}
}

// isVariable is the name of a variable of the environment.
var isVariable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// minSecret is how long a shared secret should be, in bytes (RFC 7518 §3.2).
const minSecret = 32

// secret looks up the variable that holds a shared secret. Its value never reaches a finding.
func (l *loader) secret(n yamldoc.Node, name string) []byte {
	if l.options.Env == nil {
		return []byte("unknown")
	}
	value, ok := l.options.Env(name)
	if !ok || value == "" {
		l.Fault(n, "the variable %s is not set: it holds the secret of the API's tokens", name)
		return nil
	}
	if len(value) < minSecret {
		l.Smell(n, "the secret in %s is shorter than %d bytes: it can be guessed from one token "+
			"(RFC 7518 §3.2)", name, minSecret)
	}
	return []byte(value)
}

// callerID reads the id template.
func (l *loader) callerID(n yamldoc.Node) {
	text, ok := l.Text(n, "a template")
	if !ok {
		return
	}
	t := l.template(yamldoc.Located{Text: text, Place: n.At()})
	if t == nil {
		return
	}
	if !l.jwt {
		l.Fault(n, "id is made of claims, which need jwt")
		return
	}
	if len(t.Placeholders()) == 0 || t.IsFamily() {
		l.Fault(n, "id names at least one claim, like %q", "{claim.user_id}")
		return
	}
	for _, p := range t.Placeholders() {
		if p.Source != cachekeys.FromClaim {
			l.Fault(n, "id is made of claims alone, like %q: nothing else is verified",
				"{claim.user_id}")
			return
		}
	}
	l.caller.ID = t
	l.smellOfID(n, t)
}

// deciding are claims on which the content of an answer often depends.
var deciding = []string{"role", "roles", "scope", "scp", "permissions", "groups", "org", "tenant"}

func (l *loader) smellOfID(n yamldoc.Node, t *cachekeys.Template) {
	names := claimsOf(t)
	if !slices.ContainsFunc(deciding, func(c string) bool { return slices.Contains(names, c) }) &&
		!slices.Contains(names, "jti") {
		l.Smell(n, "id leaves out claims like %s: two roles of one user would share private "+
			"entries", strings.Join(deciding[:3], ", "))
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

// smellOfIdentity names, once for all private routes, the fields that say who is asking and that
// their entries do not tell apart: those that the file exempts, and those by which a request
// bypasses the cache where the file leaves the credentials to the default.
func (l *loader) smellOfIdentity() {
	var private []*draft
	for _, r := range l.routes {
		if r.cache != nil && r.cache.Scope == Private {
			private = append(private, r)
		}
	}
	if len(private) == 0 || l.FaultySince(0) {
		return
	}
	routes := "the private route counts"
	if len(private) > 1 {
		routes = fmt.Sprintf("the %d private routes count", len(private))
	}
	if exempt := identifying(l.caller.NotCredentials); len(exempt) > 0 {
		l.Smell(l.notCredentialsAt,
			"%s: %s nothing that says who is asking there, and one answer serves all values. "+
				"See that the API ignores them", strings.Join(exempt, ", "), routes)
	}
	if l.credentialsAt != nil {
		return
	}
	others := slices.DeleteFunc(httpfield.IdentityNames(), func(name string) bool {
		return name == "Authorization" || httpfield.Names(l.caller.NotCredentials).HasFold(name)
	})
	l.Smell(private[0].at,
		"%s Authorization, X-API-Key and cookies alone: a request with another field that says who "+
			"is asking bypasses the cache. Name in caller.credentials all that the API reads; "+
			"the others are %s",
		routes, strings.Join(others, ", "))
}

// identifying are the names and prefixes that stand for fields that say who is asking.
func identifying(names []string) (out []string) {
	for _, name := range names {
		prefix, open := strings.CutSuffix(name, "*")
		known := func(field string) bool {
			return open && httpfield.Names{name}.HasFold(strings.TrimSuffix(field, "*"))
		}
		if httpfield.Identifies(httpfield.Hyphenated(prefix)) ||
			slices.ContainsFunc(httpfield.IdentityNames(), known) {
			out = append(out, name)
		}
	}
	return out
}
