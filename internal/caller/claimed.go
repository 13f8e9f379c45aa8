package caller

import (
	"encoding/base64"
	"strings"

	"sidecar/internal/httpfield"
)

// A Claimed caller is one that is told apart by the claims of its tokens, with no look at the
// signature: a caller whose token is renewed stays the same. It is no identity, and nothing may be
// answered by it.
type Claimed struct {
	ID string // "": no credential is such a token, and the ID of Identify tells
	// Bare: a token came in Authorization without Bearer. No jwt of a policies file verifies it.
	Bare bool
}

// Claimed tells who a request speaks for by the claims of its tokens, as if they were verified and
// no id configured.
func (i *Identifier) Claimed(req httpfield.Request) (c Claimed) {
	secret := i.secret()
	if secret == nil || undeclared(req.Fields, &i.config) {
		return Claimed{}
	}
	found, collected := i.collect(nil, req.Fields, req.Query)
	if !collected {
		return Claimed{}
	}
	id, any := newIdentity(secret), false
	for _, p := range found {
		kind := "claimed"
		token, isToken := p.token()
		if !isToken && p.name == "Authorization" && p.kind() == "header" {
			kind, token, isToken = "bare", p.value, true
		}
		if isToken {
			var lasting string
			if lasting, isToken = lastingOf(token); isToken {
				any, c.Bare = true, c.Bare || kind == "bare"
				id.Add(kind, p.kind(), p.name, lasting)
				continue
			}
		}
		id.Add("opaque", p.kind(), p.name, p.value)
	}
	if any {
		c.ID = text(id)
	}
	return c
}

// lastingOf is the header and the lasting claims of a token that nobody has verified.
func lastingOf(token string) (text string, ok bool) {
	parts := strings.Split(token, ".")
	if len(token) > maxToken || len(parts) != 3 {
		return "", false
	}
	c := &claimSet{}
	if c.header, ok = (&verifier{}).header(token); !ok {
		return "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !c.read(payload) || len(c.all) == 0 {
		return "", false
	}
	return c.lasting(), true
}
