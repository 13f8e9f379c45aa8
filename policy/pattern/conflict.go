package pattern

import (
	"fmt"
	"net/http"
)

// covers reports whether p matches every request that q matches.
func (p *Pattern) covers(q *Pattern) bool {
	return (p.method == "" || p.method == q.method ||
		p.method == http.MethodGet && q.method == http.MethodHead) &&
		coversPath(p.segments, q.segments)
}

func coversPath(p, q []segment) bool {
	for i := 0; ; i++ {
		switch {
		case i == len(p) || i == len(q):
			return len(p) == len(q)
		case p[i].kind == rest:
			return true
		case q[i].kind == rest:
			return false
		case p[i].kind == wildcard && q[i].kind == literal && q[i].text == "":
			return false
		case p[i].kind == literal && (q[i].kind != literal || p[i].text != q[i].text):
			return false
		}
	}
}

// meets reports whether some request is matched by both.
func (p *Pattern) meets(q *Pattern) bool {
	method := p.method == "" || q.method == "" || p.method == q.method ||
		p.method == http.MethodGet && q.method == http.MethodHead ||
		p.method == http.MethodHead && q.method == http.MethodGet
	return method && meetsPath(p.segments, q.segments)
}

func meetsPath(p, q []segment) bool {
	for i := 0; ; i++ {
		switch {
		case i == len(p) || i == len(q):
			return len(p) == len(q)
		case p[i].kind == rest || q[i].kind == rest:
			return true
		case p[i].kind == literal && q[i].kind == literal && p[i].text != q[i].text:
			return false
		case p[i].kind != q[i].kind &&
			(p[i].kind == literal && p[i].text == "" || q[i].kind == literal && q[i].text == ""):
			return false
		}
	}
}

// MeetsPath reports whether some path is matched by both.
func (p *Pattern) MeetsPath(q *Pattern) bool { return meetsPath(p.segments, q.segments) }

// conflicts reports whether both patterns match some request and neither is more specific than the
// other: then it is not certain which one applies.
func (p *Pattern) conflicts(q *Pattern) bool {
	return p.meets(q) && p.covers(q) == q.covers(p)
}

// Parting says how to end a conflict of p and q: which wildcard to replace by a literal. It is ""
// where they match the very same requests.
func (p *Pattern) Parting(q *Pattern) string {
	for i := range min(len(p.segments), len(q.segments)) {
		a, b := p.segments[i], q.segments[i]
		switch {
		case a.kind != literal && b.kind == literal:
			return replacing(p, a, b)
		case a.kind == literal && b.kind != literal:
			return replacing(q, b, a)
		}
	}
	return ""
}

func replacing(p *Pattern, open, fixed segment) string {
	name := "{" + open.text + "}"
	if open.kind == rest {
		name = "{" + open.text + "...}"
	}
	return fmt.Sprintf("a literal in the place of %s in %q parts them, like %q",
		name, p, fixed.text)
}
