package store

import (
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/memory"
)

// Bounds of the kept look-ups: a share of the memory tier's size, beside it. Records and bodies
// over maxDecoded are not kept.
const (
	decodedShare = 8
	maxDecoded   = 1 << 20
)

// A decoded is a record of Redis that was decoded, with the keys of the question for it: its own,
// and those of the tokens of its stamp. The next look-up asks for these, and where it gets the same
// bytes, it does not decode them again. It is no answer by itself: every look-up asks Redis. It
// does not change.
type decoded struct {
	keys []string
	envelope
	entry *entry.Entry
}

// asks returns the keys of the question for a variant that is not kept, and the tags whose tokens
// it asks for, besides that of All: those that the entry is expected to carry.
func (l *lookup) asks(variant cachekeys.Digest) (keys []string, tags []cachekeys.Digest) {
	q, names := l.query, l.hint.names
	tags = make([]cachekeys.Digest, 0, len(q.Carried)+len(names)+1)
	if !q.Rules.IsZero() {
		tags = append(tags, q.Rules.Digest())
	}
	for _, t := range q.Carried {
		tags = append(tags, t.Digest())
	}
	for _, t := range names {
		tags = append(tags, t.Digest())
	}
	keys = append(make([]string, 0, len(tags)+4), l.store.names.Entry(variant))
	return l.store.keyspace.TokenKeys(keys, tags), tags
}

// kept returns the look-up under the key of a variant; nil: none.
func (s *Store) kept(variant cachekeys.Digest) *decoded {
	if s.decoded == nil {
		return nil
	}
	kept, _ := s.decoded.Get(variant)
	return kept
}

// keepDecoded keeps an entry with the record that it was decoded from.
func (s *Store) keepDecoded(variant cachekeys.Digest, rec *envelope, e *entry.Entry) {
	if s.decoded == nil || len(rec.record) > maxDecoded || e.Size() > maxDecoded ||
		e.Chunks != nil {
		return
	}
	keys := make([]string, 1, len(rec.stamp)+1)
	keys[0] = s.names.Entry(variant)
	d := &decoded{joined(s.keyspace.MoreTokenKeys(keys, rec.stamp.Tags())), *rec, e}
	s.decoded.Put(variant, d, d.weight())
}

// joined are the same strings in one piece of memory.
func joined(parts []string) []string {
	text := strings.Join(parts, "")
	for i, part := range parts {
		parts[i], text = text[:len(part)], text[len(part):]
	}
	return parts
}

// weight is about how many bytes of memory it takes, without the cache's own overhead. A test
// measures it. A body that is no part of the record lies beside it.
func (d *decoded) weight() int64 {
	const structs, key, name, mark = 400, 16, 24, 32
	size := structs + cap(d.record) + len(d.entry.Head()) + mark*cap(d.stamp)
	for _, k := range d.keys {
		size += key + len(k)
	}
	for _, n := range d.names {
		size += name + len(n.Marshal()) + 2
	}
	if !d.entry.IsView() {
		size += cap(d.entry.Body)
	}
	return int64(size)
}

func newDecoded(limit int64) *memory.Cache[*decoded] {
	if limit < decodedShare {
		return nil
	}
	return memory.New[*decoded](limit / decodedShare)
}
