package caller

import (
	"encoding/base64"
	"strings"

	"sidecar/internal/httpfield"
)

// Claimed tells the callers of requests apart by the claims of their tokens, with no look at the
// signature: a caller whose token is renewed stays the same, as if the token were verified and no
// id configured. It is no identity, and nothing may be answered by it. ok is false where no
// credential is such a token: the ID of Identify tells then.
func (i *Identifier) Claimed(req httpfield.Request) (who string, ok bool) {
	secret := i.secret()
	if secret == nil || undeclared(req.Fields, &i.config) {
		return "", false
	}
	found, collected := i.collect(req.Fields, req.Query)
	if !collected {
		return "", false
	}
	id := newIdentity(secret)
	for _, p := range found {
		token, isToken := p.token()
		if isToken {
			var lasting string
			if lasting, isToken = lastingOf(token); isToken {
				ok = true
				id.Add("claimed", p.kind(), p.name, lasting)
				continue
			}
		}
		id.Add("opaque", p.kind(), p.name, p.value)
	}
	return text(id), ok
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
