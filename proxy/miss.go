package proxy

import (
	"context"
	"net/http"
	"slices"
	"time"

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
	joins     bool          // it may have the answer that another request fetches
	fill      *store.Fill   // nil: nothing of the answer can be stored or shared
	asked     bool          // the backend: the outcome is its own
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
	// a response that has to be validated at every use is of no use to others
	m.joins = get && x.out.Reason != reason.NoCache && x.plan.Read.Demand.Joins(m.lifetime())
	// The guard of names that only fields of answers give: where none has named anything yet, it
	// forbids nothing until one does.
	guards, unseen := x.plan.Read.Guards, []cachekeys.Tag{cachekeys.Guard("")}
	if slices.ContainsFunc(found.Names, cachekeys.Tag.IsSurrogate) {
		guards, unseen = slices.Concat(guards, unseen), nil
	}
	fill, err := p.Store.Begin(x.ctx, x.budget, store.Opening{
		Query: m.query, Names: found.Names, Guards: guards, Unseen: unseen, Shared: m.joins,
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

// lifetime is how long the answer is expected to live: as long as the stored one, or as the policy
// says; 0 if neither tells.
func (m *miss) lifetime() time.Duration {
	if m.candidate.entry != nil {
		return m.candidate.entry.Lifetime
	}
	return m.x.plan.Read.Cache.Rules.TTL
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
// one. shared is false where this request has to fetch for itself, or for all. Where the fetch of
// another one fails, a stale response may be served in its place; else this request waits on.
func (m *miss) join() (o outcome, shared bool) {
	ctx := m.x.ctx
	if !m.fill.Join(ctx) {
		return o, false
	}
	context.AfterFunc(ctx, m.fill.Leave) // ctx ends with the handler at the latest
	for {
		switch result, event := m.fill.Wait(ctx, m.x.budget); event {
		case store.ClientLeft:
			panic(http.ErrAbortHandler) // nobody is there to read an answer
		case store.ToFetch:
			return o, false
		case store.LeaderFailed:
			o = m.failed(outcome{err: result.Err, failure: result.Failed})
			if o.stale != nil {
				return o, true
			}
		case store.Answered:
			return m.collapsed(result.Entry)
		}
	}
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

// settle tells the waiting requests about an outcome that is not stored. They get nothing of a
// failure, or of a response that another request or the store has given. Otherwise each fetches for
// itself.
func (m *miss) settle(o outcome) {
	switch {
	case !m.asked, m.context().Err() != nil:
		m.fill.Yield()
	case o.failure != store.NotFailed:
		m.fill.Fail(store.Result{Failed: o.failure, Err: o.err})
	default:
		m.fill.Complete(store.Result{})
	}
}

// share gives the complete answer to those who wait for it.
func (m *miss) share(e *entry.Entry) { m.fill.Complete(store.Result{Entry: e}) }

// unshareable lets those go who wait, for the answer is of no use to them, and remembers that.
func (m *miss) unshareable() {
	if m.joins {
		m.fill.Unshareable()
	}
	m.fill.Complete(store.Result{})
}

// giveUp says that nothing of the answer is kept. Those who wait fetch one at a time if it ended
// early; else, as the next one would be like it, each for itself.
func (m *miss) giveUp(why reason.Reason) {
	m.fill.GiveUp()
	if why == reason.Incomplete {
		m.fill.Fail(store.Result{})
	} else {
		m.unshareable()
	}
}

// context is that of the backend request: it lasts while somebody waits for the answer.
func (m *miss) context() context.Context {
	if m.fill.Leads() {
		return m.fill.Context()
	}
	return m.x.ctx
}

// chunks begins to store a body in chunks; nil where that cannot be.
func (m *miss) chunks(e *entry.Entry, content []byte) *store.ChunkWriter {
	return m.fill.NewChunkWriter(e, content, m.proxy.RedisTimeout)
}

// A usable is a stored response that may be sent.
type usable struct {
	reply reply
	use   httpcache.Reuse
}
