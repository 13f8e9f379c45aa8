package httpfield

import (
	"slices"
	"sort"
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

// An identityField is one of identityFields.
type identityField struct {
	text string
	open bool // it is a prefix
}

// sortedIdentity are identityFields by their text. No text begins with one that is open.
var sortedIdentity = func() []identityField {
	sorted := make([]identityField, len(identityFields))
	for i, name := range identityFields {
		sorted[i].text, sorted[i].open = strings.CutSuffix(name, "*")
	}
	slices.SortFunc(sorted, func(a, b identityField) int { return strings.Compare(a.text, b.text) })
	return sorted
}()

// identityStarts has the first and the fifth letter of each of identityFields, identityEnds the
// last two of each of identitySuffixes. Few other names have such a pair.
var identityStarts, identityEnds = func() (starts, ends letterPairs) {
	for _, f := range sortedIdentity {
		starts.add(f.text[0], f.text[4])
	}
	for _, suffix := range identitySuffixes {
		ends.add(suffix[len(suffix)-2], suffix[len(suffix)-1])
	}
	return starts, ends
}()

// Identifies reports whether the field with this name, as it was sent or hyphenated, says who is
// asking.
func Identifies(name string) bool {
	n := len(name)
	starts := n > 4 && identityStarts.has(name[0], name[4])
	ends := n > 4 && identityEnds.has(name[n-2], name[n-1])
	if !starts && !ends {
		return false
	}
	plain := Hyphenated(name)
	return starts && isIdentityField(plain) || ends && hasIdentitySuffix(plain)
}

func isIdentityField(plain string) bool {
	after := sort.Search(len(sortedIdentity),
		func(i int) bool { return sortedIdentity[i].text > plain })
	if after == 0 {
		return false
	}
	f := sortedIdentity[after-1]
	return f.text == plain || f.open && strings.HasPrefix(plain, f.text)
}

func hasIdentitySuffix(plain string) bool {
	for _, suffix := range identitySuffixes {
		if strings.HasSuffix(plain, suffix) {
			return !isAntiForgery(plain) && plain != "proxy-authorization" // which ends here
		}
	}
	return false
}

// isAntiForgery reports whether the field holds a token against forged requests, which says nothing
// about who is asking: like the cookies csrf* and XSRF-*.
func isAntiForgery(plain string) bool {
	return strings.Contains(plain, "csrf") || strings.Contains(plain, "xsrf") ||
		plain == "requestverificationtoken"
}

// letterPairs is a set of pairs of letters without regard to case; other bytes are all one.
type letterPairs [32]uint32

func (p *letterPairs) add(a, b byte)      { p[letter(a)] |= 1 << letter(b) }
func (p *letterPairs) has(a, b byte) bool { return p[letter(a)]&(1<<letter(b)) != 0 }

func letter(c byte) byte {
	if c |= 0x20; c < 'a' || c > 'z' {
		return 0
	}
	return c & 31
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
