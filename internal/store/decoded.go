package store

import (
	"slices"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/memory"
)

// Bounds of the kept look-ups: a share of the memory tier's size, beside it. Records and bodies of
// maxDecoded or more are not kept. (Longer bodies may be changed by sharing.)
const (
	decodedShare = 8
	maxDecoded   = minShared
)

// A decoded is a record of Redis that was decoded, with the question for it. The next look-up that
// gets the same bytes does not decode them again. It is no answer by itself: every look-up asks
// Redis. It does not change.
type decoded struct {
	asked  asked
	record string
	envelope
	entry *entry.Entry
}

// An asked is the question of a look-up: its tags, and the Redis keys of the entry and of the
// tokens of All and the tags.
type asked struct {
	rules          cachekeys.Tag
	carried, names []cachekeys.Tag
	tags           []cachekeys.Digest
	keys           []string
}

// asks makes the question, or takes that of an earlier look-up under its key, which may be nil.
func (l *lookup) asks(variant cachekeys.Digest, kept *decoded) asked {
	q, names := l.query, l.hint.names
	if kept != nil && kept.asked.rules == q.Rules && slices.Equal(kept.asked.carried, q.Carried) &&
		slices.Equal(kept.asked.names, names) {
		return kept.asked
	}
	tags := make([]cachekeys.Digest, 0, len(q.Carried)+len(names)+1)
	if !q.Rules.IsZero() {
		tags = append(tags, q.Rules.Digest())
	}
	for _, t := range q.Carried {
		tags = append(tags, t.Digest())
	}
	for _, t := range names {
		tags = append(tags, t.Digest())
	}
	keys := make([]string, 0, len(tags)+4)
	keys = append(keys, l.store.names.Entry(variant))
	keys = l.store.keyspace.TokenKeys(keys, tags)
	return asked{q.Rules, q.Carried, names, tags, keys[:len(keys):len(keys)]}
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
func (s *Store) keepDecoded(variant cachekeys.Digest, d *decoded) {
	if s.decoded == nil || len(d.record) >= maxDecoded || d.entry.Size() >= maxDecoded ||
		d.entry.Chunks != nil {
		return
	}
	tags := 200 * len(d.asked.keys) // keys, digests, marks and names
	s.decoded.Put(variant, d, int64(len(d.record)+tags)+weight(d.entry, nil))
}

func newDecoded(limit int64) *memory.Cache[*decoded] {
	if limit < decodedShare {
		return nil
	}
	return memory.New[*decoded](limit / decodedShare)
}
