// Package entry is the stored form of a response in a cache tier, and of the index that stands
// under a key whose variants have keys of their own. It knows no tags and no Redis. It is pure: no
// I/O, no clock.
//
// # The form
//
//	0  magic    "sc"
//	2  kind     'E' an entry, 'I' an index, 'P' a chunk of a body
//	3  version  '2'
//	4  checksum CRC-32C of everything but itself, little-endian
//	8  meta     entry: status, response time (ns since 1970), initial age, lifetime (ns), its end
//	            (ns since 1970, or 0), offset and total size of a part (0 and 0 for the whole),
//	            names of Vary, names of dropped cookies, length of the head, form and length of
//	            the body
//	            index: query variance, names of Vary, the variants, each with key and ETag
//	            chunk: id of its body, its number, its form and its length
//	   head     "Name: value\r\n" for each field line, ready to send
//	   body     in the given form, up to the end; of one in chunks, their id and the size of each
//	            but the last
//
// Numbers are varints, zigzag where they may be negative. A list of names is its length and then
// each name after its own length. A record that is damaged, truncated, longer than it says or of
// another version is not decoded, and no part of it is used.
package entry

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"strings"
	"time"
)

// Version is the version of the stored form. It is part of every key, so two versions never read
// each other's records.
const Version = "2"

// ErrFields is wrapped by the error for fields that cannot be written unambiguously.
var ErrFields = errors.New("entry: fields that cannot be sent")

// An Entry is a stored response: made by New, filled in and encoded, or decoded. Its fields must
// not change once several goroutines have it; its methods are then safe for concurrent use.
type Entry struct {
	Status int // 200 to 999

	// Vary has the canonical names of the request fields that select the response.
	Vary []string
	// Cookies has the names of the cookies that were dropped before the response was stored. Only a
	// request that carries these cookies may get it.
	Cookies []string

	// ResponseTime is the time of arrival.
	ResponseTime Instant
	// InitialAge and Lifetime are corrected_initial_age and freshness_lifetime (RFC 9111 §4.2).
	InitialAge, Lifetime time.Duration
	// Until, if not zero, is the hard end of the entry: after it, even stale use is forbidden.
	Until Instant

	// Offset and Total place the Body of a part (206) within the representation: its first byte and
	// the size of the whole. Both are 0 for a complete response.
	Offset, Total int64

	// Body is the content in the coding that the backend sent. In a decoded entry it is a view of
	// the record, unless it was compressed.
	Body []byte
	// Chunks, if not nil, locates a content that is too long for one record. Body is nil then.
	Chunks *Chunks

	head string // its fields are not kept in another form: that would be most of a small entry
	view bool   // Body is a part of something longer
}

// An Instant is a time between the years 1678 and 2262, in nanoseconds since 1970; 0: none. It is a
// third of a time.Time, of which each entry has two.
type Instant int64

// At is the Instant of t.
func At(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixNano())
}

// Time is the inverse of At, without a monotonic clock.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(i))
}

// New returns an entry with this status and a copy of fields, which have canonical names and are
// already limited to httpcache.StorableFields. It leaves out Age, framing and hop-by-hop fields,
// which are written anew for each response. An error wraps ErrFields and names the field.
func New(status int, fields http.Header) (*Entry, error) {
	if !isFinal(status) {
		return nil, fmt.Errorf("%w: status %d", ErrFields, status)
	}
	head, err := appendHead(nil, fields)
	if err != nil {
		return nil, err
	}
	return &Entry{Status: status, head: string(head)}, nil
}

// Fresh is the remaining freshness lifetime at now; 0 or less if the entry is stale.
func (e *Entry) Fresh(now time.Time) time.Duration {
	return e.Lifetime - e.InitialAge - max(0, now.Sub(e.ResponseTime.Time()))
}

func isFinal(status int) bool { return 200 <= status && status <= 999 }

// Size is the length of the content in bytes, in one record or in chunks.
func (e *Entry) Size() int64 {
	if e.Chunks != nil {
		return e.Chunks.Size
	}
	return int64(len(e.Body))
}

// Head is the field section, ready to send: "Name: value\r\n" for each line, sorted by name. It has
// no status line, final empty line and Content-Length (see Size).
func (e *Entry) Head() string { return e.head }

// Fields is the field section as a new map.
func (e *Entry) Fields() http.Header {
	h := http.Header{}
	e.AddTo(h, nil)
	return h
}

// AddTo sets the fields in h. Their values are in room, which grows as needed and is returned: it
// must not change as long as h is used.
func (e *Entry) AddTo(h http.Header, room []string) []string {
	if n := strings.Count(e.head, "\n"); cap(room) < n {
		room = make([]string, 0, n)
	}
	room = room[:0]
	first, last := 0, "" // of the lines of one name, which stand together
	for head := e.head; head != ""; {
		var name, value string
		name, value, head = cutLine(head)
		if name != last {
			first, last = len(room), name
		}
		room = append(room, value)
		h[name] = room[first:len(room):len(room)]
	}
	return room
}

// Values implements httpfield.Fields.
func (e *Entry) Values(name string) (values []string) {
	for head := e.head; head != ""; {
		var found, value string
		if found, value, head = cutLine(head); found == name {
			values = append(values, value)
		}
	}
	return values
}

// All implements httpfield.Fields.
func (e *Entry) All() iter.Seq2[string, []string] { return maps.All(e.Fields()) }

// IsView reports whether Body is a part of a record, and keeps the whole of it alive.
func (e *Entry) IsView() bool { return e.view }

// Compact is a copy of e that keeps nothing alive but itself, and no body with much spare room.
func (e *Entry) Compact() *Entry {
	c := *e
	if e.view || cap(e.Body)-len(e.Body) > len(e.Body)/8 {
		c.Body, c.view = bytes.Clone(e.Body), false
	}
	return &c
}
