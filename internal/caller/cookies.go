package caller

import (
	"net/url"
	"slices"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// counts reports whether the credential, which is one of cookies, has a cookie of this name.
func (i *Identifier) counts(c Credential, name string) bool {
	return c.Name == name || c.Name == "*" && !httpfield.Names(i.config.IgnoreCookies).Has(name)
}

// hasTwin reports whether a cookie has a name that some server takes for that of a credential: in
// other letters, percent-encoded, or with other punctuation.
func (i *Identifier) hasTwin(jar []httpfield.Cookie) bool {
	for _, cookie := range jar {
		for _, c := range i.config.Credentials {
			if c.Cookie && c.Name != "*" && c.Name != cookie.Name &&
				bareCookie(c.Name) == bareCookie(cookie.Name) && !i.isNamed(cookie.Name) {
				return true
			}
		}
	}
	return false
}

// isNamed reports whether the policies name the cookie itself as a credential.
func (i *Identifier) isNamed(cookie string) bool {
	return slices.Contains(i.config.Credentials, Credential{Cookie: true, Name: cookie})
}

// bareCookie is the name of a cookie, percent-decoded, as far as all servers tell it apart.
func bareCookie(name string) string {
	if decoded, err := url.PathUnescape(name); err == nil {
		name = decoded
	}
	return cachekeys.BareName(name)
}

// Uncounted returns the values of the cookies that do not tell callers apart.
func (i *Identifier) Uncounted(f httpfield.Fields) (values []string) {
	jar, _ := httpfield.Cookies(f)
	for _, cookie := range jar {
		if !slices.ContainsFunc(i.config.Credentials, func(c Credential) bool {
			return c.Cookie && i.counts(c, cookie.Name)
		}) {
			values = append(values, cookie.Value)
		}
	}
	return values
}
