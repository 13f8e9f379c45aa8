package jobs

import (
	"encoding/binary"
	"errors"
	"maps"
	"net/http"
	"slices"
)

// The stored forms of a Request and a Response begin with a byte that names the format. Strings are
// preceded by their length: field values may hold bytes that no text format takes.
const (
	formatRequest  = 'q'
	formatResponse = 'r'
)

var errUndecodable = errors.New("the stored value has another format, or is damaged")

func (r *Request) encode() []byte {
	b := make([]byte, 1, 512+len(r.Body))
	b[0] = formatRequest
	for _, s := range []string{r.Method, r.Target, r.Host, r.Proto, r.RemoteAddr} {
		b = appendString(b, s)
	}
	b = appendFields(b, r.Fields)
	b = appendFields(b, r.Trailer)
	return append(b, r.Body...)
}

func decodeRequest(b []byte) (*Request, error) {
	d := decoder{rest: b}
	d.format(formatRequest)
	r := &Request{}
	for _, s := range []*string{&r.Method, &r.Target, &r.Host, &r.Proto, &r.RemoteAddr} {
		*s = d.string()
	}
	r.Fields, r.Trailer = d.fields(), d.fields()
	r.Body = d.rest
	if d.failed {
		return nil, errUndecodable
	}
	return r, nil
}

func (r *Response) encode() []byte {
	b := make([]byte, 1, 512+len(r.Body))
	b[0] = formatResponse
	b = binary.AppendUvarint(b, uint64(r.Status))
	b = appendFields(b, r.Fields)
	return append(b, r.Body...)
}

func decodeResponse(b []byte) (*Response, error) {
	d := decoder{rest: b}
	d.format(formatResponse)
	r := &Response{Status: int(d.number(999)), Fields: d.fields()}
	r.Body = d.rest
	if d.failed || r.Status < 200 {
		return nil, errUndecodable
	}
	return r, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendFields(b []byte, h http.Header) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for _, name := range slices.Sorted(maps.Keys(h)) {
		b = appendString(b, name)
		b = binary.AppendUvarint(b, uint64(len(h[name])))
		for _, v := range h[name] {
			b = appendString(b, v)
		}
	}
	return b
}

// A decoder reads values from the front of rest. After the first fault it returns zero values.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) format(want byte) {
	if len(d.rest) == 0 || d.rest[0] != want {
		d.failed, d.rest = true, nil
		return
	}
	d.rest = d.rest[1:]
}

// number reads a number of at most limit.
func (d *decoder) number(limit uint64) uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 || n > limit {
		d.failed, d.rest = true, nil
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) string() string {
	n := d.number(uint64(len(d.rest)))
	if n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}

// fields reads as many names and values as there are bytes for: a forged count makes nothing grow.
func (d *decoder) fields() http.Header {
	h := http.Header{}
	for range d.number(uint64(len(d.rest))) {
		name := d.string()
		values := []string{}
		for range d.number(uint64(len(d.rest))) {
			values = append(values, d.string())
			if d.failed {
				return h
			}
		}
		if d.failed {
			return h
		}
		h[name] = values
	}
	return h
}
