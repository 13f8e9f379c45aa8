package caller

import (
	"net/url"
	"slices"
	"strings"

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

// mayHide reports whether a raw cookie may be read as another one that is a credential, since some
// servers end a value at a comma or a space, or whether it is a named credential itself.
func (i *Identifier) mayHide(jar []httpfield.Cookie) bool {
	for _, cookie := range jar {
		if !cookie.Raw {
			continue
		}
		for _, c := range i.config.Credentials {
			switch {
			case !c.Cookie:
			case c.Name == cookie.Name, c.Name != "*" && holds(cookie.Value, bareCookie(c.Name)):
				return true
			case c.Name == "*" && !i.counts(c, cookie.Name) &&
				strings.ContainsAny(cookie.Value, ", ="):
				return true
			}
		}
	}
	return false
}

// holds reports whether a raw value has a word that is the bare name.
func holds(value, name string) bool {
	for word := range strings.FieldsFuncSeq(value,
		func(r rune) bool { return !httpfield.IsToken(string(r)) }) {
		if bareCookie(word) == name {
			return true
		}
	}
	return false
}

// rawLine is a credential of its own where a raw cookie is beside those that count: all of them, in
// their order. It determines every server's reading of the line, also where a server stops at a raw
// cookie. "" if no cookie is raw, or none counts.
func (i *Identifier) rawLine(jar []httpfield.Cookie) string {
	raw, counted := false, false
	var b strings.Builder
	for _, cookie := range jar {
		counts := slices.ContainsFunc(i.config.Credentials, func(c Credential) bool {
			return c.Cookie && i.counts(c, cookie.Name)
		})
		raw, counted = raw || cookie.Raw, counted || counts
		if cookie.Raw || counts {
			b.WriteString(cookie.Name + "=" + cookie.Value + ";")
		}
	}
	if !raw || !counted {
		return ""
	}
	return b.String()
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
