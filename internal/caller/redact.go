package caller

import (
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// hidden stands for a credential.
const hidden = "{secret}"

// shortSecret is how long a credential is, in bytes, that is looked for in texts: a shorter one
// would be found in everything.
const shortSecret = 6

// A Redactor takes the credentials of one request out of texts about it.
type Redactor struct {
	config  Config
	secrets []string // long ones first
	id      string   // of the caller
}

// Redactor returns the redactor of a request by who.
func (i *Identifier) Redactor(req httpfield.Request, who Caller) Redactor {
	r := Redactor{config: i.config, id: who.ID}
	for name, values := range req.Fields.All() {
		if r.isSecret(name) {
			for _, v := range values {
				r.note(v)
			}
		}
	}
	for name, value := range cachekeys.ParseQuery(req.Query).All() {
		if r.isSecretParameter(name) {
			r.note(value)
			r.note(cachekeys.Escape(value))
		}
	}
	slices.SortFunc(r.secrets, func(a, b string) int { return len(b) - len(a) })
	return r
}

// note remembers a value, and its parts: the token after a scheme, the values of cookies.
func (r *Redactor) note(value string) {
	for _, part := range strings.FieldsFunc(value,
		func(c rune) bool { return c == ' ' || c == ';' }) {
		_, cookie, _ := strings.Cut(part, "=")
		r.secrets = append(r.secrets, part, cookie, cachekeys.Escape(part),
			cachekeys.Escape(cookie))
	}
	r.secrets = append(r.secrets, value)
	r.secrets = slices.DeleteFunc(r.secrets, func(s string) bool { return len(s) < shortSecret })
}

// isSecret reports whether a field may hold a credential.
func (r Redactor) isSecret(name string) bool {
	plain := httpfield.Hyphenated(name)
	return plain == "cookie" || httpfield.Identifies(plain) ||
		slices.Contains(r.config.Credentials, Credential{Name: name})
}

func (r Redactor) isSecretParameter(name string) bool {
	return slices.ContainsFunc(r.config.Credentials, func(c Credential) bool {
		return c.Query && cachekeys.BareName(c.Name) == cachekeys.BareName(name)
	})
}

// Field is the value of a field without possible credentials.
func (r Redactor) Field(name, value string) string {
	if r.isSecret(name) {
		return hidden
	}
	return r.Text(value)
}

// Query is a query, without '?', with placeholders for the values of credentials.
func (r Redactor) Query(raw string) string {
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); ok && r.isSecretParameter(name) {
			pairs[i] = name + "=" + hidden
		}
	}
	return r.Text(strings.Join(pairs, "&"))
}

// Text is a text with placeholders for the credentials, and for the caller's digest.
func (r Redactor) Text(text string) string {
	if r.id != "" {
		text = strings.ReplaceAll(text, r.id, "{caller}")
	}
	for _, s := range r.secrets {
		text = strings.ReplaceAll(text, s, hidden)
	}
	return text
}
