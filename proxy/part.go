package proxy

import (
	"net/http"
	"slices"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
)

// join puts a part that has passed together with the one that is stored (RFC 9111 §3.4), where both are of the same representation and leave no gap: all that is
// there of it is then stored, under the newer fields, and is the whole once it is complete. It returns the bytes to store.
func (k *keeping) join(content []byte) []byte {
	e, held := k.entry, k.x.earlier.part
	e.Offset, e.Total = k.part.First, k.part.Total
	if held != nil {
		if joined, ok := k.joined(held, content); ok {
			content = joined
		}
	}
	if int64(len(content)) == k.part.Total {
		k.entry.Status, k.entry.Offset, k.entry.Total = http.StatusOK, 0, 0
	}
	return content
}

// joined is what held and content are together, under fields of both. ok is false if they are not to be put together, or are too much.
func (k *keeping) joined(held *entry.Entry, content []byte) (body []byte, ok bool) {
	before, behind, ok := httpcache.Combine(stored(held), int64(len(held.Body)), k.entry, k.part)
	if !ok || before+int64(len(content))+behind > min(k.x.plan.Read.Cache.MaxBody, maxPart) {
		return nil, false
	}
	e, err := entry.New(k.entry.Status, httpcache.Updated(stored(held), k.entry))
	if err != nil {
		return nil, false
	}
	e.Vary, e.Cookies = k.entry.Vary, k.entry.Cookies
	k.given = k.x.plan.Read.Given(e) // of the stored part, too
	e.ResponseTime, e.InitialAge, e.Lifetime, e.Until = k.entry.ResponseTime, k.entry.InitialAge, k.entry.Lifetime, k.entry.Until
	e.Offset, e.Total = min(held.Offset, k.part.First), k.part.Total
	k.entry = e
	k.bringCookies(held)
	return slices.Concat(held.Body[:before], content, held.Body[int64(len(held.Body))-behind:]), true
}
