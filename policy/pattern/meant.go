package pattern

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sidecar/internal/httpfield"
	"sidecar/internal/nearest"
)

// severalPatterns are the patterns of a text that has more than one, quoted; "" if it has one.
func severalPatterns(s string) string {
	known := httpfield.Methods()
	var found []string
	fields := strings.Fields(strings.ReplaceAll(s, ",", " "))
	for i := 0; i+1 < len(fields); i += 2 {
		if !slices.Contains(known, fields[i]) || fields[i+1][0] != '/' {
			return ""
		}
		found = append(found, fmt.Sprintf("%q", fields[i]+" "+fields[i+1]))
	}
	if len(found) < 2 {
		return ""
	}
	return strings.Join(found, ", ")
}

// pathFault is the fault of a path that does not begin with '/'.
func pathFault(method, path string) error {
	before, after, slash := strings.Cut(path, "/")
	example := "GET /api/characters/{id}"
	if method != "" {
		example = method + " /api/characters/{id}"
	}
	known := slices.Contains(httpfield.Methods(), strings.ToUpper(before))
	switch {
	case strings.HasPrefix(path, "^"), strings.HasPrefix(path, "~"):
		return fmt.Errorf("a pattern is no regular expression: it is like %s", example)
	case slash && method == "" && known:
		return fmt.Errorf("a blank is missing behind the method: %s /%s", strings.ToUpper(before),
			after)
	case slash && (strings.Contains(before, ".") || strings.HasSuffix(before, ":")):
		return fmt.Errorf("a pattern has a path, and neither scheme nor host: it is like %s",
			example)
	case method == "" && known:
		return fmt.Errorf("a path is missing behind the method: it is like %s", example)
	case method != "" && path != "" && !strings.ContainsAny(path, ` :\`):
		return fmt.Errorf("a path begins with '/': %s /%s", method, path)
	}
	return fmt.Errorf("a pattern has a path that begins with '/': it is like %s", example)
}

// everyMethod are words for all methods, for which a pattern names none.
var everyMethod = []string{"*", "ANY", "ALL"}

// methodFault is the error about a method. path is the rest of the pattern.
func methodFault(method, path string) error {
	if method == http.MethodConnect || method == "PRI" {
		return fmt.Errorf("no request with %s comes to a path", method)
	}
	known := httpfield.Methods()
	if slices.Contains(known, method) {
		return nil
	}
	upper := strings.ToUpper(method)
	if slices.Contains(known, upper) {
		return fmt.Errorf("methods are written in capitals: %s %s", upper, path)
	}
	if slices.Contains(everyMethod, upper) {
		return fmt.Errorf("a pattern for all methods names none: %s", path)
	}
	several := strings.FieldsFunc(upper,
		func(r rune) bool { return strings.ContainsRune("|,;+/", r) })
	if len(several) > 1 {
		for i, m := range several {
			several[i] = fmt.Sprintf("%q", m+" "+path)
		}
		return fmt.Errorf("a pattern has one method: make a list of it, [%s]",
			strings.Join(several, ", "))
	}
	if near := nearest.To(upper, known); near != "" && httpfield.IsToken(method) {
		return fmt.Errorf("%q is no method: did you mean %s %s?", method, near, path)
	}
	return fmt.Errorf("%q is no method that the IANA registry knows", method)
}
