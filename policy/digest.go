package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"reflect"
	"slices"
	"strings"

	"sidecar/internal/caller"
)

// rulesVersion is that of the code that turns rules into tags: sidecars with different code differ
// in their rules although their files are the same.
const rulesVersion = 3

// blockDigest is the digest of everything that decides the meaning of an entry of the block.
func (l *loader) blockDigest(b cacheBlock) string {
	return digest(struct {
		format string
		block  cacheBlock
		caller caller.Config
	}{l.options.Format, b, l.caller})
}

// rulesDigest is the digest of everything that decides which tags a write invalidates and which
// tags an entry carries.
func (l *loader) rulesDigest() string {
	return digest(struct {
		version int
		inspect int64
		routes  []*route
		caller  caller.Config
	}{rulesVersion, l.options.MaxInspect, l.liveRoutes(), l.caller})
}

// digest hashes v by value: every field of every struct in it takes part, exported or not, unless
// it is tagged `digest:"-"`. So a new field cannot be forgotten. v holds no functions, channels and
// interfaces, and does not refer to itself.
func digest(v any) string {
	h := sha256.New()
	hashValue(h, reflect.ValueOf(v))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// hashValue adds v to h. Lengths and numbers of elements come first, so that the encoding is
// injective.
func hashValue(h hash.Hash, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.Tag.Get("digest") != "-" {
				hashValue(h, v.Field(i))
			}
		}
	case reflect.Pointer:
		if number(h, boolean(!v.IsNil())); !v.IsNil() {
			hashValue(h, v.Elem())
		}
	case reflect.Slice:
		number(h, uint64(v.Len()))
		for i := range v.Len() {
			hashValue(h, v.Index(i))
		}
	case reflect.Map:
		writeMap(h, v)
	case reflect.String:
		number(h, uint64(v.Len()))
		h.Write([]byte(v.String()))
	case reflect.Bool:
		number(h, boolean(v.Bool()))
	case reflect.Int, reflect.Int64:
		number(h, uint64(v.Int()))
	case reflect.Uint8:
		number(h, v.Uint())
	default:
		panic("policy: no digest of a " + v.Type().String())
	}
}

// writeMap adds the digests of the pairs, sorted.
func writeMap(h hash.Hash, v reflect.Value) {
	pairs := make([]string, 0, v.Len())
	for key, value := range v.Seq2() {
		pair := sha256.New()
		hashValue(pair, key)
		hashValue(pair, value)
		pairs = append(pairs, string(pair.Sum(nil)))
	}
	slices.Sort(pairs)
	number(h, uint64(len(pairs)))
	h.Write([]byte(strings.Join(pairs, "")))
}

func number(h hash.Hash, n uint64) {
	var buf [8]byte
	binary.BigEndian.PutUint64(buf[:], n)
	h.Write(buf[:])
}

func boolean(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
