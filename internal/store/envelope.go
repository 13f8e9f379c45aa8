package store

import (
	"encoding/binary"
	"errors"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
)

// FormatVersion is the version of what stands under an entry's key: this package's record and
// entry's own format. It is part of every key, so that two versions never read each other's
// records.
const FormatVersion = "2." + entry.Version

// An envelope is what stands under an entry's key: the stamp that says how long it may be used,
// the names that the answer gave (what the next fill opens first), and an entry or an index.
// Payload is empty in a record that only remembers names.
type envelope struct {
	stamp   coherence.Stamp
	names   []cachekeys.Tag
	payload []byte
}

var errEnvelope = errors.New("store: not an envelope")

// maxNames bounds the names that a record may bring; the policy's bound is lower.
const maxNames = 256

func (r envelope) encode() []byte {
	b := make([]byte, 0, len(r.payload)+len(r.stamp)*32+64)
	b = r.stamp.Append(b)
	b = binary.AppendUvarint(b, uint64(len(r.names)))
	for _, n := range r.names {
		s := n.Marshal()
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, r.payload...)
}

// decodeEnvelope reads a record; its payload is a part of b.
func decodeEnvelope(b []byte) (envelope, error) {
	var r envelope
	var err error
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
