package policy

import (
	"strings"
	"sync"

	"sidecar/internal/httpfield"
	"sidecar/internal/jsonbody"
)

// A Body is the content of a request or a response that templates look into. It is unpacked and
// checked at the first look-up, and once: give the same Body to all methods of a plan. nil stands
// for content that is not in hand. It is safe for concurrent use.
type Body struct {
	content   []byte
	coding    string
	mediaType string

	scanned sync.Once
	named   []string // the methods that it names in the place of POST
	known   bool     // they are all

	mu     sync.Mutex
	looked bool               // json is final
	json   *jsonbody.Document // nil: nothing can be looked up for certain
}

// NewBody is the whole content that was sent with these fields. Content that is not JSON by its
// Content-Type has no values: the API may read it in another way.
func NewBody(content []byte, fields httpfield.Fields) *Body {
	types, codings := fields.Values("Content-Type"), fields.Values("Content-Encoding")
	b := &Body{content: content, coding: strings.Join(codings, ","),
		mediaType: strings.Join(types, ",")}
	if hasTwin(fields, "content-type") {
		b.mediaType = "" // unknown
	}
	b.looked = len(types) != 1 || !jsonbody.IsJSON(types[0]) || hasTwin(fields, "content-type") ||
		hasTwin(fields, "content-encoding")
	return b
}

// hasTwin reports whether some server takes another field for the one with this name.
func hasTwin(fields httpfield.Fields, name string) bool {
	for other := range fields.All() {
		if len(other) == len(name) && !httpfield.IsPlainName(other) &&
			httpfield.Hyphenated(other) == name {
			return true
		}
	}
	return false
}

// values are those at a path, if the content is JSON and comes to at most most bytes without its
// coding. After limit values it stops, with one more.
func (b *Body) values(path string, limit int, most int64) ([]string, bool) {
	if b == nil {
		return nil, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.looked {
		b.looked = true
		if content, ok := jsonbody.Unpack(b.content, b.coding, most); ok {
			b.json = jsonbody.Parse(content)
		}
	}
	return b.json.Values(path, limit)
}
