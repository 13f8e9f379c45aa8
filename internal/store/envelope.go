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
	var r envelope
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
	n, width := binary.Uvarint(b)
	if width <= 0 || n > maxNames {
		return r, errEnvelope
	}
	b = b[width:]
	for range n {
		size, width := binary.Uvarint(b)
		if width <= 0 || uint64(len(b)-width) < size {
			return r, errEnvelope
		}
		tag, ok := cachekeys.UnmarshalTag(string(b[width : width+int(size)]))
		if !ok {
			return r, errEnvelope
		}
		r.names = append(r.names, tag)
		b = b[width+int(size):]
	}
	r.payload = b
	return r, nil
}
