package proxy

import (
	"net/http"
	"slices"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
)

// join puts a part that has passed together with the stored one (RFC 9111 §3.4), where both are
// of the same representation and leave no gap: all of it is then stored, under the newer fields,
// and is the whole once it is complete. It returns the bytes to store.
func (c *capture) join(content []byte) []byte {
	e, held := c.entry, c.miss.candidate.part
	e.Offset, e.Total = c.contentRange.First, c.contentRange.Total
	if held != nil {
		if joined, ok := c.joined(held, content); ok {
			content = joined
		}
	}
	if int64(len(content)) == c.contentRange.Total {
		c.entry.Status, c.entry.Offset, c.entry.Total = http.StatusOK, 0, 0
	}
	return content
}

// joined is held and content together, under fields of both. ok is false if they are not to be put
// together, or are too long.
func (c *capture) joined(held *entry.Entry, content []byte) (body []byte, ok bool) {
	size := int64(len(held.Body))
	before, behind, ok := httpcache.Combine(stored(held), size, c.entry, c.contentRange)
	if !ok || before+int64(len(content))+behind > min(c.miss.x.plan.Read.Cache.MaxBody, maxPart) {
		return nil, false
	}
	e, err := entry.New(c.entry.Status, httpcache.Updated(stored(held), c.entry))
	if err != nil {
		return nil, false
	}
	e.Vary, e.Cookies = c.entry.Vary, c.entry.Cookies
	c.surrogate = c.miss.x.plan.Read.Surrogates(e) // of the stored part, too
	e.ResponseTime, e.InitialAge = c.entry.ResponseTime, c.entry.InitialAge
	e.Lifetime, e.Until = c.entry.Lifetime, c.entry.Until
	e.Offset, e.Total = min(held.Offset, c.contentRange.First), c.contentRange.Total
	c.entry = e
	c.bringCookies(held)
	return slices.Concat(held.Body[:before], content, held.Body[size-behind:]), true
}
