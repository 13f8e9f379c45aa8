package cachekeys

import (
	"fmt"
	"slices"
	"strings"
)

// A Source says where a placeholder's value comes from.
type Source int

// The sources of contract section 3, "Templates".
const (
	FromPath         Source = iota // {id}: a wildcard of the route's pattern
	FromQuery                      // {query.page}
	FromHeader                     // {header.X-Tenant}
	FromClaim                      // {claim.sub}: of a verified JWT only
	FromCaller                     // {caller}: the caller's ID
	FromRequestBody                // {request.body.PATH}, gjson syntax
	FromResponseBody               // {response.body.PATH}
	FromEnv                        // {env.NAME}: schedules only
	FromNow                        // {now-168h}: schedules only
)

// String is the source as templates spell it.
func (s Source) String() string {
	return [...]string{
		"path", "query", "header", "claim", "caller", "request.body", "response.body", "env", "now",
	}[s]
}

// A Placeholder is one {…} of a template.
type Placeholder struct {
	Source Source
	// wildcard, parameter, field (canonical not enforced), claim, or gjson path; the offset of
	// now
	Name   string
	Filter Filter // brings the value to one spelling
	// Optional: the parameter may be absent, and then there is no tag ({query.expand?}).
	Optional bool
	Offset   int // byte offset of '{' in the template
}

// Values fills placeholders. ok false means that the value cannot be known (absent, empty,
// unreadable, ambiguous); no values with ok true mean that there is nothing to name, as in an empty
// list. After limit+1 values it may stop. Values are not escaped.
type Values interface {
	Value(p Placeholder, limit int) (values []string, ok bool)
}

// A Template is a parsed tag, partition or caller id. It is immutable and safe for concurrent use.
type Template struct {
	source string
	parts  []part
	family bool // ends in '*'
}

// part is a literal, or a placeholder if hole is not nil.
type part struct {
	literal string
	hole    *Placeholder
}

// A TemplateError is a fault at a byte offset of a template.
type TemplateError struct {
	Offset int
	Msg    string
}

func (e *TemplateError) Error() string { return e.Msg }

// ParseTemplate parses s. Errors are of type *TemplateError. Which names exist is not known here:
// ask Placeholders.
func ParseTemplate(s string) (*Template, error) {
	if s == "" {
		return nil, &TemplateError{0, "it is empty"}
	}
	t := &Template{source: s}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '{':
			end := closing(s, i)
			if end < 0 {
				return nil, &TemplateError{i, fmt.Sprintf("%q is not closed with }", s[i:])}
			}
			hole, err := parsePlaceholder(s[i+1:end], i)
			if err != nil {
				return nil, err
			}
			t.parts = append(t.parts, part{hole: hole})
			i = end + 1
		case c == '}':
			return nil, &TemplateError{i, "a } closes nothing: a placeholder is like {id}"}
		case c == '*':
			if i != len(s)-1 {
				return nil, &TemplateError{
					i, "'*' may only stand at the end, where it names a family",
				}
			}
			t.family = true
			i++
		case c < 0x20 || c == 0x7f:
			return nil, &TemplateError{i, hasControl}
		default:
			j := i + strings.IndexAny(s[i:], "{}*")
			if j < i {
				j = len(s)
			}
			if k := strings.IndexFunc(s[i:j], isControl); k >= 0 {
				return nil, &TemplateError{i + k, hasControl}
			}
			t.parts = append(t.parts, part{literal: s[i:j]})
			i = j
		}
	}
	return t, nil
}

const hasControl = "it has a control character, like a line break: take it out"

// closing is the offset of the '}' that ends the placeholder at open; gjson paths may hold braces
// of their own.
func closing(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func parsePlaceholder(expr string, offset int) (*Placeholder, error) {
	p := &Placeholder{Offset: offset}
	expr, p.Filter = cutFilter(expr)
	for _, prefixed := range []struct {
		prefix string
		source Source
	}{
		{"query.", FromQuery}, {"header.", FromHeader}, {"claim.", FromClaim},
		{"request.body.", FromRequestBody}, {"response.body.", FromResponseBody}, {"env.", FromEnv},
	} {
		if name, ok := strings.CutPrefix(expr, prefixed.prefix); ok {
			if name == "" {
				return nil, &TemplateError{
					offset, fmt.Sprintf("{%s} lacks a name after the dot", expr),
				}
			}
			p.Source, p.Name = prefixed.source, name
			if p.Source == FromQuery {
				p.Name, p.Optional = strings.CutSuffix(name, "?")
			}
			if _, filter, found := strings.Cut(name, "|"); found && p.Source != FromRequestBody &&
				p.Source != FromResponseBody {
				return nil, &TemplateError{
					offset, fmt.Sprintf("there is no filter |%s: there are |lower, |int and |uuid",
						filter),
				}
			}
			return p, nil
		}
	}
	switch {
	case expr == "caller":
		p.Source = FromCaller
	case expr == "now" || strings.HasPrefix(expr, "now+") || strings.HasPrefix(expr, "now-"):
		p.Source, p.Name = FromNow, strings.TrimPrefix(expr, "now")
	case isIdentifier(expr):
		p.Source, p.Name = FromPath, expr
	case strings.Contains(expr, "|") && isIdentifier(expr[:strings.IndexByte(expr, '|')]):
		_, filter, _ := strings.Cut(expr, "|")
		return nil, &TemplateError{
			offset, fmt.Sprintf("there is no filter |%s: there are |lower, |int and |uuid", filter),
		}
	default:
		return nil, &TemplateError{offset, noPlaceholder(expr)}
	}
	return p, nil
}

// noPlaceholder names the placeholder that was probably meant by one that is none.
func noPlaceholder(expr string) string {
	const all = "{id} for a wildcard, {query.…}, {header.…}, {claim.…}, {caller}, " +
		"{request.body.…}, {response.body.…}"
	bare := strings.TrimSpace(strings.Trim(expr, "{} "))
	first, rest, dotted := strings.Cut(bare, ".")
	meant := ""
	switch first {
	case "path", "params", "param", "route", "url":
		meant = rest
	case "body", "req", "request":
		meant = "request.body." + strings.TrimPrefix(rest, "body.")
	case "resp", "res", "response":
		meant = "response.body." + strings.TrimPrefix(rest, "body.")
	case "headers":
		meant = "header." + rest
	case "claims", "jwt", "token":
		meant = "claim." + rest
	}
	switch {
	case bare == "":
		return fmt.Sprintf("{%s} is empty: a placeholder is %s", expr, all)
	case dotted && rest != "" && meant != "" && !strings.HasPrefix(rest, "header"):
		return fmt.Sprintf("{%s} is no placeholder: did you mean {%s}?", expr, meant)
	case isIdentifier(bare):
		return fmt.Sprintf("{%s} is no placeholder: did you mean {%s}?", expr, bare)
	case strings.HasSuffix(bare, "?"):
		return fmt.Sprintf("{%s} is no placeholder: only a parameter may be absent, like "+
			"{query.page?}", expr)
	}
	return fmt.Sprintf("{%s} is no placeholder: those are %s", expr, all)
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// String is the template as written.
func (t *Template) String() string { return t.source }

// IsFamily reports whether the template ends in '*'.
func (t *Template) IsFamily() bool { return t.family }

// Placeholders are the template's placeholders, in order.
func (t *Template) Placeholders() []Placeholder {
	var out []Placeholder
	for _, p := range t.parts {
		if p.hole != nil {
			out = append(out, *p.hole)
		}
	}
	return out
}

// Has reports whether some placeholder is of source s.
func (t *Template) Has(s Source) bool {
	return slices.ContainsFunc(t.parts,
		func(p part) bool { return p.hole != nil && p.hole.Source == s })
}

// LiteralPrefix is the text before the first placeholder, or the whole text if there is none.
func (t *Template) LiteralPrefix() string {
	if len(t.parts) > 0 && t.parts[0].hole == nil {
		return t.parts[0].literal
	}
	return ""
}

// An Expansion is the result of a template for one request or response.
type Expansion struct {
	Tags []Tag // one for each combination of values; empty if a list was empty
	// for each placeholder, the family of the text before it as filled: an entry that carries the
	// tags carries these
	Families []Tag
	// Unfilled, if not nil, are the families up to the first placeholder that could not be filled,
	// and Tags is empty: a GET then cannot be cached, and an invalidation drops these instead.
	Unfilled []Tag
	// Odd are the families of values that read like a number or a UUID in an odd spelling, for
	// which Tags hold the canonical spelling too: a write drops them, since the backend may have
	// changed any spelling of it.
	Odd []Tag
	// TooMany: it is unfilled because there are more combinations than the limit.
	TooMany bool
}

// Expand fills t with values. At most limit combinations are made; where there would be more, the
// result is unfilled at the placeholder that has too many values.
func (t *Template) Expand(values Values, limit int) Expansion {
	var out Expansion
	var room [2]string
	texts := append(room[:0], "")
	for _, p := range t.parts {
		if p.hole == nil {
			for i := range texts {
				texts[i] += p.literal
			}
			continue
		}
		out.Families = appendFamilies(out.Families, texts)
		families := out.Families[len(out.Families)-len(texts):]
		got, ok := values.Value(*p.hole, limit/max(1, len(texts)))
		if !ok || slices.Contains(got, "") {
			return Expansion{Unfilled: families}
		}
		got, odd, ok := p.hole.spellings(got)
		if !ok {
			return Expansion{Unfilled: families}
		}
		if odd {
			out.Odd = append(out.Odd, families...)
		}
		if len(texts)*len(got) > limit {
			return Expansion{Unfilled: families, TooMany: true}
		}
		texts = combine(texts, got)
	}
	out.Tags = make([]Tag, 0, len(texts))
	for _, text := range texts {
		if t.family {
			out.Tags = append(out.Tags, Family(text))
		} else {
			out.Tags = append(out.Tags, Named(text))
		}
	}
	return out
}

// Known fills t as far as it can be filled before there is a response. prefix is the text before
// the first placeholder of source FromResponseBody; families are those of the placeholders up to
// and including it. A filler opens these families and Guard(prefix) early. ok is false if a request
// value could not be filled, or was a list.
func (t *Template) Known(values Values) (prefix string, families []Tag, ok bool) {
	for _, p := range t.parts {
		if p.hole == nil {
			prefix += p.literal
			continue
		}
		families = append(families, Family(prefix))
		if p.hole.Source == FromResponseBody {
			return prefix, families, true
		}
		got, filled := values.Value(*p.hole, 1)
		if filled && len(got) == 0 { // the whole tag is left out
			return prefix, families, true
		}
		if !filled || len(got) != 1 || got[0] == "" {
			return "", nil, false
		}
		got, _, filled = p.hole.spellings(got)
		if !filled || len(got) != 1 {
			return "", nil, false
		}
		prefix = combine([]string{prefix}, got)[0]
	}
	return prefix, families, true
}

// Text fills t without escaping anything, for partitions and caller ids, which are hashed and never
// meet a tag. Each value is preceded by its length, so that no value can pretend to be the literal
// beside it. ok is false if a placeholder could not be filled with exactly one value.
func (t *Template) Text(values Values) (text string, ok bool) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.hole == nil {
			b.WriteString(p.literal)
			continue
		}
		got, filled := values.Value(*p.hole, 1)
		if !filled || len(got) != 1 || got[0] == "" {
			return "", false
		}
		v, ok := p.hole.Filter.apply(got[0])
		if !ok {
			return "", false
		}
		fmt.Fprintf(&b, "{%d:%s}", len(v), v)
	}
	return b.String(), true
}

// FamilyOf matches the text of a tag against t, a family template, and returns the family under
// which the text lies: "user:{claim.user_id}:*" and "user:7:characters" give "user:7:". A
// placeholder stands for one escaped value, which has no ':' in it.
func (t *Template) FamilyOf(text string) (Tag, bool) {
	rest := text
	for i, p := range t.parts {
		if p.hole == nil {
			var ok bool
			if rest, ok = strings.CutPrefix(rest, p.literal); !ok {
				return Tag{}, false
			}
			continue
		}
		end := strings.IndexByte(rest, ':')
		if i+1 < len(t.parts) && t.parts[i+1].hole == nil && t.parts[i+1].literal[0] != ':' {
			end = strings.Index(rest, t.parts[i+1].literal)
		}
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			return Tag{}, false
		}
		rest = rest[end:]
	}
	return Family(text[:len(text)-len(rest)]), true
}

func appendFamilies(families []Tag, texts []string) []Tag {
	for _, text := range texts {
		families = append(families, Family(text))
	}
	return families
}

// combine is each text with each value behind it. It may change texts.
func combine(texts, values []string) []string {
	if len(texts) == 1 && len(values) == 1 {
		texts[0] += Escape(values[0])
		return texts
	}
	out := make([]string, 0, len(texts)*len(values))
	for _, text := range texts {
		for _, v := range values {
			out = append(out, text+Escape(v))
		}
	}
	return out
}
