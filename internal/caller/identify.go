package caller

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// An Identifier identifies the callers of requests. It is safe for concurrent use.
type Identifier struct {
	config Config
	secret func() []byte
	tokens *verifier // nil without JWT
	// some credential is a parameter of the query, or a cookie
	inQuery, inCookies bool
}

// maxParams bounds the parameters among which a credential is looked for.
const maxParams = 1000

// New returns an identifier. secret returns the HMAC key of caller IDs, nil while it is unknown.
// Keys in files are read now, and their faults returned; keys of a URL need Run.
func New(c Config, secret func() []byte) (*Identifier, error) {
	i := &Identifier{config: c, secret: secret}
	i.inQuery = slices.ContainsFunc(c.Credentials, func(c Credential) bool { return c.Query })
	i.inCookies = slices.ContainsFunc(c.Credentials, func(c Credential) bool { return c.Cookie })
	if c.JWT != nil {
		tokens, err := newVerifier(c.JWT, c.ID)
		if err != nil {
			return nil, err
		}
		i.tokens = tokens
	}
	return i, nil
}

// Run refreshes the keys of tokens until ctx is done.
func (i *Identifier) Run(ctx context.Context) {
	if i.tokens != nil {
		i.tokens.run(ctx)
	}
}

// An Epoch is the secret and the keys by which callers are identified. It is comparable: two are
// equal if neither was replaced in between.
type Epoch struct {
	secret *byte
	keys   *keySet
}

// Epoch is the present one.
func (i *Identifier) Epoch() (e Epoch) {
	if secret := i.secret(); len(secret) > 0 {
		e.secret = &secret[0]
	}
	if i.tokens != nil {
		e.keys = i.tokens.keys.Load()
	}
	return e
}

// MaxAge limits the lifetime of entries filled with unverified credentials.
func (i *Identifier) MaxAge() time.Duration { return i.config.MaxAge }

// Identify returns the caller of a request with these fields and no query.
func (i *Identifier) Identify(f httpfield.Fields, now time.Time) Caller {
	return i.IdentifyRequest(httpfield.Request{Fields: f}, now)
}

// IdentifyRequest returns the caller of a request.
func (i *Identifier) IdentifyRequest(req httpfield.Request, now time.Time) Caller {
	f := req.Fields
	secret := i.secret()
	if secret == nil {
		return Caller{Bypass: reason.KeySecretUnknown}
	}
	if undeclared(f, &i.config) {
		return Caller{Bypass: reason.UndeclaredCaller}
	}
	if i.inQuery && strings.Count(req.Query, "&") > maxParams {
		// too many to look for a credential among them
		return Caller{Bypass: reason.UndeclaredCaller}
	}
	var room [2]presented // enough for nearly all requests, and not on the heap
	found, ok := i.collect(room[:0], f, req.Query)
	if !ok {
		return Caller{Bypass: reason.UnclearCredential}
	}
	if len(found) == 0 {
		id := newIdentity(secret)
		id.Add("nobody")
		return Caller{ID: text(id), Anonymous: true}
	}
	return i.identify(newIdentity(secret), found, now)
}

// identify digests the credentials: a verified token by its claims, any other by its value.
func (i *Identifier) identify(id *cachekeys.Hasher, found []presented, now time.Time) Caller {
	var claims *claimSet
	opaque, certain := 0, true
	for _, p := range found {
		if p.line {
			certain = false
			id.Add("line", p.value)
			continue
		}
		token, isToken := "", false
		if i.tokens != nil {
			token, isToken = p.token()
		}
		if !isToken {
			opaque++
			id.Add("opaque", p.kind(), p.name, p.value)
			continue
		}
		verified, ok := i.tokens.verify(token, now)
		if !ok {
			return Caller{Bypass: reason.TokenInvalid}
		}
		if claims != nil && !claims.same(verified) {
			return Caller{Bypass: reason.TokenAmbiguous}
		}
		claims = claims.merge(verified)
	}
	if claims == nil {
		return Caller{ID: text(id)}
	}
	if !claims.identifies { // the token lacks a claim of `id`
		return Caller{Bypass: reason.TokenInvalid}
	}
	id.Add("token", claims.who)
	c := Caller{ID: text(id), Expires: claims.expires}
	if opaque == 0 {
		// Beside an unverified credential, the token does not decide the response alone. From a raw
		// line some servers read no token at all.
		c.Verified, c.Claims = certain, claims.all
	}
	return c
}

// newIdentity begins the ID of a caller: an HMAC over parts.
func newIdentity(secret []byte) *cachekeys.Hasher {
	id := cachekeys.NewHasher(secret)
	id.Add("caller")
	return id
}

// text is the ID: its first 128 bits in lower-case hex.
func text(id *cachekeys.Hasher) string {
	digest := id.Sum()
	return hex.EncodeToString(digest[:])
}
