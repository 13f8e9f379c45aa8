package cachekeys

import (
	"net/url"
	"path"
	"strings"
)

// CanonicalPath is one spelling for all the spellings of a path that a backend may take for the
// same: decoded, with '//' and dot segments resolved, and without a trailing slash. A path that
// cannot be decoded stays as it is.
func CanonicalPath(raw string) string {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		decoded = raw
	}
	return path.Clean("/" + strings.TrimLeft(decoded, "/"))
}
