package httpfield

import (
	"slices"
	"strings"
)

// identityFields are the fields that say who is asking, in lower case; '*' ends a prefix.
var identityFields = Names{
	"authorization", "x-auth-user", "x-auth-key", "x-auth-email", "x-username",
	"x-userid", "x-email",
	"x-forwarded-user*", "x-forwarded-email", "x-forwarded-groups",
	"x-forwarded-preferred-username", "x-forwarded-access-token", "x-forwarded-id-token",
	"x-forwarded-client-cert", "x-forwarded-tls-client-cert*",
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
	"token", "authorization", "api-key", "apikey", "access-key", "app-key", "auth-key",
	"subscription-key", "functions-key", "secret", "password",
}

// identityWhole and identityPrefixes are identityFields, to be found faster.
var identityWhole, identityPrefixes = func() (whole map[string]bool, prefixes []string) {
	whole = map[string]bool{}
	for _, f := range identityFields {
		if prefix, open := strings.CutSuffix(f, "*"); open {
			prefixes = append(prefixes, prefix)
		} else {
			whole[f] = true
		}
	}
	return whole, prefixes
}()

// Identifies reports whether the field with this name, hyphenated, says who is asking.
func Identifies(name string) bool {
	return identityWhole[name] || hasIdentitySuffix(name) ||
		slices.ContainsFunc(identityPrefixes,
			func(p string) bool { return strings.HasPrefix(name, p) })
}

func hasIdentitySuffix(name string) bool {
	if name == "" {
		return false
	}
	switch name[len(name)-1] | 0x20 {
	case 'n', 'y', 't', 'd':
	default:
		return false
	}
	for _, suffix := range identitySuffixes {
		if start := len(name) - len(suffix); start >= 0 && strings.EqualFold(name[start:], suffix) {
			// which ends here
			return !isAntiForgery(name) && !strings.EqualFold(name, "Proxy-Authorization")
		}
	}
	return false
}

// isAntiForgery reports whether the field holds a token against forged requests, which says nothing
// about who is asking: like the cookies csrf* and XSRF-*.
func isAntiForgery(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "csrf") || strings.Contains(name, "xsrf") ||
		name == "requestverificationtoken"
}

// MayIdentify is false for most names that do not identify, without a search. The name is as it
// was sent.
func MayIdentify(name string) bool {
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

// IdentityNames are the fields that say who is asking, as documents write them: names, prefixes
// that end in '*', and suffixes that begin with one.
func IdentityNames() (names []string) {
	for _, name := range identityFields {
		names = append(names, titled(name))
	}
	for _, suffix := range identitySuffixes {
		names = append(names, "*"+titled(suffix))
	}
	return names
}

// titled raises the first letter of each word.
func titled(name string) string {
	b := []byte(name)
	for i := range b {
		if 'a' <= b[i] && b[i] <= 'z' && (i == 0 || b[i-1] == '-') {
			b[i] -= 'a' - 'A'
		}
	}
	return string(b)
}
