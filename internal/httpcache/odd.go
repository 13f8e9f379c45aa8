package httpcache

import (
	"math"
	"net/http"
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

// isOdd reports whether an error with this status is likely to be about this request alone: about
// its credentials, a field that the grammar of its name refuses, one that has no meaning in a GET,
// or its size.
func isOdd(req httpfield.Request, who Requester, resp Response) bool {
	switch resp.Status {
	case http.StatusNotAcceptable: // RFC 9110 §15.5.7; if Vary does not name the field, no key has it
		names, _ := VaryNames(resp.Fields)
		for _, name := range [...]string{"Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language"} {
			if has(req.Fields, name) && !slices.Contains(names, name) {
				return true
			}
		}
	case http.StatusUnsupportedMediaType, http.StatusExpectationFailed, http.StatusUpgradeRequired:
		return true // §15.5.16, §15.5.18, §15.5.22
	}
	if who.Credentials || has(req.Fields, "Authorization") {
		return true
	}
	lines, size := 0, 0
	for name, values := range req.Fields.All() {
		length := len(name)
		for _, v := range values {
			length += len(v)
		}
		lines, size = lines+len(values), size+length
		if length > maxField || !hasGrammar(name, values) {
			return true
		}
	}
	return lines > maxLines || size > maxSection
}

// Bounds of what no server refuses: bytes of one field, lines of all fields, bytes of all.
const (
	maxField   = 4 << 10
	maxLines   = 64
	maxSection = 8 << 10
)

// hasGrammar reports whether the field lines of a GET are what the specification of the name
// allows. Of a name that is not known here any visible US-ASCII is.
func hasGrammar(name string, values []string) bool {
	for _, v := range values {
		if !isVisible(v) {
			return false
		}
	}
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "A-Im":
		return httpfield.ArePreferences(name, values)
	case "Max-Forwards", "Expect", "Content-Type", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Range", "Content-Md5", "Content-Digest", "Content-Disposition", "Trailer", "Transfer-Encoding",
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

func isVisible(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' && v[i] != '\t' || v[i] >= 0x7f {
			return false
		}
	}
	return true
}

func isNumber(v string) bool {
	return v != "" && len(v) <= 18 && !strings.ContainsFunc(v, func(r rune) bool { return r < '0' || r > '9' })
}

func isDate(v string) bool {
	_, ok := httpfield.ParseDate(v, time.Unix(0, 0))
	return ok
}
