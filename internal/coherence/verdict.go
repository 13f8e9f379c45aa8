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
type Reading map[cachekeys.Digest]Token

// Judge compares a stamp with a reading. Where tokens are missing from the reading it returns
// their tags with Unread; the caller reads them and asks again.
func Judge(s Stamp, r Reading) (Verdict, []cachekeys.Digest) {
	var missing []cachekeys.Digest
	carriesAll := false
	for _, m := range s {
		now, read := r[m.Tag]
		switch {
		case !read:
			missing = append(missing, m.Tag)
		case now != m.Token || now.IsZero():
			return Dead, nil
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
