package proxy

import (
	"net/http"
	"strings"

	"sidecar/internal/httpfield"
)

// view is what matching, planning and the caching rules see of r. ok is false if the request target cannot be read for
// certain; nothing may be cached or taken for a job then.
func view(r *http.Request) (v httpfield.Request, ok bool) {
	path, query, hasQuery, ok := splitTarget(r.RequestURI)
	return httpfield.Request{
		Method:    r.Method,
		Authority: strings.ToLower(r.Host), // net/http has put an absolute target's authority here (RFC 9112 §3.2.2)
		Path:      path,
		Query:     query,
		HasQuery:  hasQuery,
		Fields:    httpfield.Header(r.Header),
		HasBody:   r.ContentLength != 0 || len(r.TransferEncoding) > 0,
	}, ok
}

// splitTarget splits a request target of origin, absolute or asterisk form (RFC 9112 §3.2) into its raw path and query.
func splitTarget(target string) (path, query string, hasQuery, ok bool) {
	if target == "*" {
		return target, "", false, true
	}
	if !strings.HasPrefix(target, "/") {
		_, rest, found := strings.Cut(target, "://")
		if !found {
			return target, "", false, false
		}
		i := strings.IndexAny(rest, "/?#")
		if i < 0 {
			return "/", "", false, true
		}
		target = rest[i:]
		if target[0] == '?' {
			target = "/" + target
		}
	}
	path, query, hasQuery = strings.Cut(target, "?")
	// A fragment never belongs in a target: where a backend would cut it off is not certain. Nor does white space, which HTTP/2 lets pass and at which a
	// request line of HTTP/1.1 ends.
	return path, query, hasQuery, strings.HasPrefix(path, "/") && !strings.Contains(target, "#") && !strings.ContainsFunc(target, isSpaceOrControl)
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f }
