package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
	"sidecar/internal/tracing"
)

// maxRefreshes is how many refreshes a process has under way. One more is left to the next request.
const maxRefreshes = 64

// refreshes are the fetches behind answers that were served stale (RFC 5861 §3). Nobody waits for
// them. The zero value has none.
type refreshes struct {
	mu      sync.Mutex
	keys    map[cachekeys.Digest]context.CancelFunc
	closed  bool
	running sync.WaitGroup
}

// begin begins the refresh of a key, unless there is one, or there are too many. Its context ends
// with close; over is to be called in the end.
func (r *refreshes) begin(key cachekeys.Digest, parent context.Context) (
	ctx context.Context, over func(), ok bool,
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, found := r.keys[key]; found || r.closed || len(r.keys) >= maxRefreshes {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	if r.keys == nil {
		r.keys = map[cachekeys.Digest]context.CancelFunc{}
	}
	r.keys[key] = cancel
	r.running.Add(1)
	return ctx, func() {
		defer r.running.Done()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.keys, key)
		cancel()
	}, true
}

func (r *refreshes) close() {
	r.mu.Lock()
	r.closed = true
	for _, cancel := range r.keys {
		cancel()
	}
	r.mu.Unlock()
	r.running.Wait()
}

// Close ends the refreshes and the comparisons under way, and begins none any more. Call it when no
// more requests are served.
func (p *Proxy) Close() {
	p.refreshes.close()
	p.comparisons.close()
}

// refresh fetches e, the entry under key, anew behind the answer to x. It is a miss like any other.
func (p *Proxy) refresh(x *exchange, key cachekeys.Digest, e *entry.Entry) {
	ctx, over, ok := p.refreshes.begin(key, x.ctx)
	if !ok {
		return
	}
	// The backend has as long to end its answer as it has to begin it: no client that leaves ends
	// one that is silent, or a stream.
	ctx, late := context.WithTimeout(ctx, 2*p.Backend.Timeout())
	span := x.behind("refresh")
	own := p.refreshing(tracing.With(ctx, span), x, e)
	own.budget, own.span = p.Redis.Budget(p.RedisTimeout), span
	go func() { // ends with the backend's answer or ctx, or with Close, which waits for it
		defer over()
		defer late()
		defer func() { span.End(time.Now()) }()
		defer logPanic("a refresh")
		p.fetchStale(own)
	}()
}

// wishes are the fields by which a client instructs a cache, or sets conditions. A refresh is the
// sidecar's own request, and has none of them.
var wishes = []string{
	"Cache-Control", "Pragma", "Range", "If-Range",
	"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since",
}

// refreshing is the exchange of a refresh of e: the request as a GET for the whole, without the
// client's wishes, answered to nobody. A field that selects e stays, and counts as no wish.
func (p *Proxy) refreshing(ctx context.Context, x *exchange, e *entry.Entry) *exchange {
	r := x.r.Clone(ctx)
	r.Method = http.MethodGet
	unwished := r.Header.Clone()
	for _, name := range wishes {
		delete(unwished, name)
		if !slices.Contains(e.Vary, name) && !slices.Contains(x.plan.Read.Cache.Vary, name) {
			delete(r.Header, name)
		}
	}
	plan, read := *x.plan, *x.plan.Read
	own := &exchange{
		w: recorder{ResponseWriter: nowhere{}}, r: r, ctx: ctx, req: x.req,
		sent: p.Backend.Fields(r),
		plan: &plan, table: x.table,
		out: telemetry.Outcome{
			Start: time.Now(), Method: r.Method, Route: x.out.Route,
			Result: telemetry.ResultMiss, Reason: reason.Stale,
		},
	}
	own.req.Method, own.req.Sent = r.Method, &own.sent
	own.req.Fields = httpfield.Header(unwished)
	read.Demand = httpcache.Read(read.Rules, own.req)
	plan.Read = &read
	return own
}

// fetchStale looks once more, for another refresh may have ended since, here or in another process,
// and fetches an entry that is still stale.
func (p *Proxy) fetchStale(x *exchange) {
	found := p.Store.Lookup(x.ctx, x.budget, x.query())
	if found.Entry == nil || found.Entry.Fresh(time.Now()) > 0 {
		return
	}
	if m := p.begin(x, found, candidateOf(found, fits(x, found.Entry))); m.fill != nil {
		m.run()
	}
}

// logPanic ends a panic that is no abort, and logs it. Defer it.
func logPanic(doing string) {
	if v := recover(); v != nil && v != http.ErrAbortHandler {
		slog.Error(doing+" panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
}

// nowhere is a ResponseWriter for an answer that nobody waits for.
type nowhere struct{}

// Header implements http.ResponseWriter.
func (nowhere) Header() http.Header { return http.Header{} }

// Write implements http.ResponseWriter.
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (nowhere) WriteHeader(int) {}

// Flush implements http.Flusher.
func (nowhere) Flush() {}
