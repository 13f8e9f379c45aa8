package store

import (
	"encoding/binary"
	"errors"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
)

// FormatVersion is the version of the value under an entry's key: this package's record and entry's
// own format. It is part of every key, so that two versions never read each other's records.
const FormatVersion = "2." + entry.Version

// An envelope is the value under an entry's key: the stamp that says how long it may be used, the
// names that the answer gave (the next fill opens them first), and an entry or an index. Payload is
// empty in a record that only remembers names.
type envelope struct {
	stamp   coherence.Stamp
	names   []cachekeys.Tag
	payload []byte
	record  []byte // all of it, of one that was decoded
}

var errEnvelope = errors.New("store: not an envelope")

// maxNames bounds the names that a record may bring; the policy's bound is lower.
const maxNames = 256

// encode returns the record for this Redis key.
func (r envelope) encode(key string) []byte {
	b := make([]byte, 0, len(key)+len(r.payload)+len(r.stamp)*32+64)
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = r.stamp.Append(b)
	b = binary.AppendUvarint(b, uint64(len(r.names)))
	for _, n := range r.names {
		s := n.Marshal()
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, r.payload...)
}

// decodeEnvelope reads the record that was stored under this Redis key; its payload is a part of b.
func decodeEnvelope(b []byte, key string) (envelope, error) {
	r := envelope{record: b}
	var err error
	length, width := binary.Uvarint(b)
	if width <= 0 || length != uint64(len(key)) || len(b)-width < len(key) ||
		string(b[width:width+len(key)]) != key {
		return r, errEnvelope
	}
	b = b[width+len(key):]
	if r.stamp, b, err = coherence.ParseStamp(b); err != nil {
		return r, err
	}
	r.names, r.payload, err = decodeNames(b)
	return r, err
}

// decodeNames reads the names at the beginning of b, and returns the rest. Their texts are parts of
// one string.
func decodeNames(b []byte) (names []cachekeys.Tag, rest []byte, err error) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > maxNames {
		return nil, nil, errEnvelope
	}
	if n == 0 {
		return nil, b[width:], nil
	}
	var spans [maxNames]struct{ begin, end int }
	at := width
	for i := range spans[:n] {
		size, width := binary.Uvarint(b[at:])
		if width <= 0 || uint64(len(b)-at-width) < size {
			return nil, nil, errEnvelope
		}
		at += width
		spans[i].begin = at
		at += int(size)
		spans[i].end = at
	}
	text := string(b[:at])
	names = make([]cachekeys.Tag, n)
	for i, span := range spans[:n] {
		var ok bool
		if names[i], ok = cachekeys.UnmarshalTag(text[span.begin:span.end]); !ok {
			return nil, nil, errEnvelope
		}
	}
	return names, b[at:], nil
}
