package httpcache

import (
	"slices"
	"strings"

	"sidecar/internal/httpfield"
)

// VaryNames are the request fields by which a response was selected (§4.1): canonical, sorted, each
// once. Besides the names in Vary, a response that names an origin in Access-Control-Allow-Origin
// varies on Origin, and one whose content is coded on Accept-Encoding, though many a backend
// forgets to say so. any is true if no set of fields tells: for "*", and for a Vary that cannot be
// read.
func VaryNames(f httpfield.Fields) (names []string, any bool) {
	names, ok := httpfield.FieldNames(f.Values("Vary"))
	if !ok || slices.Contains(names, "*") {
		return nil, true
	}
	if namesOrigin(f.Values("Access-Control-Allow-Origin")) {
		names = append(names, "Origin")
	}
	if Coded(f) {
		names = append(names, "Accept-Encoding")
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// namesOrigin reports whether Access-Control-Allow-Origin says anything but "*".
func namesOrigin(values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return v != "*" })
}

// Coded reports whether the response's content is in a coding that a client has to ask for (RFC
// 9110 §8.4).
func Coded(f httpfield.Fields) bool {
	codings, ok := httpfield.Members(f.Values("Content-Encoding"))
	return !ok ||
		slices.ContainsFunc(codings, func(c string) bool {
			return !strings.EqualFold(c, "identity")
		})
}
