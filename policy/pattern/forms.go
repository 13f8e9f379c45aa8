package pattern

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// Split are the decoded segments of a raw path; a segment that cannot be decoded stands for itself.
func Split(raw string) []string {
	segments := strings.Split(strings.TrimPrefix(raw, "/"), "/")
	for i, s := range segments {
		if decoded, err := url.PathUnescape(s); err == nil {
			segments[i] = decoded
		}
	}
	return segments
}

// Forms are the ways in which a backend may read a raw path, each as its segments: as sent, decoded
// before it is split, cleaned of '//' and dots, and each of these without a trailing slash. The
// first is the path as sent.
func Forms(raw string) [][]string {
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		decoded = raw
	}
	out := [][]string{Split(raw)}
	add := func(segments []string) {
		if !slices.ContainsFunc(out, func(have []string) bool { return slices.Equal(have, segments) }) {
			out = append(out, segments)
		}
	}
	bare := func(p string) []string { return strings.Split(strings.TrimPrefix(p, "/"), "/") }
	add(bare(decoded))
	add(Split(cleaned(raw)))
	add(bare(cleaned(decoded)))
	for _, f := range slices.Clone(out) {
		for len(f) > 1 && f[len(f)-1] == "" {
			f = f[:len(f)-1]
			add(f)
		}
	}
	return out
}

// cleaned is a path without '//' and dot segments, with the trailing slash that it had.
func cleaned(p string) string {
	c := path.Clean("/" + strings.TrimLeft(p, "/"))
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}
