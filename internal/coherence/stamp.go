package coherence

import (
	"encoding/binary"
	"errors"
	"slices"

	"sidecar/cachekeys"
)

// A Mark is one tag with the token that stood there.
type Mark struct {
	Tag   cachekeys.Digest
	Token Token
}

// A Stamp has the tokens, by tag, that an entry's filler read before its backend request. The tag
// All is always among them.
type Stamp []Mark

// maxMarks bounds a stamp that is read from Redis. A policy's tags, their families and 64 learned
// names stay far below.
const maxMarks = 1024

var errStamp = errors.New("coherence: not a stamp")

// Append appends the stamp's encoding to b.
func (s Stamp) Append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	for _, m := range s {
		b = append(b, m.Tag[:]...)
		b = append(b, m.Token[:]...)
	}
	return b
}

// ParseStamp reads the stamp at the beginning of b and returns the rest.
func ParseStamp(b []byte) (s Stamp, rest []byte, err error) {
	const size = len(cachekeys.Digest{}) + len(Token{})
	n, width := binary.Uvarint(b)
	if width <= 0 || n > maxMarks || uint64(len(b)-width) < n*uint64(size) {
		return nil, nil, errStamp
	}
	b = b[width:]
	s = make(Stamp, n)
	for i := range s {
		copy(s[i].Tag[:], b)
		copy(s[i].Token[:], b[len(s[i].Tag):])
		b = b[size:]
	}
	return s, b, nil
}

// Has reports whether the stamp carries tag.
func (s Stamp) Has(tag cachekeys.Digest) bool {
	return slices.ContainsFunc(s, func(m Mark) bool { return m.Tag == tag })
}

// Tags are the tags of the stamp, in its order.
func (s Stamp) Tags() []cachekeys.Digest {
	tags := make([]cachekeys.Digest, len(s))
	for i, m := range s {
		tags[i] = m.Tag
	}
	return tags
}
