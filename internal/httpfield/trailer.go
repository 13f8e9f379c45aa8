package httpfield

import (
	"net/http"
	"strings"
)

// MayBeTrailer reports whether a field may come after the content (RFC 9110 §6.5.1). A field that
// says how the message is framed, routed, read, conditioned, cached or authenticated may not: a
// recipient that merges trailers into the head would take it for something that was checked
// there. '_' counts as '-', as some servers read it.
func MayBeTrailer(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	if !IsToken(name) || IsHopByHop(http.CanonicalHeaderKey(name)) || notInTrailers[name] ||
		Identifies(name) {
		return false
	}
	for _, prefix := range notInTrailersPrefixes {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	for _, part := range notInTrailersParts {
		if strings.Contains(name, part) {
			return false
		}
	}
	return true
}

// notInTrailers are the fields that no trailer section may hold, by their purpose.
var notInTrailers = setOf(
	// framing and routing
	"content-length", "trailer", "host", "max-forwards", "via", "forwarded",
	"x-real-ip", "alt-used",
	"x-original-url", "x-rewrite-url", "x-original-uri", "x-request-uri", "destination",
	"x-client-ip", "true-client-ip",
	"x-method-override", "x-http-method", "x-http-method-override", "early-data",
	// controls and conditions of a request
	"cache-control", "expect", "pragma", "range", "if-match", "if-none-match", "if-modified-since",
	"if-unmodified-since", "if-range", "if", "prefer", "priority", "idempotency-key",
	"x-idempotency-key",
	"accept", "origin", "referer", "user-agent", "upgrade-insecure-requests",
	// credentials, beside the fields that identify
	"proxy-authorization", "cookie", "set-cookie", "www-authenticate", "proxy-authenticate",
	"authentication-info", "proxy-authentication-info",
	// control data of an answer
	"age", "date", "expires", "location", "retry-after", "vary", "warning",
	"last-modified", "allow",
	"cache-status", "clear-site-data", "cdn-cache-control", "surrogate-control",
	"strict-transport-security",
	// how the content is read
	"content-encoding", "content-type", "content-range", "content-location", "content-language",
	"content-disposition", "content-security-policy", "transfer-encoding", "refresh", "link",
)

var (
	notInTrailersPrefixes = []string{
		"x-forwarded-", "access-control-", "sec-", "accept-", "x-auth-",
		"x-amzn-", "cf-", "x-goog-",
		"x-consumer-", "proxy-", "x-ms-client-", "cross-origin-", "x-frame-", "x-content-",
	}
	notInTrailersParts = []string{
		"authoriz", "authent", "credential", "jwt", "csrf", "xsrf", "secret", "password",
	}
)

func setOf(names ...string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// KeepTrailers takes out of a trailer section, or of its announcement, the fields that may not be
// there.
func KeepTrailers(trailer http.Header) {
	for name := range trailer {
		if !MayBeTrailer(name) {
			delete(trailer, name)
		}
	}
}
