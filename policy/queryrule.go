package policy

import (
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
)

// A queryRule says which parameters are part of the key.
type queryRule struct {
	listed  bool
	names   httpfield.Names // if listed
	ignored httpfield.Names
}

// apply gives the query for the key and to send on. ok is false if the request has a parameter that
// is not listed, or a ';', at which some backends split too.
func (r queryRule) apply(q cachekeys.Query) (selected cachekeys.Query, ok bool) {
	if q.Raw() == "" || !r.listed && len(r.ignored) == 0 {
		return q, true
	}
	if strings.Contains(q.Raw(), ";") {
		return q, false
	}
	q, _ = q.Without(r.ignored.Has)
	if !r.listed {
		return q, true
	}
	return q, !slices.ContainsFunc(q.Names(), func(name string) bool { return !r.names.Has(name) })
}

// has reports whether the parameter is part of the key.
func (r queryRule) has(name string) bool {
	return !r.ignored.Has(name) && (!r.listed || r.names.Has(name))
}
