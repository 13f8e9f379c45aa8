package httpfield

import (
	"slices"
	"strings"
)

// Names is a list of names as policies and rules write them: of fields, cookies or parameters. One
// that ends in '*' stands for all names that begin with the text before it.
type Names []string

// Has reports whether name is one of the names, letter by letter.
func (n Names) Has(name string) bool {
	return slices.ContainsFunc(n, func(pattern string) bool {
		if prefix, open := strings.CutSuffix(pattern, "*"); open {
			return strings.HasPrefix(name, prefix)
		}
		return pattern == name
	})
}

// HasFold is Has without regard to case, as the names of fields are compared (RFC 9110 §5.1).
func (n Names) HasFold(name string) bool {
	return slices.ContainsFunc(n, func(pattern string) bool {
		if prefix, open := strings.CutSuffix(pattern, "*"); open {
			return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
		}
		return strings.EqualFold(pattern, name)
	})
}
