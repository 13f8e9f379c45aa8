package pattern

import (
	"slices"
	"strings"
)

// Values are the values of a pattern's named wildcards, in its order. A few are looked through
// faster than a map is made.
type Values []Value

// A Value is the part of a path for which a wildcard stands.
type Value struct{ Name, Text string }

// Get is the value of the wildcard with this name; "" if there is none.
func (v Values) Get(name string) string {
	for _, value := range v {
		if value.Name == name {
			return value.Text
		}
	}
	return ""
}

// Equal reports whether the same wildcards have the same values.
func (v Values) Equal(o Values) bool {
	return len(v) == len(o) &&
		!slices.ContainsFunc(v, func(one Value) bool { return !slices.Contains(o, one) })
}

// values are those of a path that matches, cut into its parts.
func (p *Pattern) values(parts []string) Values {
	named := 0
	for _, s := range p.segments {
		if s.kind != literal && s.text != "" {
			named++
		}
	}
	if named == 0 {
		return nil
	}
	values := make(Values, 0, named)
	for i, s := range p.segments {
		switch {
		case s.kind == literal || s.text == "":
		case s.kind == rest:
			values = append(values, Value{s.text, strings.Join(parts[i:], "/")})
		default:
			values = append(values, Value{s.text, parts[i]})
		}
	}
	return values
}
