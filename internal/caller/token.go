package caller

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"sidecar/cachekeys"
)

// maxToken bounds a token in bytes: a longer one is not parsed.
const maxToken = 16 << 10

// A claimSet has the claims of a verified token (RFC 7519 §4).
type claimSet struct {
	all     map[string]any // numbers as json.Number
	header  string         // canonical text of the protected header but alg
	expires time.Time      // exp; zero: never
	begins  time.Time      // nbf; zero: always
	// the caller's identity; false: the claims lack one of the id template
	who        string
	identifies bool
	cost       int // bytes that it takes
}

// verify returns the claims of a token whose signature, exp, nbf, iss and aud hold, without leeway.
// Without a valid token the backend decides.
func (v *verifier) verify(token string, now time.Time) (*claimSet, bool) {
	if len(token) > maxToken {
		return nil, false
	}
	set := v.keys.Load()
	if set == nil {
		v.want()
		return nil, false
	}
	if c := set.tokens.get(token, now); c != nil {
		return c, true
	}
	c, ok := v.check(set, token, now)
	if ok {
		set.tokens.put(token, c)
	}
	return c, ok
}

// check is verify for a token that is not remembered.
func (v *verifier) check(set *keySet, token string, now time.Time) (*claimSet, bool) {
	signed, err := jose.ParseSignedCompact(token, v.algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, false
	}
	payload, ok := v.payload(signed, set)
	if !ok {
		return nil, false
	}
	c := &claimSet{}
	if c.header, ok = v.header(token); !ok || !c.read(payload) {
		return nil, false
	}
	if !v.holds(c, now) {
		return nil, false
	}
	c.who, c.identifies = c.identity(v.id)
	c.cost = claimSetCost + len(c.header) + len(c.who) + costOf(c.all)
	return c, true
}

// read reads the claims. It reports false where servers may read others.
func (c *claimSet) read(payload []byte) bool {
	if !distinct(payload) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber() // an id may be a number over 2^53
	if err := d.Decode(&c.all); err != nil || c.all == nil {
		return false
	}
	// not UTF-8: json would decode different callers to the same text
	text, _ := json.Marshal(c.all)
	return !bytes.ContainsRune(text, utf8.RuneError)
}

// header is the canonical text of the token's protected header without alg: a key for each tenant
// or another typ may decide the answer as a claim does. ok is false for a type that is not wanted.
func (v *verifier) header(token string) (text string, ok bool) {
	encoded, _, _ := strings.Cut(token, ".")
	content, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !distinct(content) {
		return "", false
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return "", false
	}
	typ, _ := fields["typ"].(string)
	delete(fields, "alg")
	canonical, _ := json.Marshal(fields) // decoded values always encode
	return string(canonical), v.typ == "" || sameType(typ, v.typ)
}

// sameType compares two media types of typ, which may leave out application/ (RFC 7515 §4.1.9).
func sameType(a, b string) bool {
	plain := func(s string) string { return strings.TrimPrefix(strings.ToLower(s), "application/") }
	return plain(a) == plain(b)
}

// distinct reports whether no object in a JSON text has a name twice: servers differ in which of
// the two counts (RFC 8259 §4).
func distinct(content []byte) bool {
	d := json.NewDecoder(bytes.NewReader(content))
	var objects []map[string]bool // nil for an array
	name := false                 // the next token in the innermost object is a name
	for {
		token, err := d.Token()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		inObject := len(objects) > 0 && objects[len(objects)-1] != nil
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{':
				objects, name = append(objects, map[string]bool{}), true
				continue
			case '[':
				objects = append(objects, nil)
				continue
			}
			objects = objects[:len(objects)-1]
			name = len(objects) > 0 && objects[len(objects)-1] != nil
			continue
		case string:
			if inObject && name {
				if objects[len(objects)-1][t] {
					return false
				}
				objects[len(objects)-1][t], name = true, false
				continue
			}
		}
		name = inObject
	}
}

// payload returns the signed content, if any fitting key verifies it.
func (v *verifier) payload(signed *jose.JSONWebSignature, set *keySet) ([]byte, bool) {
	header := signed.Signatures[0].Header
	for _, k := range v.keysFor(header.KeyID, set) {
		if k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(k.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

func (v *verifier) holds(c *claimSet, now time.Time) bool {
	var ok bool
	if c.expires, ok = c.date("exp"); !ok {
		return false
	}
	if c.begins, ok = c.date("nbf"); !ok || !c.isCurrent(now) {
		return false
	}
	if v.issuer != "" && c.all["iss"] != v.issuer {
		return false
	}
	return v.audience == "" || slices.Contains(c.audience(), v.audience)
}

// isCurrent reports whether exp and nbf hold.
func (c *claimSet) isCurrent(now time.Time) bool {
	return (c.expires.IsZero() || now.Before(c.expires)) && !now.Before(c.begins)
}

// date reads a NumericDate (RFC 7519 §2), zero if the claim is absent. ok is false if it is
// malformed.
func (c *claimSet) date(name string) (at time.Time, ok bool) {
	value, present := c.all[name]
	if !present {
		return time.Time{}, true
	}
	number, isNumber := value.(json.Number)
	seconds, err := strconv.ParseFloat(string(number), 64)
	if !isNumber || err != nil || math.Abs(seconds) > 1<<40 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	at = time.Unix(int64(whole), int64(fraction*1e9))
	return at, !at.IsZero() // zero, in the year 1, stands for none
}

// audience is aud: a string or a list of strings (§4.1.3).
func (c *claimSet) audience() []string {
	switch aud := c.all["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		var out []string
		for _, a := range aud {
			if s, ok := a.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// passing are the claims that differ from token to token of one caller.
var passing = []string{"exp", "iat", "nbf", "jti"}

// lasting is the canonical text of all other claims.
func (c *claimSet) lasting() string {
	kept := maps.Clone(c.all)
	for _, name := range passing {
		delete(kept, name)
	}
	text, _ := json.Marshal(kept) // sorted; decoded values always encode
	return c.header + string(text)
}

// identity identifies the caller: the filled id template, or all lasting claims.
func (c *claimSet) identity(id *cachekeys.Template) (string, bool) {
	if id == nil {
		return "claims:" + c.lasting(), true
	}
	text, ok := id.Text(claimValues(c.all))
	return "id:" + id.String() + "=" + text, ok
}

// same reports whether two tokens of one request identify the same caller.
func (c *claimSet) same(other *claimSet) bool {
	return c.who == other.who && c.lasting() == other.lasting()
}

// merge returns c with the earlier expiry of both; c may be nil.
func (c *claimSet) merge(other *claimSet) *claimSet {
	if c != nil && !c.expires.IsZero() && (other.expires.IsZero() ||
		c.expires.Before(other.expires)) {
		merged := *other
		merged.expires = c.expires
		return &merged
	}
	return other
}

// claimValues fills placeholders from claims.
type claimValues map[string]any

// Value implements cachekeys.Values.
func (v claimValues) Value(p cachekeys.Placeholder, _ int) ([]string, bool) {
	if p.Source != cachekeys.FromClaim {
		return nil, false
	}
	return Caller{Claims: v}.Claim(p.Name)
}

// Claim returns the value of a verified claim: one for a string, number or boolean, several for a
// list. A name with dots that is not itself a claim is a path into objects. ok is false if the
// claim is absent or of another type.
func (c Caller) Claim(name string) (values []string, ok bool) {
	value, ok := c.Claims[name]
	if !ok {
		value, ok = nested(c.Claims, name)
	}
	if !ok {
		return nil, false
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	values = []string{}
	for _, element := range list {
		text, ok := scalar(element)
		if !ok {
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}

func nested(claims map[string]any, name string) (any, bool) {
	first, rest, dotted := strings.Cut(name, ".")
	value, ok := claims[first]
	if !dotted {
		return value, ok
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, false
	}
	return nested(object, rest)
}

func scalar(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
