package policy

import (
	"slices"
	"strings"

	"sidecar/cachekeys"
)

// A queryRule says which parameters are part of the key.
type queryRule struct {
	listed  bool
	names   []string // if listed; a name may end in '*'
	ignored []string
}

// apply gives the query for the key and to send on. ok is false if the request has a parameter that
// is not listed, or a ';', at which some backends split too.
func (r queryRule) apply(raw string) (q cachekeys.Query, ok bool) {
	q = cachekeys.ParseQuery(raw)
	if raw == "" || !r.listed && len(r.ignored) == 0 {
		return q, true
	}
	if strings.Contains(raw, ";") {
		return q, false
	}
	q, _ = q.Without(func(name string) bool { return matchesAny(r.ignored, name) })
	if !r.listed {
		return q, true
	}
	return q, !slices.ContainsFunc(q.Names(), func(name string) bool { return !matchesAny(r.names, name) })
}

// has reports whether the parameter is part of the key.
func (r queryRule) has(name string) bool {
	return !matchesAny(r.ignored, name) && (!r.listed || matchesAny(r.names, name))
}

// matchesAny compares name with patterns that may end in '*'.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, open := strings.CutSuffix(p, "*"); open {
			return strings.HasPrefix(name, prefix)
		}
		return p == name
	})
}
