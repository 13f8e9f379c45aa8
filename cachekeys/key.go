package cachekeys

import (
	"strconv"
	"strings"

	"sidecar/internal/httpfield"
)

// A Key is everything that decides under which entry the answer to a GET is stored (contract,
// section 3, "Key"). Two requests whose Keys differ in any field never share an entry.
type Key struct {
	// digest of the route's cache block and of the stored format: entries of different policies
	// never meet
	Block     string
	Scope     string // "private", "shared" or the template of a partition
	Partition string // the caller's ID, or the verified value of a partition; "" when shared
	Authority string // as sent
	Told      []Vary // fields about scheme, authority and prefix, see Target
	Path      string // as sent
	HasQuery  bool   // tells "/a?" from "/a"
	Query     string // canonical, see Query.Canonical
	Search    string // the rule by which Query was reduced, see Under; "" where it was not
	Vary      []Vary // the policy's vary, in the order of the policy
}

// Vary is one request field that takes part in a key, with its values as the key has them.
type Vary struct {
	Name   string // canonical
	Values []string
}

// Digest is the key's digest under secret, which keeps values that only the caller and the backend
// should know from being guessed by a reader of Redis. secret must not be nil.
func (k Key) Digest(secret []byte) Digest {
	d := NewHasher(secret)
	query := ""
	if k.HasQuery {
		query = "?" + k.Query
	}
	d.Add("key", k.Block, k.Scope, k.Partition, k.Authority, k.Path, k.Search, query)
	d.Add(strconv.Itoa(len(k.Told)))
	addVary(d, k.Told)
	addVary(d, k.Vary)
	return d.Sum()
}

// bareSearch is the Search of a bare key. It is no form of any rule.
const bareSearch = "?"

// Bare is the key of all queries of k's path together: not of an entry, but of the rule that the
// backend last gave for them in No-Vary-Search. No other key equals it, that of a request without a
// query neither.
func (k Key) Bare() Key {
	k.HasQuery, k.Query, k.Search = false, "", bareSearch
	return k
}

// Under is k for a request with query q where the backend said that queries vary by v alone
// (draft-ietf-httpbis-no-vary-search): equal for two requests that differ only in parameters that
// do not matter, or in having a query at all. v is part of the key, so that it never equals a key
// under another rule, or under none.
//
// ok is false, and the result is k, if v says nothing or q cannot be split for certain.
func (k Key) Under(v httpfield.SearchVariance, q Query) (under Key, ok bool) {
	rule := v.String()
	selected, ok := q.Select(v)
	if !ok || rule == "" {
		return k, false
	}
	k.HasQuery, k.Query, k.Search = selected.Raw() != "", selected.Canonical(), rule
	return k, true
}

// Variant is the key of the entry under primary that was selected by the request fields in vary,
// the names that the response's Vary lists (RFC 9111 §4.1). With an empty vary it is primary
// itself.
func Variant(secret []byte, primary Digest, vary []Vary) Digest {
	if len(vary) == 0 {
		return primary
	}
	d := NewHasher(secret)
	d.Add("variant", string(primary[:]))
	addVary(d, vary)
	return d.Sum()
}

// addVary puts the number of values before the values, so that where one field's list ends and the
// next name begins is certain.
func addVary(d *Hasher, vary []Vary) {
	for _, v := range vary {
		d.Add(v.Name, strconv.Itoa(len(v.Values)))
		d.Add(v.Values...)
	}
}

// SelectVary reads the named fields of a request, each in the form in which requests are compared
// (httpfield.Selecting).
func SelectVary(names []string, f httpfield.Fields) []Vary {
	if len(names) == 0 {
		return nil
	}
	out := make([]Vary, len(names))
	for i, n := range names {
		out[i] = Vary{Name: n, Values: httpfield.Selecting(n, f.Values(n))}
	}
	return out
}

// AsSent reads the named fields of a request as templates read them: line by line, trimmed. It is
// for fields that tags are made of: two requests whose fields mean the same but are written
// differently have different tags, and must not share an entry that carries the tags of one.
func AsSent(names []string, f httpfield.Fields) []Vary {
	if len(names) == 0 {
		return nil
	}
	out := make([]Vary, len(names))
	for i, n := range names {
		out[i].Name = n
		for _, s := range f.Values(n) {
			out[i].Values = append(out[i].Values, strings.TrimSpace(s))
		}
	}
	return out
}
