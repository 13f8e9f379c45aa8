package coherence

import "sidecar/cachekeys"

// A Verdict says whether an entry may still be used.
type Verdict int

// The verdicts.
const (
	Dead   Verdict = iota // a tag has been invalidated since, or its token was lost
	Alive                 // every token stands
	Unread                // some token has not been read yet
)

// A Reading has the tokens of tags, read from Redis after the request to answer came. An earlier
// reading must never be used: a write may have been acknowledged to that very client in between.
//
// The zero value has none. Tags that a stamp has in the order of the reading are found at once.
type Reading struct {
	of     Stamp // whose tags were asked for first
	values []any // Redis's answers for them
	tags   []cachekeys.Digest
	tokens []Token
}

// add adds the token of a tag that is not there yet.
func (r *Reading) add(tag cachekeys.Digest, token Token) {
	r.tags, r.tokens = append(r.tags, tag), append(r.tokens, token)
}

func (r *Reading) len() int { return len(r.of) + len(r.tags) }

func (r *Reading) tag(i int) cachekeys.Digest {
	if i < len(r.of) {
		return r.of[i].Tag
	}
	return r.tags[i-len(r.of)]
}

func (r *Reading) token(i int) Token {
	if i < len(r.of) {
		return parseToken(r.values[i])
	}
	return r.tokens[i-len(r.of)]
}

// find returns where the tag is, if it is; near is where it is looked for first.
func (r *Reading) find(tag cachekeys.Digest, near int) (at int, ok bool) {
	for i := near; i < r.len(); i++ {
		if r.tag(i) == tag {
			return i, true
		}
	}
	for i := range min(near, r.len()) {
		if r.tag(i) == tag {
			return i, true
		}
	}
	return near, false
}

// Judge compares a stamp with a reading. Where tokens are missing from the reading it returns
// their tags with Unread; the caller reads them and asks again.
func Judge(s Stamp, r Reading) (Verdict, []cachekeys.Digest) {
	var missing []cachekeys.Digest
	carriesAll, at := false, 0
	for _, m := range s {
		var read bool
		switch at, read = r.find(m.Tag, at); {
		case !read:
			missing = append(missing, m.Tag)
		case r.token(at) != m.Token || m.Token.IsZero():
			return Dead, nil
		default:
			at++
		}
		carriesAll = carriesAll || m.Tag == allDigest
	}
	if !carriesAll { // nobody could purge such an entry: it is none of ours
		return Dead, nil
	}
	if len(missing) > 0 {
		return Unread, missing
	}
	return Alive, nil
}

// allDigest is the digest of the tag that every entry carries.
var allDigest = cachekeys.All.Digest()
