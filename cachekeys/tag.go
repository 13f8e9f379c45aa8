package cachekeys

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// maxValue is how long an escaped value in a tag may be, in bytes; a longer one is replaced by its
// hash.
const maxValue = 128

// A Tag is something that an entry depends on and that a write can invalidate. The kinds have name
// spaces of their own: a policy, a client or a response that names a tag of one kind cannot name
// one of another. A Tag is comparable, and the zero value names nothing.
type Tag struct {
	kind byte
	text string
}

const (
	kindName      = 't' // character:42
	kindFamily    = 'f' // character:*
	kindGuard     = 'g' // character:#
	kindURI       = 'u' // an own URI
	kindAll       = 'a'
	kindRules     = 'r' // invalidation rules
	kindSurrogate = 'n' // a name that a response's fields give
)

// All is carried by every entry; to invalidate it is to invalidate everything.
var All = Tag{kind: kindAll, text: "all"}

// Named is the tag with this text, whose values are already escaped.
func Named(text string) Tag { return Tag{kindName, text} }

// Family is the tag of everything that begins with prefix: "character:*" has the prefix
// "character:".
func Family(prefix string) Tag { return Tag{kindFamily, prefix} }

// Guard is the tag "prefix#" that no entry carries, and that every write to a tag or family under
// prefix deletes too. It tells a filler whether anything under prefix was written while it did not
// yet know the names.
func Guard(prefix string) Tag { return Tag{kindGuard, prefix} }

// CallerTag is carried by every private entry of the caller with this ID.
func CallerTag(id string) Tag { return Named("caller:" + id) }

// OwnURI is the tag of all entries of a path, in its canonical form (pattern.Canonical): the same
// for every spelling that a backend may take for the same, for every query and authority, since an
// unsafe request invalidates its own URI (RFC 9111 §4.4) and too much is better than too little.
func OwnURI(canonicalPath string) Tag { return Tag{kindURI, canonicalPath} }

// Rules is the tag of all entries that were filled under the invalidation rules with this digest. A
// write under other rules invalidates it, since it does not know these rules.
func Rules(digest string) Tag { return Tag{kindRules, digest} }

// Surrogate is the tag of a name that fields of a response give it (Cache-Groups of RFC 9875,
// Surrogate-Key and its like), for one authority. It is never one of the policy's tags.
func Surrogate(authority, name string) Tag { return Tag{kindSurrogate, authority + "\x00" + name} }

// IsSurrogate reports whether a response's fields gave t as a surrogate key.
func (t Tag) IsSurrogate() bool { return t.kind == kindSurrogate }

// IsZero reports whether t names nothing.
func (t Tag) IsZero() bool { return t.kind == 0 }

// IsFamily reports whether t is a family, and its prefix.
func (t Tag) IsFamily() (prefix string, ok bool) { return t.text, t.kind == kindFamily }

// IsNamed reports whether t is an ordinary tag, and its text.
func (t Tag) IsNamed() (text string, ok bool) { return t.text, t.kind == kindName }

// String is how people write the tag. It is not injective across kinds: use Digest for keys.
func (t Tag) String() string {
	switch t.kind {
	case kindFamily:
		return t.text + "*"
	case kindGuard:
		return t.text + "#"
	}
	return t.text
}

// Digest is the tag's 128-bit digest, which stands in its Redis keys. It needs no secret: tags hold
// names, not credentials.
func (t Tag) Digest() Digest {
	d := NewHasher(nil)
	d.Add("tag", string(t.kind), t.text)
	return d.Sum()
}

// ParseTag reads a tag as people write it: "character:42", or "character:*" for a family.
// ok is false for an empty text, a '*' elsewhere than at the end, and for control bytes.
func ParseTag(s string) (t Tag, ok bool) {
	prefix, family := strings.CutSuffix(s, "*")
	if s == "" || strings.Contains(prefix, "*") || strings.ContainsFunc(s, isControl) {
		return Tag{}, false
	}
	if family {
		return Family(prefix), true
	}
	return Named(s), true
}

// Guards are the guards that a write to t has to delete beside t: one for each place in its text
// where the unknown part of a template may begin. prefixes are those that the policies in force
// name; every prefix that ends in ':' is added, for the policies that other sidecars may have in
// force, and the empty one, for names that only response fields give.
func (t Tag) Guards(prefixes []string) []Tag {
	guards := []Tag{Guard("")}
	if t.kind != kindName && t.kind != kindFamily {
		return guards
	}
	seen := map[string]bool{"": true}
	add := func(prefix string) {
		if !seen[prefix] {
			seen[prefix] = true
			guards = append(guards, Guard(prefix))
		}
	}
	for i := range len(t.text) {
		if t.text[i] == ':' {
			add(t.text[:i+1])
		}
	}
	for _, p := range prefixes {
		// A family also drops entries under longer prefixes; they carry the family itself, see
		// Template.
		if strings.HasPrefix(t.text, p) {
			add(p)
		}
	}
	return guards
}

// Escape makes one value fit for a tag: '%', ':', '*', '#' and control bytes are percent-encoded. A
// result over 128 bytes is replaced by "%~" and 128 bits of the value's SHA-256 in hex. It is
// injective but for collisions of that hash: the escaping never yields a '%' without two hex digits
// after it.
func Escape(value string) string {
	if len(value) <= maxValue && !strings.ContainsFunc(value, isEscaped) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		switch c := value[i]; {
		case isEscaped(rune(c)):
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
		default:
			b.WriteByte(c)
		}
	}
	if b.Len() <= maxValue {
		return b.String()
	}
	sum := sha256.Sum256([]byte(value))
	return "%~" + hex.EncodeToString(sum[:16])
}

func isEscaped(r rune) bool { return r == '%' || r == ':' || r == '*' || r == '#' || isControl(r) }

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

// Marshal is t as a string that UnmarshalTag reads, for tags that are remembered in Redis.
func (t Tag) Marshal() string { return string(t.kind) + t.text }

// UnmarshalTag reads the result of Marshal. Only ordinary tags, families, given names, and guards
// in the place of too many names are remembered.
func UnmarshalTag(s string) (t Tag, ok bool) {
	if s == "" {
		return t, false
	}
	switch kind := s[0]; {
	case kind == kindFamily, kind == kindGuard,
		len(s) > 1 && (kind == kindName || kind == kindSurrogate):
		return Tag{kind, s[1:]}, true
	}
	return t, false
}
