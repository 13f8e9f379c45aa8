package proxy

import (
	"context"
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

// A capture is an answer that is being stored as it passes.
type capture struct {
	miss         *miss
	entry        *entry.Entry
	retain       time.Duration          // beyond its lifetime
	surrogate    []cachekeys.Tag        // the surrogate keys in its own fields
	contentRange httpfield.ContentRange // of an answer that is a part; zero for a whole one
	length       int64                  // of the content, where Content-Range tells; 0: it does not
	inHand       bool                   // the body: another goroutine closes it
	finder       *httpcache.Finder      // of cookies that are not in the key; nil: there are none

	// of the goroutine that takes the body in hand; nil: the body stays in memory
	chunks *chunkWriter
}

// maxPart is how many bytes of a representation are stored as a part of it: one that lies in one
// record, and is held whole.
const maxPart = store.MaxWhole

// store decides: the backend's answer is kept as it passes, by the capture; or it updates the
// stored response; or nothing is kept.
func (m *miss) store(o outcome) *capture {
	switch {
	case m.fill == nil, o.resp == nil, o.stale != nil:
		return nil
	case o.validated != nil:
		if !backend.Suspect(o.resp) {
			m.keepUpdated(o.validated.held, o.validated.fields, o.at)
		}
		return nil
	case m.x.req.Method == http.MethodHead:
		m.updateFromHEAD(o)
		return nil
	}
	c := m.capture(o)
	if c == nil && o.failure == store.NotFailed {
		m.unshareable()
	}
	return c
}

// capture returns the capture that stores the answer; nil if it may not be stored.
func (m *miss) capture(o outcome) *capture {
	why := reason.Reason("")
	switch resp := o.resp; {
	case backend.Suspect(resp):
		why = reason.BadFraming
	case resp.ContentLength > m.x.plan.Read.Cache.MaxBody:
		why = reason.TooLarge
	case len(resp.Trailer) > 0:
		why = reason.Trailers
	default:
		return m.captureAs(resp.StatusCode, resp.Header, o.at)
	}
	m.proxy.refused(m.x, why)
	return nil
}

// captureAs is capture for an answer to a GET with this status and these fields, whose content is
// or will be complete.
func (m *miss) captureAs(status int, fields http.Header, at backend.Timing) *capture {
	read := m.x.plan.Read
	demand := read.Demand.WithMethod(http.MethodGet)
	answer := httpcache.Response{Status: status, Fields: httpfield.Header(fields),
		RequestTime: at.Sent, ResponseTime: at.Came}
	decision := httpcache.Store(read.Rules, demand, read.Requester, answer)
	why := decision.Why
	if decision.Store {
		c := &capture{miss: m, retain: decision.Retain}
		c.contentRange, _ = httpcache.PartOf(demand, answer)
		part := c.contentRange
		whole := part.Total > 0 && part.First == 0 && part.Last == part.Total-1
		if whole {
			c.length, c.contentRange = part.Total, httpfield.ContentRange{}
		}
		if c.contentRange.Last-c.contentRange.First >= maxPart {
			why = reason.TooLarge
		} else if c.entry, why = newEntry(read, decision, answer); why == "" {
			if whole { // «bytes=0-»: it is stored as the answer without a range would be
				c.entry.Status = http.StatusOK
			}
			c.finder = finderFor(read, c.entry, answer.Fields)
			switch {
			case c.finder.InFields(c.entry):
				why = reason.RepeatsCookie
			case m.candidate.yields(c.entry):
				m.x.out.Stored, c.surrogate = true, read.Surrogates(answer.Fields)
				return c
			default:
				why = reason.FreshSuccess
			}
		}
	}
	m.proxy.refused(m.x, why)
	return nil
}

// newEntry makes the entry of an answer that the rules allow to store, still without its body.
// why is the reason for which the policy, or the form of its fields, keeps it out.
func newEntry(read *policy.ReadPlan, decision httpcache.Storing,
	answer httpcache.Response) (*entry.Entry, reason.Reason) {
	fields := httpcache.StorableFields(read.Rules, answer.Fields, read.Cache.Strip)
	// the entry says where a part lies, and each answer from it anew
	if answer.Status == http.StatusPartialContent {
		delete(fields, "Content-Range")
		httpcache.DropDigests(fields)
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
	until := read.Until(answer.ResponseTime)
	e.ResponseTime, e.InitialAge = entry.At(answer.ResponseTime), decision.InitialAge
	e.Lifetime, e.Until = decision.Lifetime, entry.At(until)
	if !until.IsZero() {
		e.Lifetime = min(e.Lifetime, e.InitialAge+until.Sub(answer.ResponseTime))
	}
	return e, ""
}

// dropCookies treats Set-Cookie as the policy says: it takes out the cookies that are not stored
// and returns their names, or the reason why the answer is not stored.
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

// bringCookies adds the names of the cookies that were dropped from a stored response that is kept
// in part.
func (c *capture) bringCookies(held *entry.Entry) {
	for _, name := range held.Cookies {
		if !slices.Contains(c.entry.Cookies, name) {
			c.entry.Cookies = append(slices.Clip(c.entry.Cookies), name)
		}
	}
}

// relay sends the answer to the client while its body is taken in hand.
func (c *capture) relay(o outcome) {
	p, x, resp := c.miss.proxy, c.miss.x, o.resp
	head := *resp
	head.Trailer = nil // none is announced; net/http writes there when the body ends
	body := c.takeBody(resp)
	defer body.Close()
	defer context.AfterFunc(x.ctx, func() { _ = body.Close() })()
	if c.miss.notModified(o) {
		// The client has it whole, and does not wait for the rest, which is stored.
		p.answerUnchanged(x, resp)
		_ = http.NewResponseController(&x.w).Flush()
		defer time.AfterFunc(bodyTime, func() { _ = resp.Body.Close() }).Stop()
		_, _ = io.Copy(io.Discard, resp.Body)
		return
	}
	p.head(x, &head)
	abort(x.relay(resp, nil))
}

// How long others wait for a body that has begun: for its next bytes, and for its end. Then the
// next one asks the backend.
const (
	bodyStall = 2 * time.Second
	bodyTime  = 10 * time.Second
)

// takeBody takes the body in hand, and puts the client's reader in its place.
func (c *capture) takeBody(resp *http.Response) io.Closer {
	end := time.Now().Add(bodyTime)
	c.miss.fill.Begin()
	stalled := time.AfterFunc(bodyStall, c.miss.fill.Yield)
	read := c.miss.x.plan.Read
	length, limit := resp.ContentLength, read.Cache.MaxBody
	if resp.ProtoMajor != 1 {
		length = -1 // trailers may follow though the content is complete
	}
	if c.contentRange.Total > 0 {
		limit = min(limit, maxPart)
	}
	b := newBuffer(&c.miss.proxy.inHand, resp.Body, length, limit, func() {
		stalled.Reset(min(bodyStall, time.Until(end)))
	})
	b.client = c.miss.x.sent.Client()
	if !read.NamesFromBody() && c.contentRange.Total == 0 { // else it is needed whole
		body := resp.Body
		b.overflowAbove(store.MaxWhole,
			func(content []byte, err error) (io.ReadCloser, reason.Reason) {
				return c.toChunks(resp, body, content, err)
			})
	}
	resp.Body, c.inHand = b, true
	// ends with the body, which ends with the flight's context or with that of the one client
	c.miss.handOver(func() {
		defer stalled.Stop()
		why := b.fill(func(content []byte) {
			if len(resp.Trailer) > 0 { // nobody announced them
				c.drop(reason.Trailers)
				return
			}
			c.storePassed(content)
		})
		stalled.Stop()
		if why != "" {
			c.drop(why)
		}
		c.chunks.run()
	})
	return b
}

// drop gives up an answer that was to be kept.
func (c *capture) drop(why reason.Reason) {
	c.miss.giveUp(why)
	c.kept(why)
}

// storePassed stores the content that has passed, if its length is the announced one.
func (c *capture) storePassed(content []byte) {
	length := c.length
	if c.contentRange.Total > 0 {
		length = c.contentRange.Last - c.contentRange.First + 1
	}
	if length > 0 && int64(len(content)) != length {
		c.drop(reason.Incomplete)
		return
	}
	if c.contentRange.Total > 0 {
		content = c.join(content)
	}
	c.store(content)
}

// store hands the complete answer over, to be stored behind it, and to those who wait.
func (c *capture) store(content []byte) {
	if why := c.repeats(content); why != "" {
		c.drop(why)
		return
	}
	m, e := c.miss, c.entry
	e.Body = content
	read := m.x.plan.Read
	var body *policy.Body
	if e.Total == 0 { // the whole
		body = policy.NewBody(content, e)
	}
	m.fill.Keep(e, c.retain, func() ([]cachekeys.Tag, reason.Reason) {
		names, why := read.Names(body)
		return append(names, c.surrogate...), why
	}, c.kept)
	switch {
	case len(c.surrogate) > 0 && !m.fill.Guards(cachekeys.Guard("")):
		m.fill.Complete(store.Result{}) // this once: it has just been learnt that it names tags
	case e.Fresh(time.Now()) <= 0:
		m.unshareable()
	default:
		m.share(e)
	}
}

// kept counts an answer that was stored, or was to be and is not for this reason.
func (c *capture) kept(why reason.Reason) {
	if why == "" {
		c.miss.proxy.Metrics.Stored(c.miss.x.plan.Route)
	} else {
		c.miss.proxy.Metrics.NotStored(c.miss.x.plan.Route, why)
	}
}

// refused counts an answer that is not stored, and why.
func (p *Proxy) refused(x *exchange, why reason.Reason) {
	x.out.NotStored = why
	p.Metrics.NotStored(x.plan.Route, why)
}
