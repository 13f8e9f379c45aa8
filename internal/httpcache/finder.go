package httpcache

import (
	"encoding/binary"
	"net/url"
	"slices"
	"strings"

	"sidecar/internal/httpfield"
)

// A Finder looks for values of cookies that are in no key: an answer that repeats one is for the
// reader who sent it, like a form with a token against forged requests. It finds a value of 8 bytes
// and more, as it was sent, without its quotes, percent-decoded, and as templates of HTML and
// writers of JSON escape it, in one pass over content that comes in pieces. Of a long value its
// first 32 bytes count.
//
// The zero value and nil find nothing. A Finder is for one goroutine.
type Finder struct {
	rest  map[uint64][]string // the rests of values, by their first 8 bytes
	first [1 << 16 / 64]uint64
	tail  [mostValue - 1]byte // the last bytes of the content so far
	kept  int                 // bytes of tail in use
	found bool
}

// Bounds in bytes, and of the values that begin alike: more are found by their beginning alone, so
// that the steps for a byte of content are bounded.
const (
	leastValue = 8
	mostValue  = 32
	mostAlike  = 16
)

// escapes are the ways in which the usual templates and writers escape the characters of a cookie:
// Go, Mustache, Handlebars and Django, ASP.NET; PHP, Go and Rails, .NET, Django for scripts; Gson,
// Twig for scripts and for attributes; links, in either case.
var escapes = []*strings.Replacer{
	strings.NewReplacer("&", "&amp;", "+", "&#43;", "'", "&#39;", `"`, "&#34;"),
	strings.NewReplacer("&", "&amp;", "/", "&#x2F;", "=", "&#x3D;", "'", "&#39;", `"`, "&quot;"),
	strings.NewReplacer("&", "&amp;", "=", "&#x3D;", "'", "&#x27;", `"`, "&quot;"),
	strings.NewReplacer("&", "&amp;", "+", "&#x2B;", "'", "&#x27;", `"`, "&quot;"),
	strings.NewReplacer("/", `\/`, `"`, `\"`),
	strings.NewReplacer("&", `\u0026`, "'", `\u0027`, `"`, `\"`),
	strings.NewReplacer("&", `\u0026`, "+", `\u002B`, "'", `\u0027`, `"`, `\u0022`),
	strings.NewReplacer("&", `\u0026`, "=", `\u003D`, "-", `\u002D`, "'", `\u0027`, `"`, `\u0022`),
	strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "=", `\u003d`, "'",
		`\u0027`, `"`, `\"`),
	strings.NewReplacer("/", `\/`, "+", `\u002B`, "=", `\u003D`, "-", `\u002D`, "&", `\u0026`),
	strings.NewReplacer("/", "&#x2F;", "+", "&#x2B;", "=", "&#x3D;", "&", "&amp;"),
	strings.NewReplacer(":", "%3A",
		"/", "%2F", "+", "%2B", "=", "%3D", "&", "%26", "|", "%7C", "@", "%40", "$", "%24"),
	strings.NewReplacer(":", "%3a",
		"/", "%2f", "+", "%2b", "=", "%3d", "&", "%26", "|", "%7c", "@", "%40", "$", "%24"),
}

// NewFinder returns a finder of these values; nil if none is long enough.
func NewFinder(values []string) *Finder {
	f := &Finder{rest: map[uint64][]string{}}
	for _, v := range values {
		f.add(v)
		bare := strings.Trim(v, `"`)
		f.addEscaped(bare)
		if decoded, err := url.PathUnescape(bare); err == nil && decoded != bare {
			f.addEscaped(decoded)
		}
	}
	if len(f.rest) == 0 {
		return nil
	}
	return f
}

func (f *Finder) addEscaped(value string) {
	f.add(value)
	if !strings.ContainsAny(value, `&+/='"-:|@$<>`) {
		return
	}
	for _, e := range escapes {
		if escaped := e.Replace(value); escaped != value && len(value) >= leastValue {
			f.add(escaped)
		}
	}
}

func (f *Finder) add(value string) {
	if len(value) < leastValue {
		return
	}
	first := binary.BigEndian.Uint64([]byte(value[:leastValue]))
	rest := value[leastValue:min(len(value), mostValue)]
	alike := f.rest[first]
	if slices.Contains(alike, rest) {
		return
	}
	if rest == "" || len(alike) == mostAlike {
		alike, rest = nil, "" // the beginning alone finds all of them
	}
	if len(alike) == 0 || alike[0] != "" {
		f.rest[first] = append(alike, rest)
	}
	low := first & 0xffff
	f.first[low/64] |= 1 << (low % 64)
}

// Write looks through the next piece of the content.
func (f *Finder) Write(piece []byte) {
	if f == nil || f.found || len(piece) == 0 {
		return
	}
	if f.kept > 0 {
		border := append(f.tail[:f.kept:f.kept], piece[:min(len(piece), mostValue-1)]...)
		f.found = f.isIn(border)
	}
	f.found = f.found || f.isIn(piece)
	if len(piece) >= len(f.tail) {
		f.kept = copy(f.tail[:], piece[len(piece)-len(f.tail):])
		return
	}
	keep := min(f.kept, len(f.tail)-len(piece))
	copy(f.tail[:], f.tail[f.kept-keep:f.kept])
	f.kept = keep + copy(f.tail[keep:], piece)
}

// Found reports whether the content so far has one of the values.
func (f *Finder) Found() bool { return f != nil && f.found }

// InFields reports whether a field has one of the values.
func (f *Finder) InFields(fields httpfield.Fields) bool {
	if f == nil {
		return false
	}
	for _, lines := range fields.All() {
		for _, line := range lines {
			if f.isIn([]byte(line)) {
				return true
			}
		}
	}
	return false
}

func (f *Finder) isIn(content []byte) bool {
	window := uint64(0)
	for i, c := range content {
		window = window<<8 | uint64(c)
		low := window & 0xffff
		if f.first[low/64]&(1<<(low%64)) == 0 || i < leastValue-1 {
			continue
		}
		behind := content[i+1:]
		for _, rest := range f.rest[window] {
			if len(behind) >= len(rest) && string(behind[:len(rest)]) == rest {
				return true
			}
		}
	}
	return false
}
