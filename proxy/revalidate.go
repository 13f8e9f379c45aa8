package proxy

import (
	"net/http"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// An earlier is what is stored for a request and may not be served as it stands. The backend can be asked whether it still holds (RFC 9111 §4.3).
type earlier struct {
	entry    *entry.Entry     // nil: there is none
	key      cachekeys.Digest // of entry
	dead     bool             // something that it depends on was written to, before the tokens were opened: it is never served stale
	variants []entry.Variant  // what other requests select, where this one selects nothing
	part     *entry.Entry     // a part of a representation, that another one may complete
}

// earlierOf is what of a look-up can be asked about for a request.
func earlierOf(req httpfield.Request, found store.Found) earlier {
	e := earlier{entry: found.Entry, key: found.Key, variants: found.Variants}
	if e.entry == nil {
		e.entry, e.dead = found.Dead, found.Dead != nil
	}
	if e.entry != nil && e.entry.Total > 0 {
		e.part = e.entry
	}
	if e.entry != nil && !serves(req, e.entry) {
		e.entry = nil
	}
	return e
}

// ask puts the question into h, the fields of a request to the backend, in the place of the client's own conditions: the answer without content that these may
// lead to cannot be stored, and the proxy answers them itself. A request for a part goes as it came where there is nothing to ask.
func (e earlier) ask(h http.Header, part bool) (asked bool) {
	if part && e.entry == nil {
		return false
	}
	for _, name := range conditions {
		delete(h, name)
	}
	switch {
	case e.entry != nil:
		return httpcache.Ask(h, stored(e.entry), e.dead)
	case len(e.variants) == 0:
		return false
	}
	tags := make([]string, len(e.variants))
	for i, v := range e.variants {
		tags[i] = v.ETag
	}
	h["If-None-Match"] = []string{strings.Join(tags, ", ")}
	return true
}

// conditions are the fields that make a GET conditional on what the client has.
var conditions = []string{"If-None-Match", "If-Modified-Since"}

// A confirmed is what is stored and still holds, as a 304 says.
type confirmed struct {
	held   *entry.Entry // what is stored
	fields http.Header  // with those of the 304
	answer reply        // what is sent of held, with fields
}

// confirmed is what a 304 says still holds, with the fields that it brings (RFC 9111 §4.3.4); nil if it is about nothing that is stored, or nothing any more.
func (p *Proxy) confirmed(x *exchange, req httpfield.Request, resp *http.Response) *confirmed {
	fields, held := httpfield.Header(resp.Header), x.earlier.entry
	if held == nil {
		held = p.confirmedVariant(x, req, fields)
	} else if confirms := confirming(x.earlier.dead); !confirms(stored(held), fields, true) {
		held = nil
	}
	if held == nil {
		return nil
	}
	c := &confirmed{held: held, fields: httpcache.Updated(stored(held), fields)}
	answer, err := entry.New(held.Status, c.fields)
	if err != nil {
		return nil
	}
	answer.Body, answer.Chunks, answer.Offset, answer.Total = held.Body, held.Chunks, held.Offset, held.Total
	var lost reason.Reason
	if c.answer, lost = p.reply(x, req, answer); lost != "" {
		return nil
	}
	return c
}

// confirming is the rule by which a 304 confirms what is stored.
func confirming(dead bool) func(s httpcache.Stored, f httpfield.Fields, alone bool) bool {
	if dead {
		return httpcache.ConfirmsDead
	}
	return httpcache.Confirms
}

// confirmedVariant is the variant that a 304 names by its ETag, unless its content is in a coding that this request may not have asked for,
// or lies in pieces, which belong to one record alone.
func (p *Proxy) confirmedVariant(x *exchange, req httpfield.Request, fields httpfield.Header) *entry.Entry {
	i := slices.IndexFunc(x.earlier.variants, func(v entry.Variant) bool {
		tagged := httpcache.Stored{Fields: httpfield.Header{"Etag": {v.ETag}}}
		return httpcache.ConfirmsDead(tagged, fields, len(x.earlier.variants) == 1)
	})
	if i < 0 {
		return nil
	}
	held := p.Store.Variant(x.r.Context(), x.budget, x.earlier.variants[i])
	if held == nil {
		return nil
	}
	if tag, _ := httpcache.StrongTag(held); tag != x.earlier.variants[i].ETag || held.Chunks != nil || httpcache.Coded(held) || !serves(req, held) {
		return nil
	}
	return held
}

// answerConfirmed answers with what is stored and still holds, and keeps it with the fields that the backend's 304 brought.
func (p *Proxy) answerConfirmed(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight, got fetched) {
	x.out.FwdStatus = http.StatusNotModified
	if backend.Suspect(got.resp) || !p.keepUpdated(x, req, fill, flight, got.confirmed.held, got.confirmed.fields, got.at) {
		flight.Land(store.Landing{})
		fill.Abandon()
	}
	p.answerEntry(x, got.confirmed.answer, got.resp.Header["Age"])
}

// heard takes what the answer to a HEAD says of the stored answer to a GET (RFC 9111 §4.3.5): its fields are brought up to date, or it is dropped.
func (p *Proxy) heard(x *exchange, req httpfield.Request, fill *store.Fill, got fetched) {
	held, fields := x.earlier.entry, httpfield.Header(got.resp.Header)
	switch agreement := httpcache.Agrees(stored(held), held.Size(), fields, x.earlier.dead); {
	case got.resp.StatusCode != http.StatusOK || held.Status != http.StatusOK || backend.Suspect(got.resp):
	case agreement == httpcache.Silent:
	case agreement == httpcache.Other:
		p.Store.Drop(x.r.Context(), x.budget, x.earlier.key)
	case p.keepUpdated(x, req, fill, nil, held, httpcache.Updated(stored(held), fields), got.at):
		return
	}
	fill.Abandon()
}

// keepUpdated stores what is stored already anew, with these fields. It reports false where the rules, which see it as the answer to a GET, do not allow that.
func (p *Proxy) keepUpdated(x *exchange, req httpfield.Request, fill *store.Fill, flight *store.Flight, held *entry.Entry, fields http.Header, at timing) bool {
	req.Method = http.MethodGet
	if held.Total > 0 {
		part := httpcache.Part{First: held.Offset, Last: held.Offset + held.Size() - 1}
		fields["Content-Range"] = []string{httpcache.ContentRange(part, held.Total)}
	}
	kept := p.keepAs(x, req, fill, held.Status, fields, at)
	if kept == nil {
		return false
	}
	kept.bringCookies(held)
	kept.flight = flight
	kept.entry.Chunks, kept.entry.Offset, kept.entry.Total = held.Chunks, held.Offset, held.Total
	kept.store(held.Body)
	return true
}
