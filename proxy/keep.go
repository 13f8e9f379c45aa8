package proxy

import (
	"io"
	"net/http"
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/policy"
)

// A keeping is an answer that is being stored as it passes.
type keeping struct {
	proxy  *Proxy
	x      *exchange
	fill   *store.Fill
	entry  *entry.Entry
	retain time.Duration          // beyond its lifetime
	given  []cachekeys.Tag        // what the answer's own fields name it
	part   httpfield.ContentRange // of an answer that is a part; zero for a whole one
	flight *store.Flight          // those who wait for the answer; nil: nobody

	spilling *spilling // the pump's; nil: the body is taken in hand
}

// timing is when a backend request was sent and when its answer's head came (RFC 9111 §4.2.3).
type timing struct{ sent, came time.Time }

// keep decides whether the answer may be stored, and returns what stores it; nil if it may not.
func (p *Proxy) keep(x *exchange, req httpfield.Request, fill *store.Fill, resp *http.Response, at timing) *keeping {
	if fill == nil {
		return nil
	}
	why := reason.Reason("")
	switch {
	case backend.Suspect(resp):
		why = reason.BadFraming
	case resp.ContentLength > x.plan.Read.Cache.MaxBody:
		why = reason.TooLarge
	case len(resp.Trailer) > 0:
		why = reason.Trailers
	default:
		return p.keepAs(x, req, fill, resp.StatusCode, resp.Header, at)
	}
	p.refused(x, why)
	return nil
}

// maxPart is how many bytes of a representation are stored as a part of it: one that lies in one record, and is held whole.
const maxPart = store.SpillAbove

// keepAs is keep for an answer with this status and these fields, whose content is or will be complete.
func (p *Proxy) keepAs(x *exchange, req httpfield.Request, fill *store.Fill, status int, fields http.Header, at timing) *keeping {
	read := x.plan.Read
	answer := httpcache.Response{Status: status, Fields: httpfield.Header(fields), RequestTime: at.sent, ResponseTime: at.came}
	decision := httpcache.Store(read.Rules, req, read.Requester, answer)
	why := decision.Why
	if decision.Store {
		var e *entry.Entry
		if e, why = newEntry(read, decision, answer); why == "" {
			x.out.Stored = true
			k := &keeping{proxy: p, x: x, fill: fill, entry: e, retain: decision.Retain, given: read.Given(answer.Fields)}
			k.part, _ = httpcache.PartOf(req, answer)
			if k.part.Total == 0 || k.part.Last-k.part.First < maxPart {
				return k
			}
			x.out.Stored, why = false, reason.TooLarge
		}
	}
	p.refused(x, why)
	return nil
}

// newEntry makes the entry of an answer that the rules allow to store, still without its body. It gives the reason why the
// policy, or the form of its fields, keeps it out.
func newEntry(read *policy.ReadPlan, decision httpcache.Storing, answer httpcache.Response) (*entry.Entry, reason.Reason) {
	fields := httpcache.StorableFields(read.Rules, answer.Fields, read.Cache.Strip)
	if answer.Status == http.StatusPartialContent { // what is stored of a part says where it lies, and each answer from it anew; it is soon another part
		delete(fields, "Content-Range")
		dropDigests(fields)
	}
	dropped, why := dropCookies(fields, read.Cache.SetCookie)
	if why != "" {
		return nil, why
	}
	e, err := entry.New(answer.Status, fields)
	if err != nil {
		return nil, reason.BadFraming
	}
	e.Vary, _ = httpcache.VaryNames(answer.Fields)
	e.Cookies = dropped
	e.ResponseTime, e.InitialAge = answer.ResponseTime, decision.InitialAge
	e.Lifetime, e.Until = decision.Lifetime, end(read, answer.ResponseTime)
	if !e.Until.IsZero() {
		e.Lifetime = min(e.Lifetime, e.InitialAge+e.Until.Sub(answer.ResponseTime))
	}
	return e, ""
}

// end is when nothing of an answer may be used any more: nothing outlives the caller's token, or max_age where the credentials cannot be verified. Zero if
// there is no such end.
func end(read *policy.ReadPlan, now time.Time) (t time.Time) {
	if read.MaxLife > 0 {
		t = now.Add(read.MaxLife)
	}
	if !read.NotAfter.IsZero() && (t.IsZero() || read.NotAfter.Before(t)) {
		t = read.NotAfter
	}
	return t
}

// dropCookies treats Set-Cookie as the policy says: it gives the reason why the answer is refused, or takes out the
// cookies that are not stored and returns their names.
func dropCookies(fields http.Header, rule policy.SetCookie) (dropped []string, why reason.Reason) {
	if rule.Store {
		return nil, ""
	}
	for _, line := range fields["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil || !slices.Contains(rule.Drop, cookie.Name) {
			return nil, reason.SetCookie
		}
		if !slices.Contains(dropped, cookie.Name) {
			dropped = append(dropped, cookie.Name)
		}
	}
	delete(fields, "Set-Cookie")
	return dropped, ""
}

// bringCookies adds the cookies that were dropped from what is stored, and of which something is kept.
func (k *keeping) bringCookies(held *entry.Entry) {
	for _, name := range held.Cookies {
		if !slices.Contains(k.entry.Cookies, name) {
			k.entry.Cookies = append(slices.Clip(k.entry.Cookies), name)
		}
	}
}

// How long others wait for a body: for its next piece, and for its end. Then each asks the backend for itself.
const (
	bodyStall = 2 * time.Second
	bodyTime  = 10 * time.Second
)

// follow takes the body in hand, and puts what the client is to read in its place.
func (k *keeping) follow(resp *http.Response) io.Closer {
	end := time.Now().Add(bodyTime)
	stalled := time.AfterFunc(bodyStall, func() {
		k.flight.Land(store.Landing{})
		k.fill.Abandon()
	})
	length := resp.ContentLength
	if resp.ProtoMajor != 1 {
		length = -1 // trailers may follow though the content is complete
	}
	limit := k.x.plan.Read.Cache.MaxBody
	if k.part.Total > 0 {
		limit = min(limit, maxPart)
	}
	t := newTail(resp.Body, length, limit, func() { stalled.Reset(min(bodyStall, time.Until(end))) })
	if !k.x.plan.Read.NamesFromBody() && k.part.Total == 0 { // else it is needed whole
		backend := resp.Body
		t.spillAbove(store.SpillAbove, func(content []byte, err error) (io.ReadCloser, reason.Reason) {
			return k.spill(resp, backend, content, err)
		})
	}
	resp.Body = t
	go func() { // ends with the body, which ends with the flight's context or with that of the one client
		why := t.pump(func(content []byte) {
			if len(resp.Trailer) > 0 { // nobody announced them
				k.drop(reason.Trailers)
				return
			}
			k.storePassed(content)
		})
		stalled.Stop()
		if why != "" {
			k.drop(why)
		}
		k.spilling.run()
	}()
	return t
}

// drop gives up an answer that was to be kept.
func (k *keeping) drop(why reason.Reason) {
	if why != reason.Incomplete { // it will be too large again
		k.fill.Alone()
	}
	k.fill.Abandon()
	k.flight.Land(store.Landing{})
	k.proxy.Metrics.NotStored(why)
}

// storePassed stores what has passed, if it is as long as it said.
func (k *keeping) storePassed(content []byte) {
	if k.part.Total > 0 {
		if int64(len(content)) != k.part.Last-k.part.First+1 {
			k.drop(reason.Incomplete)
			return
		}
		content = k.join(content)
	}
	k.store(content)
}

// store hands the complete answer over, to be stored behind it, and to those who wait.
func (k *keeping) store(content []byte) {
	k.entry.Body = content
	read := k.x.plan.Read
	var body *policy.Body
	if k.entry.Total == 0 { // the whole
		body = policy.NewBody(content, k.entry)
	}
	k.fill.Keep(k.entry, k.retain,
		func() ([]cachekeys.Tag, reason.Reason) {
			names, why := read.Names(body)
			return append(names, k.given...), why
		},
		k.kept)
	switch {
	case len(k.given) > 0 && !k.fill.Guards(cachekeys.Guard("")):
		k.flight.Land(store.Landing{}) // those who wait have not proved that nothing was written to what it names
		return
	case k.entry.Fresh(time.Now()) <= 0:
		k.fill.Alone()
		k.flight.Land(store.Landing{}) // each has to ask for itself
		return
	}
	k.flight.Land(store.Landing{Entry: k.entry})
}

// kept counts an answer that was stored, or was to be and is not for this reason.
func (k *keeping) kept(why reason.Reason) {
	if why == "" {
		k.proxy.Metrics.Stored(k.x.plan.Route)
	} else {
		k.proxy.Metrics.NotStored(why)
	}
}

// refused counts an answer that is not stored, and why.
func (p *Proxy) refused(x *exchange, why reason.Reason) {
	x.out.NotStored = why
	p.Metrics.NotStored(why)
}
