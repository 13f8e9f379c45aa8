package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/jsonbody"
	"sidecar/internal/reason"
	"sidecar/policy"
)

// finderFor looks for the values of cookies that are not in the key of an entry: those of the
// request, and those that were dropped from the answer with these fields. nil if there are none.
func finderFor(read *policy.ReadPlan, e *entry.Entry, fields httpfield.Fields) *httpcache.Finder {
	var values []string
	if len(e.Cookies) > 0 {
		for _, line := range fields.Values("Set-Cookie") {
			if cookie, err := http.ParseSetCookie(line); err == nil {
				values = append(values, cookie.Value)
			}
		}
	}
	if !slices.Contains(e.Vary, "Cookie") {
		values = append(values, read.UncountedCookies()...)
	}
	if len(values) == 0 {
		return nil
	}
	return httpcache.NewFinder(values)
}

// repeats is why a complete body may not be stored: it has, or may have, the value of a cookie that
// is in no key; "" if it has none.
func (c *capture) repeats(content []byte) reason.Reason {
	if c.finder == nil {
		return ""
	}
	coding := strings.Join(c.entry.Values("Content-Encoding"), ",")
	content, ok := jsonbody.Unpack(content, coding, c.miss.x.plan.Read.Cache.MaxBody)
	if !ok || isWide(c.contentType(), content) {
		return reason.BodyCoded
	}
	if c.finder.Write(content); c.finder.Found() {
		return reason.RepeatsCookie
	}
	return ""
}

// repeatsSoFar is repeats for the beginning of a body that is stored in chunks: one with a coding
// is not looked through.
func (c *capture) repeatsSoFar(content []byte) reason.Reason {
	if c.finder != nil && (httpcache.Coded(c.entry) || isWide(c.contentType(), content)) {
		return reason.BodyCoded
	}
	if c.finder.Write(content); c.finder.Found() {
		return reason.RepeatsCookie
	}
	return ""
}

func (c *capture) contentType() string { return strings.Join(c.entry.Values("Content-Type"), ",") }

// isWide reports whether a text is in units of other than one byte, as UTF-16 is: no value would be
// found in it.
func isWide(contentType string, content []byte) bool {
	if len(content) > 1 &&
		(content[0] == 0xfe && content[1] == 0xff || content[0] == 0xff && content[1] == 0xfe) {
		return true
	}
	contentType = strings.ToLower(contentType)
	_, charset, named := strings.Cut(contentType, "charset")
	return named &&
		(strings.Contains(charset, "utf-16") || strings.Contains(charset, "utf-32") ||
			strings.Contains(charset, "ucs"))
}
