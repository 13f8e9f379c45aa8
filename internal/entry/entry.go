// Package entry is the form in which a stored response, or what is known of a key whose variants lie elsewhere, stands
// in a cache tier. It knows no tags and no Redis, and is pure.
//
// # The form
//
//	0  magic    "sc"
//	2  kind     'E' an entry, 'I' an index, 'P' a chunk of a body
//	3  version  '2'
//	4  checksum CRC-32C of everything but itself, little-endian
//	8  meta     an entry: status, response time (ns since 1970), initial age, lifetime (ns), its end (ns since 1970, or 0), where
//	            its bytes begin and how many the whole has (0 and 0 for the whole), the names of Vary, the names of dropped cookies,
//	            the head's length, the body's form and its length
//	            an index: how queries are told apart, the names of Vary, the variants, each its key and its ETag
//	            a chunk: its body's id, its number, its form and its length
//	   head     "Name: value\r\n" for each field line, ready to send
//	   body     as its form says, up to the end; of one in chunks, their id and the length of each but the last
//
// Numbers are varints (those that may be negative zigzag), a list of names is their number and each with its length.
// What is damaged, cut, longer than it says or of another version is not decoded, and nothing of it is trusted.
package entry

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"
)

// Version of the stored form. It is part of every key, so that two versions never read each other's records.
const Version = "2"

// ErrFields is wrapped where a response cannot be stored because its head cannot be written for certain.
var ErrFields = errors.New("entry: fields that cannot be sent")

// An Entry is a stored response: made by New, filled in and encoded, or decoded. Its fields must not be changed once
// several goroutines have it; its methods are then safe for concurrent use.
type Entry struct {
	Status int // 200 to 999

	// Vary are the names of the request fields by which the response was selected, canonical.
	Vary []string
	// Cookies are the names of the cookies that were dropped when the response was stored. It may be served only to
	// requests that bring these cookies.
	Cookies []string

	// ResponseTime is when the response came, to the nanosecond and between the years 1678 and 2262.
	ResponseTime time.Time
	// InitialAge and Lifetime are the corrected initial age and the freshness lifetime (RFC 9111 §4.2).
	InitialAge, Lifetime time.Duration
	// Until, if not zero, is when the entry ends, whatever may be used beyond its lifetime; to the nanosecond.
	Until time.Time

	// Offset and Total are of a part of a representation: where Body begins in it, and how many bytes it has; both 0 for the whole.
	Offset, Total int64

	// Body is the content in the coding in which the backend sent it. That of a decoded entry is a view of what was decoded.
	Body []byte
	// Chunks, if not nil, say where the content lies that is too long for one record. Body is nil then.
	Chunks *Chunks

	head  []byte
	parse sync.Once
	lines http.Header
}

// New returns an entry with this status and these fields, which it copies. fields are what may be stored (httpcache.StorableFields),
// with canonical names. What frames a message or belongs to one hop, and Age, are left out: they are
// written anew for each answer. An error, which wraps ErrFields, says what cannot be stored.
func New(status int, fields http.Header) (*Entry, error) {
	if !isFinal(status) {
		return nil, fmt.Errorf("%w: status %d", ErrFields, status)
	}
	head, err := appendHead(nil, fields)
	if err != nil {
		return nil, err
	}
	return &Entry{Status: status, head: head}, nil
}

// Fresh is how long the entry is still fresh at now; 0 or less if it is stale.
func (e *Entry) Fresh(now time.Time) time.Duration {
	return e.Lifetime - e.InitialAge - max(0, now.Sub(e.ResponseTime))
}

// isFinal reports whether status is that of a final response, which net/http can send.
func isFinal(status int) bool { return 200 <= status && status <= 999 }

// Size is the length of the content in bytes, wherever it lies.
func (e *Entry) Size() int64 {
	if e.Chunks != nil {
		return e.Chunks.Size
	}
	return int64(len(e.Body))
}

// Head is the field section ready to send: "Name: value\r\n" for each line, without the status line, without the empty line
// at the end, and without Content-Length, which is Size where there is one. It must not be changed.
func (e *Entry) Head() []byte { return e.head[:len(e.head):len(e.head)] }

// Fields is the field section as a map, parsed when it is first asked for. All callers get the same map, which must not
// be changed.
func (e *Entry) Fields() http.Header {
	e.parse.Do(func() { e.lines = parseHead(string(e.head)) })
	return e.lines
}

// Values makes the entry a httpfield.Fields, which parses nothing until it is asked.
func (e *Entry) Values(name string) []string { return e.Fields()[name] }

// All makes the entry a httpfield.Fields.
func (e *Entry) All() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for name, values := range e.Fields() {
			if !yield(name, values) {
				return
			}
		}
	}
}
