package caller

import (
	"strings"

	"sidecar/internal/httpfield"
)

// isOneAuthorization reports whether the lines of Authorization hold at most one credential
// (RFC 9110 §11.6.2). Of several lines, or of a line in which a comma separates something other
// than the parameters of one scheme, servers take different ones.
func isOneAuthorization(values []string) bool {
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 {
		return false
	}
	if !strings.Contains(values[0], ",") {
		return true
	}
	scheme, rest, _ := strings.Cut(values[0], " ")
	params, ok := httpfield.Members([]string{rest})
	if !ok || !httpfield.IsToken(scheme) {
		return false
	}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		name = strings.TrimRight(name, " \t")
		if !httpfield.IsToken(name) || value == "" || value[0] == '=' {
			return false
		}
	}
	return true
}
