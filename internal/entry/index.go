package entry

import "encoding/binary"

// An Index stands under a primary key whose variants have keys of their own, or under the bare key
// of a path whose queries do.
type Index struct {
	// Search is the canonical No-Vary-Search of the path, where the backend gave one; else "".
	Search string
	// Vary has the canonical names of the request fields that select a variant.
	Vary []string
	// Variants are those that a conditional request can name by ETag (RFC 9111 §4.3.1): the latest
	// first, at most MaxVariants.
	Variants []Variant
}

// A Variant is one of the responses under a key.
type Variant struct {
	Key  [16]byte
	ETag string // as in its response; not empty
}

// MaxVariants bounds the variants of an index.
const MaxVariants = 8

// maxETag bounds an ETag in an index, in bytes.
const maxETag = 256

// With returns x's variants with v as the first, replacing an earlier one of the same key. v is
// left out if its ETag is empty or too long.
func (x Index) With(v Variant) []Variant {
	variants := make([]Variant, 0, MaxVariants)
	if v.ETag != "" && len(v.ETag) <= maxETag {
		variants = append(variants, v)
	}
	for _, old := range x.Variants {
		if old.Key != v.Key && len(variants) < MaxVariants {
			variants = append(variants, old)
		}
	}
	return variants
}

// Encode appends the record of x to dst.
func (x Index) Encode(dst []byte) []byte {
	begin := len(dst)
	dst = appendPreamble(dst, KindIndex)
	dst = binary.AppendUvarint(dst, uint64(len(x.Search)))
	dst = append(dst, x.Search...)
	dst = appendNames(dst, x.Vary)
	dst = binary.AppendUvarint(dst, uint64(len(x.Variants)))
	for _, v := range x.Variants {
		dst = append(dst, v.Key[:]...)
		dst = binary.AppendUvarint(dst, uint64(len(v.ETag)))
		dst = append(dst, v.ETag...)
	}
	return seal(dst, begin)
}

// DecodeIndex reads an index. ok is false for any other or damaged record.
func DecodeIndex(b []byte) (x Index, ok bool) {
	if KindOf(b) != KindIndex || !isWhole(b) {
		return Index{}, false
	}
	r := reader{rest: b[metaStart:]}
	x = Index{Search: string(r.take(r.int())), Vary: r.names(), Variants: r.variants()}
	if r.bad || len(r.rest) > 0 || !areTokens(x.Vary) {
		return Index{}, false
	}
	return x, true
}

func (r *reader) variants() []Variant {
	n := r.int()
	if n > MaxVariants {
		r.fail()
	}
	var variants []Variant
	for i := 0; i < n && !r.bad; i++ {
		var v Variant
		copy(v.Key[:], r.take(len(v.Key)))
		if v.ETag = string(r.take(r.int())); v.ETag == "" || !isValue(v.ETag) {
			r.fail()
		}
		variants = append(variants, v)
	}
	return variants
}
