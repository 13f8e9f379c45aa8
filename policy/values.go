package policy

import (
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/policy/pattern"
)

// requestValues fills placeholders from a request and, where there is one, its answer.
type requestValues struct {
	path              pattern.Values
	query             cachekeys.Query
	fields            httpfield.Fields // as they are sent to the backend
	caller            *caller.Caller   // of the plan
	request, response *Body
	inspect           int64 // bytes that a body may come to without its coding
}

// Value implements cachekeys.Values.
func (v *requestValues) Value(p cachekeys.Placeholder, limit int) ([]string, bool) {
	switch p.Source {
	case cachekeys.FromPath:
		value := v.path.Get(p.Name)
		return one(value, value != "")
	case cachekeys.FromQuery:
		if p.Optional && !v.query.Has(p.Name) {
			return nil, true
		}
		return one(v.query.Get(p.Name))
	case cachekeys.FromHeader:
		return one(v.field(canonicalPattern(p.Name)))
	case cachekeys.FromClaim:
		return v.caller.Claim(p.Name)
	case cachekeys.FromCaller:
		return one(v.caller.ID, v.caller.ID != "" && v.caller.Bypass == "")
	case cachekeys.FromRequestBody:
		return v.request.values(p.Name, limit, v.inspect)
	case cachekeys.FromResponseBody:
		return v.response.values(p.Name, limit, v.inspect)
	}
	return nil, false
}

// field is the value of a field that occurs once, and under no other name that some server takes
// for its own: a name with '_' is one with '-' to some.
func (v *requestValues) field(name string) (value string, ok bool) {
	values := v.fields.Values(name)
	if len(values) != 1 {
		return "", false
	}
	bare := cachekeys.BareName(name)
	for other := range v.fields.All() {
		if other != name && len(other) == len(name) && cachekeys.BareName(other) == bare {
			return "", false
		}
	}
	return strings.TrimSpace(values[0]), true
}

func one(value string, ok bool) ([]string, bool) { return []string{value}, ok && value != "" }
