package proxy

import (
	"context"
	"net/http"
	"slices"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
)

// A miss is a read that no stored response answers as it stands. It is the one owner of all that
// comes of it: the candidate, and the fill, under which the answer may be stored and shared with
// those who wait for the same. Its end is that of the fill, which happens exactly once, in run;
// or, where a body is still being taken in hand, in the goroutine to which handOver gave it.
type miss struct {
	proxy     *Proxy
	x         *exchange
	query     store.Query
	candidate candidate
	fill      *store.Fill   // nil: nothing of the answer can be stored or shared
	outlives  bool          // the end is another goroutine's: see handOver
	answered  chan struct{} // closed when run returns
}

// begin opens the tokens of a fill. There is none where nothing can be kept: for a HEAD without a
// stored response to update, while a write to one of its tags is under way, and while Redis is
// away.
func (p *Proxy) begin(x *exchange, found store.Found, c candidate) *miss {
	m := &miss{proxy: p, x: x, query: found.Query, candidate: c}
	get := x.req.Method == http.MethodGet
	if !get && c.entry == nil {
		return m
	}
	// The guard of names that only fields of answers give: where none has named anything yet, it
	// forbids nothing until one does.
	guards, unseen := x.plan.Read.Guards, []cachekeys.Tag{cachekeys.Guard("")}
	if slices.ContainsFunc(found.Names, cachekeys.Tag.IsGiven) {
		guards, unseen = slices.Concat(guards, unseen), nil
	}
	fill, err := p.Store.Begin(x.r.Context(), x.budget, store.Opening{
		Query: m.query, Names: found.Names, Guards: guards, Unseen: unseen,
		Shared: get && mayShare(x.out.Reason) && !x.plan.Read.Demand.Range,
	})
	switch {
	case err != nil:
		x.out.Detail = redisconn.Reason(err)
	case !fill.Storable():
		p.refused(x, reason.TagClosed)
	default:
		m.fill, m.candidate.dead = fill, !fill.Holds(found)
	}
	return m
}

// mayShare reports whether a request that missed for this reason may have the answer that another
// one fetches: not if it wants an answer of its own.
func mayShare(why reason.Reason) bool {
	switch why {
	case reason.Miss, reason.VaryMiss, reason.Stale, reason.Invalidated, reason.Undecodable, reason.BodyLost:
		return true
	}
	return false
}

// run answers the request: with the answer that another one fetches, or with its own.
func (m *miss) run() {
	m.answered = make(chan struct{})
	defer close(m.answered)
	defer func() {
		if !m.outlives {
			m.fill.End()
		}
	}()
	defer m.fill.Leave()
	o, shared := m.join()
	if !shared {
		o = m.ask()
	}
	m.answer(o)
}

// handOver lets work outlive the handler. The fill ends when both are done: a body that is not
// stored any more, since it is too large or Redis is slow, still comes from the fill's backend
// request to the client.
func (m *miss) handOver(work func()) {
	m.outlives = true
	go func() { // ends with work
		defer m.fill.End()
		defer logPanic("taking an answer in hand")
		work()
		<-m.answered
	}()
}

// join looks for the answer of another request that misses the same: of this process, or of another
// one. shared is false where this request has to fetch for itself, or for all.
func (m *miss) join() (o outcome, shared bool) {
	ctx := m.x.r.Context()
	if !m.fill.Join(ctx) {
		return o, false
	}
	context.AfterFunc(ctx, m.fill.Leave) // ctx ends with the handler at the latest
	result, ok := m.fill.Wait(ctx, m.x.budget)
	switch {
	case !ok && m.fill.Leads():
		return o, false
	case !ok:
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	}
	o = m.failed(outcome{err: result.Err, failure: result.Failed})
	if o.stale != nil || o.err != nil {
		return o, true
	}
	if result.Entry == nil {
		return outcome{}, false
	}
	return m.collapsed(result.Entry)
}

// collapsed is the outcome of an answer that another request fetched. shared is false where the
// rules do not allow it to this request, or its body is lost.
func (m *miss) collapsed(e *entry.Entry) (o outcome, shared bool) {
	d := m.x.evaluate(e)
	if !d.Serve {
		return outcome{}, false
	}
	r, lost := m.proxy.open(m.x, e, d.Reply)
	return outcome{shared: &usable{r, d.Reuse}}, lost == ""
}

// context is that of the backend request: it lasts while somebody waits for the answer.
func (m *miss) context() context.Context {
	if m.fill.Leads() {
		return m.fill.Context()
	}
	return m.x.r.Context()
}

// chunks begins to store a body in pieces; nil where that cannot be.
func (m *miss) chunks(e *entry.Entry, content []byte) *store.ChunkWriter {
	return m.fill.NewChunkWriter(e, content, m.proxy.RedisTimeout)
}

// A usable is a stored response that may be sent.
type usable struct {
	reply reply
	use   httpcache.Reuse
}
