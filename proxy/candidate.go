package proxy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// A candidate is the stored response to validate (RFC 9111 §4.3), or to serve stale.
type candidate struct {
	entry *entry.Entry     // nil: there is none
	key   cachekeys.Digest // of entry
	// dead: one of its tags was written to before the tokens were opened. It is never served stale.
	dead bool
	// variants are those that other requests select, where this one selects nothing.
	variants []entry.Variant
	// part is a part of a representation, which another part may complete.
	part *entry.Entry
	// held is the entry that was found alive, whether or not it can answer the request.
	held *entry.Entry
}

// candidateOf is the candidate that a look-up found for a request, which the entry that was found
// can answer or not.
func candidateOf(found store.Found, fits bool) candidate {
	c := candidate{key: found.Key, variants: found.Variants, held: found.Entry}
	e := found.Any()
	c.dead = e != nil && e == found.Dead
	if fits {
		c.entry = e
	}
	if e != nil && e.Total > 0 {
		c.part = e
	}
	return c
}

// yields reports whether a response may be stored in the place of the one that is held.
func (c candidate) yields(e *entry.Entry) bool {
	return httpcache.MaySupersede(e.Status) ||
		c.held == nil || c.dead || c.held.Fresh(time.Now()) <= 0 ||
		httpcache.Supersedes(e.Status, e, c.held.Status, c.held)
}

// fits reports whether an entry can answer a request, however old it is.
func fits(x *exchange, e *entry.Entry) bool {
	_, fits := x.plan.Read.Demand.Reply(stored(e))
	return fits
}

// setConditions replaces the client's validators in h by the cache's own: the answer without
// content that the client's may lead to cannot be stored, and the proxy evaluates them itself.
// conditional is false where there is nothing to validate. A request for a part then goes as it
// came.
func (c candidate) setConditions(h http.Header, part bool) (conditional bool) {
	if part && c.entry == nil {
		return false
	}
	delete(h, "If-None-Match")
	delete(h, "If-Modified-Since")
	switch {
	case c.entry != nil:
		return httpcache.SetValidators(h, stored(c.entry), c.dead)
	case len(c.variants) == 0:
		return false
	}
	tags := make([]string, len(c.variants))
	for i, v := range c.variants {
		tags[i] = v.ETag
	}
	h["If-None-Match"] = []string{strings.Join(tags, ", ")}
	return true
}

// A validated is a stored response that still holds, as a 304 says.
type validated struct {
	held   *entry.Entry // as it is stored
	fields http.Header  // with those of the 304
	reply  reply        // of held, with fields
}

// validate finds the stored response that a 304 is about, and gives it the fields of the 304
// (RFC 9111 §4.3.4). It returns nil where the 304 is about nothing that is stored, or is no more.
func (m *miss) validate(resp *http.Response) *validated {
	held := m.validatedEntry(httpfield.Header(resp.Header))
	if held == nil {
		return nil
	}
	fields := httpcache.Updated(stored(held), httpfield.Header(resp.Header))
	v := &validated{held: held, fields: fields}
	updated, err := entry.New(held.Status, v.fields)
	if err != nil {
		return nil
	}
	updated.Body, updated.Chunks = held.Body, held.Chunks
	updated.Offset, updated.Total = held.Offset, held.Total
	decided, _ := m.x.plan.Read.Demand.Reply(stored(updated))
	var lost reason.Reason
	if v.reply, lost = m.proxy.open(m.x, updated, decided); lost != "" {
		return nil
	}
	return v
}

// validatedEntry is the candidate, or the variant that the 304 names.
func (m *miss) validatedEntry(fields httpfield.Header) *entry.Entry {
	held := m.candidate.entry
	if held == nil {
		return m.validatedVariant(fields)
	}
	confirms := httpcache.Confirms
	if m.candidate.dead {
		confirms = httpcache.ConfirmsDead
	}
	if !confirms(stored(held), fields, true) {
		return nil
	}
	return held
}

// validatedVariant is the variant that a 304 names by its ETag. Not one whose content is in a
// coding that this request may not have asked for, nor one in chunks, which belong to one record
// alone.
func (m *miss) validatedVariant(fields httpfield.Header) *entry.Entry {
	variants := m.candidate.variants
	i := slices.IndexFunc(variants, func(v entry.Variant) bool {
		tagged := httpcache.Stored{Fields: httpfield.Header{"Etag": {v.ETag}}}
		return httpcache.ConfirmsDead(tagged, fields, len(variants) == 1)
	})
	if i < 0 {
		return nil
	}
	held := m.proxy.Store.Variant(m.x.ctx, m.x.budget, m.x.query(), variants[i])
	if held == nil {
		return nil
	}
	tag, _ := httpcache.StrongTag(held)
	if tag != variants[i].ETag || held.Chunks != nil || httpcache.Coded(held) || !fits(m.x, held) {
		return nil
	}
	return held
}

// updateFromHEAD updates the stored answer to a GET by the answer to a HEAD, or drops it (RFC 9111
// §4.3.5).
func (m *miss) updateFromHEAD(o outcome) {
	held, fields := m.candidate.entry, httpfield.Header(o.resp.Header)
	if o.resp.StatusCode != http.StatusOK || held.Status != http.StatusOK ||
		backend.Suspect(o.resp) {
		return
	}
	switch httpcache.Agrees(stored(held), held.Size(), fields, m.candidate.dead) {
	case httpcache.Same:
		m.keepUpdated(held, httpcache.Updated(stored(held), fields), o.at)
	case httpcache.Other:
		m.proxy.Store.Drop(m.x.ctx, m.x.budget, m.candidate.key)
	}
}

// keepUpdated stores an entry anew, with these fields, where the rules allow that. They see it as
// the answer to a GET.
func (m *miss) keepUpdated(held *entry.Entry, fields http.Header, at backend.Timing) {
	if held.Total > 0 {
		part := httpcache.Part{First: held.Offset, Last: held.Offset + held.Size() - 1}
		fields["Content-Range"] = []string{httpcache.ContentRange(part, held.Total)}
	}
	c := m.captureAs(held.Status, fields, at)
	if c == nil {
		return
	}
	c.bringCookies(held)
	c.entry.Chunks, c.entry.Offset, c.entry.Total = held.Chunks, held.Offset, held.Total
	c.store(held.Body)
}
