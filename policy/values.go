package policy

import (
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
)

// requestValues fills placeholders from a request and, where there is one, its answer.
type requestValues struct {
	path              map[string]string
	query             cachekeys.Query
	fields            httpfield.Fields
	caller            caller.Caller
	request, response *Body
	inspect           int64 // bytes that a body may come to without its coding
}

// Value implements cachekeys.Values.
func (v requestValues) Value(p cachekeys.Placeholder, limit int) ([]string, bool) {
	switch p.Source {
	case cachekeys.FromPath:
		return one(v.path[p.Name], v.path[p.Name] != "")
	case cachekeys.FromQuery:
		return one(v.query.Get(p.Name))
	case cachekeys.FromHeader:
		values := v.fields.Values(canonicalPattern(p.Name))
		if len(values) != 1 {
			return nil, false
		}
		return one(strings.TrimSpace(values[0]), true)
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

func one(value string, ok bool) ([]string, bool) { return []string{value}, ok && value != "" }
