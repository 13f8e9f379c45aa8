package httpcache

import (
	"slices"
	"strings"

	"sidecar/internal/httpfield"
)

// InvalidatedURIs are the raw paths, besides the request's own, that a successful unsafe request
// makes stale (§4.4): those of Location and Content-Location, if they have the origin of the
// request, by any of the names that the backend is told. A method that is not known to be safe is not; success is a status of 2xx or 3xx. Every
// line of a repeated field counts: too much rather than too little.
func InvalidatedURIs(req httpfield.Request, status int, f httpfield.Fields) []string {
	if httpfield.IsSafe(req.Method) || status < 200 || status > 399 {
		return nil
	}
	var paths []string
	for _, name := range [...]string{"Location", "Content-Location"} {
		for _, reference := range f.Values(name) {
			path, ok := pathOf(req, strings.Trim(reference, " \t"))
			if ok && !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// pathOf resolves a URI reference against the request's target (RFC 3986 §5.2, dot segments left
// in) and returns its raw path. ok is false for another origin.
//
// The scheme may be either, and a default port is as good as none: TLS ends before this process,
// so that it cannot know which of the two a client used.
func pathOf(req httpfield.Request, reference string) (path string, ok bool) {
	reference, _, _ = strings.Cut(reference, "#")
	reference, _, _ = strings.Cut(reference, "?")
	if scheme, rest, found := cutScheme(reference); found {
		if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") ||
			!strings.HasPrefix(rest, "//") {
			return "", false
		}
		reference = rest
	}
	if rest, found := strings.CutPrefix(reference, "//"); found {
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		hosts, overflow := httpfield.Hosts(req.Authority, req.Outgoing())
		if !overflow && !slices.Contains(hosts, httpfield.Host(rest[:end])) {
			return "", false
		}
		if reference = rest[end:]; reference == "" {
			reference = "/"
		}
	}
	switch {
	case reference == "":
		return req.Path, true
	case reference[0] == '/':
		return reference, true
	default:
		dir := req.Path[:strings.LastIndexByte(req.Path, '/')+1]
		if dir == "" {
			dir = "/"
		}
		return dir + reference, true
	}
}

// cutScheme splits "scheme:rest"; a colon after the first slash belongs to a path.
func cutScheme(s string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(s, ":")
	return scheme, rest, ok && !strings.Contains(scheme, "/")
}
