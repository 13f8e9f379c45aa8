package caller

import (
	"maps"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// undeclared reports whether the request has an identity field that the policies do not declare. A
// name with '_' cannot be declared, and some servers read it as '-'.
func undeclared(f httpfield.Fields, c *Config) bool {
	header, ok := f.(httpfield.Header)
	if !ok {
		header = maps.Collect(f.All())
	}
	for name := range header { // a closure would cost an allocation
		if isUndeclared(name, c) {
			return true
		}
	}
	return false
}

func isUndeclared(name string, c *Config) bool {
	return httpfield.Identifies(name) && !slices.Contains(c.Credentials, Credential{Name: name}) &&
		!httpfield.Names(c.NotCredentials).HasFold(httpfield.Hyphenated(name))
}

// Presents reports whether a request has cookies or a field that may identify its caller, declared
// or not.
func Presents(f httpfield.Fields) bool {
	for name := range f.All() {
		if httpfield.Hyphenated(name) == "cookie" || httpfield.Identifies(name) {
			return true
		}
	}
	return false
}

// presented is one credential of a request.
type presented struct {
	cookie, query bool
	// the value is all cookies that count, with those that are in no form: see rawLine
	line        bool
	name, value string
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

// collect appends the credentials of a request to found, in the order of the policies and then of
// the request. ok is false where servers read a credential from the request in different ways.
func (i *Identifier) collect(found []presented, f httpfield.Fields, query string) (
	_ []presented, ok bool) {
	var jar []httpfield.Cookie
	if i.inCookies {
		if jar, ok = httpfield.Cookies(f); !ok || i.hasTwin(jar) || i.mayHide(jar) {
			return nil, false
		}
		if line := i.rawLine(jar); line != "" {
			found = append(found, presented{cookie: true, line: true, value: line})
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
