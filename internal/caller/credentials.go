package caller

import (
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// identityFields are the fields that identify a caller, in lower case; '*' ends a prefix.
var identityFields = httpfield.Names{
	"authorization", "x-auth-user", "x-auth-key", "x-auth-email", "x-username", "x-userid", "x-email",
	"x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-preferred-username",
	"x-forwarded-access-token", "x-forwarded-id-token", "x-forwarded-client-cert",
	"x-auth-request-*", "remote-user", "remote-name",
	"remote-email", "remote-groups", "x-remote-*", "x-authenticated-*", "x-webauth-*",
	"x-userinfo", "x-user-*", "x-consumer-*", "x-credential-*", "x-anonymous-consumer",
	"x-jwt-*", "x-id-token", "x-amzn-oidc-*", "x-goog-authenticated-user-*", "x-goog-iap-*",
	"x-ms-client-principal*", "x-ms-token-*", "cf-access-*", "client-cert", "client-cert-chain",
	"x-client-cert*", "x-ssl-client-*", "ssl-client-*", "x-tenant-user", "x-authentik-*",
}

// identitySuffixes end the names of fields by which APIs take a credential of their own kind
// (Private-Token, X-Vault-Token, Ocp-Apim-Subscription-Key).
var identitySuffixes = []string{
	"token", "authorization", "api-key", "apikey", "access-key", "app-key", "auth-key", "subscription-key", "functions-key",
	"secret", "password",
}

// identifies reports whether the field with this name, hyphenated, says who is asking.
func identifies(name string) bool { return identityFields.Has(name) || hasIdentitySuffix(name) }

func hasIdentitySuffix(name string) bool {
	switch name[len(name)-1] | 0x20 {
	case 'n', 'y', 't', 'd':
	default:
		return false
	}
	for _, suffix := range identitySuffixes {
		if start := len(name) - len(suffix); start >= 0 && strings.EqualFold(name[start:], suffix) {
			return !isAntiForgery(name) && !strings.EqualFold(name, "Proxy-Authorization") // which ends here
		}
	}
	return false
}

// isAntiForgery reports whether the field holds a token against forged requests, which says nothing
// about who is asking: like the cookies csrf* and XSRF-*.
func isAntiForgery(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "csrf") || strings.Contains(name, "xsrf") || name == "requestverificationtoken"
}

// undeclared reports whether the request has an identity field that the policies do not declare. A
// name with '_' cannot be declared, and some servers read it as '-'.
func undeclared(f httpfield.Fields, c Config) bool {
	for name := range f.All() {
		if !mayIdentify(name) {
			continue
		}
		plain := httpfield.Hyphenated(name)
		if !identifies(plain) || httpfield.Names(c.NotCredentials).HasFold(plain) {
			continue
		}
		if !slices.Contains(c.Credentials, Credential{Name: name}) {
			return true
		}
	}
	return false
}

// mayIdentify is false for most names that do not identify, without looking at them.
func mayIdentify(name string) bool {
	if hasIdentitySuffix(name) {
		return true
	}
	switch name[0] | 0x20 {
	case 'a', 'x', 'r':
		return true
	case 'c': // Cf-, Client-
		return len(name) > 3 && (name[1]|0x20 == 'f' || name[1]|0x20 == 'l')
	case 's': // Ssl-
		return len(name) > 3 && name[1]|0x20 == 's'
	}
	return false
}

// Presents reports whether a request has cookies or a field that may identify its caller, declared
// or not.
func Presents(f httpfield.Fields) bool {
	for name := range f.All() {
		plain := httpfield.Hyphenated(name)
		if plain == "cookie" || identifies(plain) {
			return true
		}
	}
	return false
}

// presented is one credential of a request.
type presented struct {
	cookie, query bool
	name, value   string
}

func (p presented) kind() string {
	switch {
	case p.cookie:
		return "cookie"
	case p.query:
		return "query"
	}
	return "header"
}

// token returns the credential's JWT. In Authorization it follows Bearer (RFC 6750 §2.1); elsewhere
// any value in the form of a JWT is one.
func (p presented) token() (token string, ok bool) {
	if !p.cookie && !p.query && p.name == "Authorization" {
		scheme, rest, _ := strings.Cut(p.value, " ")
		if scheme != "Bearer" { // in other letters it is a token that fails: an API may refuse it
			rest = ""
		}
		return rest, strings.EqualFold(scheme, "Bearer")
	}
	return p.value, strings.HasPrefix(p.value, "eyJ") && strings.Count(p.value, ".") == 2
}

// collect returns the credentials of a request, in the order of the policies and then of the
// request. ok is false where servers read a credential from the request in different ways.
func (i *Identifier) collect(f httpfield.Fields, query string) (found []presented, ok bool) {
	var jar []httpfield.Cookie
	if i.inCookies {
		if jar, ok = httpfield.Cookies(f); !ok || i.hasTwin(jar) {
			return nil, false
		}
	}
	for _, credential := range i.config.Credentials {
		switch {
		case credential.Query:
			found = append(found, inQuery(query, credential.Name)...)
		case credential.Cookie:
			for _, k := range jar {
				if i.counts(credential, k.Name) {
					found = append(found, presented{cookie: true, name: k.Name, value: k.Value})
				}
			}
		default:
			values := f.Values(credential.Name)
			if credential.Name == "Authorization" && !isOneAuthorization(values) {
				return nil, false
			}
			for _, v := range values {
				found = append(found, presented{name: credential.Name, value: v})
			}
		}
	}
	return found, true
}

// inQuery are the parameters of this name, and of names that some backend takes for it: those are
// credentials of their own.
func inQuery(query, name string) (found []presented) {
	bare := cachekeys.BareName(name)
	for other, value := range cachekeys.ParseQuery(query).All() {
		if other == name || cachekeys.BareName(other) == bare {
			found = append(found, presented{query: true, name: other, value: value})
		}
	}
	return found
}
