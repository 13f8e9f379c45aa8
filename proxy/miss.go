package proxy

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
)

// A miss is a read that no stored response answers as it stands. It is the one owner of all that
// comes of it: the candidate, the fill under which the answer may be stored, and the flight of those
// who wait for the same answer. Its end is settle, which happens exactly once, in run; or, where a
// body is still being taken in hand, in the goroutine to which handOver gave it.
//
// Only this file knows how answers are shared and by whom they are fetched.
type miss struct {
	proxy     *Proxy
	x         *exchange
	query     store.Query
	candidate candidate
	fill      *store.Fill   // nil: nothing of the answer can be stored
	flight    *store.Flight // that this request leads; nil: nobody waits for its answer
	leave     func()        // ends the membership of a flight; nil: it has none
	outlives  bool          // the end is another goroutine's: see handOver

	mu       sync.Mutex
	decided  bool // the answer is kept, or given up: never one after the other
	kept     bool
	released bool // nobody waits any more, neither here nor in another process
}

// begin opens the tokens of a fill. There is none where nothing can be kept: for a HEAD without a
// stored response to update, while a write to one of its tags is under way, and while Redis is away.
func (p *Proxy) begin(x *exchange, found store.Found, c candidate) *miss {
	m := &miss{proxy: p, x: x, query: found.Query, candidate: c}
	get := x.req.Method == http.MethodGet
	if !get && c.entry == nil {
		return m
	}
	// The guard of names that only fields of answers give: where none has named anything yet, it
	// forbids nothing until one does.
	guards, loose := x.plan.Read.Guards, []cachekeys.Tag{cachekeys.Guard("")}
	if slices.ContainsFunc(found.Names, cachekeys.Tag.IsGiven) {
		guards, loose = slices.Concat(guards, loose), nil
	}
	shared := get && mayShare(x.out.Reason) && !x.plan.Read.Demand.Range
	fill, err := p.Store.Begin(x.r.Context(), x.budget, m.query, found.Names, guards, loose, shared)
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
	defer func() {
		if !m.outlives {
			m.settle()
		}
		if m.leave != nil {
			m.leave()
		}
	}()
	o, shared := m.join()
	if !shared {
		o = m.ask()
	}
	m.answer(o)
}

// settle is the end: what is not kept by now never is, and nobody waits for it any more.
func (m *miss) settle() {
	m.giveUp()
	m.release(store.Landing{})
}

// handOver lets work outlive the handler. The end of m is then the end of work.
func (m *miss) handOver(work func()) {
	m.outlives = true
	go func() { // ends with work
		defer m.settle()
		defer logPanic("taking an answer in hand")
		work()
	}()
}

// join looks for the answer of another request that misses the same: of this process, or of another
// one. shared is false where this request has to fetch for itself, or for all.
func (m *miss) join() (o outcome, shared bool) {
	if m.fill == nil {
		return o, false
	}
	ctx := m.x.r.Context()
	flight, lead, leave := m.fill.Join(ctx)
	if flight == nil {
		return o, false
	}
	stop := context.AfterFunc(ctx, leave)
	m.leave = func() { stop(); leave() }
	if lead {
		m.flight = flight
		return m.awaitProcess()
	}
	return m.awaitFlight(flight)
}

// awaitProcess waits, for all members of the flight, while another process fetches.
func (m *miss) awaitProcess() (o outcome, shared bool) {
	if !m.fill.Waits() {
		return o, false
	}
	found := m.fill.Await(m.flight)
	if found.Entry == nil || found.Entry.Fresh(time.Now()) <= 0 { // what is stale was there before
		return o, false
	}
	m.release(store.Landing{Again: true})
	return m.collapsed(found.Entry)
}

// awaitFlight waits for the answer of another request of this process.
func (m *miss) awaitFlight(flight *store.Flight) (o outcome, shared bool) {
	landing, ok := flight.Wait(m.x.r.Context())
	if !ok {
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	}
	o = m.failed(outcome{err: landing.Err, failure: landing.Failed})
	if o.stale != nil || o.err != nil {
		return o, true
	}
	if landing.Entry != nil && m.fill.Shares(flight, landing.Entry) {
		return m.collapsed(landing.Entry)
	}
	if landing.Again {
		if found := m.proxy.Store.Lookup(m.x.r.Context(), m.x.budget, m.query); found.Entry != nil {
			return m.collapsed(found.Entry)
		}
	}
	return outcome{}, false
}

// collapsed is the outcome of an answer that another request fetched. shared is false where the rules
// do not allow it to this request, or its body is lost.
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
	if m.flight != nil {
		return m.flight.Context()
	}
	return m.x.r.Context()
}

// hold keeps the lease, where there is one, for as long as the backend request takes.
func (m *miss) hold() {
	if m.fill != nil {
		m.fill.Hold()
	}
}

// keep stores an entry behind the answer; done is told how that ended. Those who wait get the entry
// if it may be shared. It does nothing where the answer was given up.
func (m *miss) keep(e *entry.Entry, retain time.Duration, names store.Names, done func(reason.Reason)) {
	m.mu.Lock()
	keeps := !m.decided
	m.decided, m.kept = true, m.kept || keeps
	m.mu.Unlock()
	if keeps {
		m.fill.Keep(e, retain, names, done)
	}
}

// giveUp says that nothing is kept, unless something is already.
func (m *miss) giveUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.decided = true
}

// release lets those go who wait for the answer, here and in other processes. The first call counts.
func (m *miss) release(l store.Landing) {
	m.mu.Lock()
	first, kept := !m.released, m.kept
	m.released = true
	m.mu.Unlock()
	if !first {
		return
	}
	if m.flight != nil {
		m.flight.Land(l)
	}
	if m.fill != nil && !kept { // else the store gives the lease back, when others find the entry
		m.fill.Abandon()
	}
}

// unshareable remembers that answers under the key are not shared, so that those who miss it next do
// not wait for one another in vain.
func (m *miss) unshareable() {
	if m.fill != nil {
		m.fill.Alone()
	}
}

// provesGuard reports whether those who wait have proved that nothing was written under the guard.
func (m *miss) provesGuard(guard cachekeys.Tag) bool { return m.fill.Guards(guard) }

// chunks begins to store a body in pieces; nil where that cannot be.
func (m *miss) chunks(e *entry.Entry, content []byte) *store.Spill {
	return m.fill.Spill(e, content, m.proxy.RedisTimeout)
}

// A usable is a stored response that may be sent.
type usable struct {
	reply reply
	use   httpcache.Reuse
}
