package httpfield

import "strings"

// OriginForm is a request target without its scheme and authority, which Host has (RFC 9112 §3.2).
// ok is false for one that is of no form, or of authority form. The rest is as it was sent.
func OriginForm(target string) (origin string, ok bool) {
	if target == "*" || strings.HasPrefix(target, "/") {
		return target, true
	}
	scheme, rest, found := strings.Cut(target, "://")
	if !found || strings.ContainsAny(scheme, ":/?#") {
		return target, false
	}
	i := strings.IndexAny(rest, "/?#")
	switch {
	case i < 0:
		return "/", true
	case rest[i] == '?':
		return "/" + rest[i:], true
	}
	return rest[i:], true
}

// SplitTarget splits a request target into its raw path and query. ok is false where it cannot be
// read for certain. A fragment never belongs in a target: where a backend would cut it off is not
// certain. Nor does white space, which HTTP/2 lets pass, and which ends the target in a request
// line of HTTP/1.1.
func SplitTarget(target string) (path, query string, hasQuery, ok bool) {
	origin, ok := OriginForm(target)
	path, query, hasQuery = strings.Cut(origin, "?")
	switch {
	case !ok:
		return target, "", false, false
	case origin == "*":
		return origin, "", false, true
	}
	certain := strings.HasPrefix(path, "/") && !strings.Contains(origin, "#") &&
		!strings.ContainsFunc(origin, isSpaceOrControl)
	return path, query, hasQuery, certain
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f }
