package httpfield

import "strings"

// Host is an authority in one spelling: in lower case, without user, default port and the dot that
// ends a full name. The scheme is not known here, so the default port of either counts.
func Host(authority string) string {
	host := strings.ToLower(authority[strings.LastIndexByte(authority, '@')+1:])
	for _, port := range [...]string{":80", ":443", ":"} {
		if h, found := strings.CutSuffix(host, port); found {
			host = h
			break
		}
	}
	return strings.TrimSuffix(host, ".")
}
