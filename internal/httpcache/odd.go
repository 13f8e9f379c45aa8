package httpcache

import (
	"math"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
)

// An error may be about the request rather than about the resource: about one of its fields, which
// is in no key. Stored by a shared cache, it would answer the requests of all.

// answersField reports whether an error with this status may be about a field of the request.
// Those that are about the resource, the method or the target alone are not.
func answersField(status int) bool {
	switch status {
	case 404, 405, 410, 414, 451, 501:
		return false
	}
	return status >= 400
}

// isOdd reports whether an error is likely to be about this request alone: about a field that is
// long, that the grammar of its name refuses, or that has no meaning in a GET without content.
func isOdd(req httpfield.Request) bool {
	for name, values := range req.Fields.All() {
		length := len(name)
		for _, v := range values {
			length += len(v)
		}
		if length > maxField || !hasGrammar(name, values) {
			return true
		}
	}
	return false
}

// maxField is how long a field is that no server refuses, in bytes.
const maxField = 4 << 10

// hasGrammar reports whether the field lines of a GET keep to the specification of the name. For a
// name that is not known here, only controls are refused.
func hasGrammar(name string, values []string) bool {
	if slices.ContainsFunc(values, hasControl) {
		return false
	}
	switch name {
	case "Authorization":
		return len(values) == 1 && isCredentials(values[0])
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "A-Im":
		return httpfield.ArePreferences(name, values)
	case "Max-Forwards", "Expect", "Content-Type", "Content-Encoding", "Content-Language",
		"Content-Location",
		"Content-Range", "Content-Md5", "Content-Digest", "Content-Disposition", "Trailer",
		"Transfer-Encoding",
		"Destination", "Depth", "Overwrite", "If", "Lock-Token", "Timeout":
		return false // of other methods, or of content
	case "If-None-Match", "If-Match":
		_, _, ok := httpfield.ParseETags(values)
		return ok
	case "If-Modified-Since", "If-Unmodified-Since", "Date", "Accept-Datetime":
		return len(values) == 1 && isDate(values[0])
	case "If-Range":
		if len(values) != 1 {
			return false
		}
		_, ok := httpfield.ParseETag(values[0])
		return ok || isDate(values[0])
	case "Range":
		if len(values) != 1 {
			return false
		}
		_, ok := parseRange(values[0], math.MaxInt64)
		return ok
	case "Content-Length", "Upgrade-Insecure-Requests", "Dnt":
		return len(values) == 1 && isNumber(values[0])
	case "Origin", "Referer":
		return len(values) == 1 && !strings.ContainsAny(values[0], " \t\"<>\\^`{|}")
	case "Host", "User-Agent", "From", "Cookie", "Priority":
		return len(values) == 1
	case "Accept-Signature", "Cache-Control", "Pragma", "Connection", "Te", "Via", "Prefer",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded":
		_, ok := httpfield.Members(values)
		return ok
	}
	return true
}

func hasControl(v string) bool {
	return strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// isCredentials reports whether a value is a scheme, alone or with a token or parameters
// (RFC 9110 §11.4).
func isCredentials(v string) bool {
	scheme, rest, more := strings.Cut(v, " ")
	if !httpfield.IsToken(scheme) || !more {
		return httpfield.IsToken(scheme)
	}
	rest = strings.TrimLeft(rest, " ")
	if !strings.ContainsFunc(strings.TrimRight(rest, "="), func(r rune) bool {
		return !strings.ContainsRune("-._~+/", r) && (r < '0' || r > '9') &&
			(r|0x20 < 'a' || r|0x20 > 'z')
	}) {
		return rest != ""
	}
	params, ok := httpfield.Members([]string{rest})
	return ok && !slices.ContainsFunc(params, func(p string) bool {
		name, value, isParam := strings.Cut(p, "=")
		return !isParam || !httpfield.IsToken(strings.TrimRight(name, " \t")) ||
			strings.TrimSpace(value) == ""
	})
}

func isNumber(v string) bool {
	return v != "" && len(v) <= 18 &&
		!strings.ContainsFunc(v, func(r rune) bool { return r < '0' || r > '9' })
}

func isDate(v string) bool {
	_, ok := httpfield.ParseDate(v, time.Unix(0, 0))
	return ok
}
