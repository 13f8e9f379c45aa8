package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// maxRefreshes is how many refreshes a process has under way. One more is left to the next request.
const maxRefreshes = 64

// refreshes are the fetches that nobody waits for: of what was served stale meanwhile (RFC 5861 §3). The zero value has none.
type refreshes struct {
	mu      sync.Mutex
	keys    map[cachekeys.Digest]context.CancelFunc
	closed  bool
	running sync.WaitGroup
}

// begin begins the refresh of a key, unless there is one, or there are too many. Its context ends with close; over is to be called in the end.
func (r *refreshes) begin(key cachekeys.Digest, parent context.Context) (ctx context.Context, over func(), ok bool) {
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

// Close ends the refreshes under way, and begins none any more. Call it when no more requests are served.
func (p *Proxy) Close() { p.refreshes.close() }

// refresh fetches anew what x was answered with, behind that answer: what lies under key. It is a fill like any other.
func (p *Proxy) refresh(x *exchange, req httpfield.Request, query store.Query, key cachekeys.Digest) {
	ctx, over, ok := p.refreshes.begin(key, x.r.Context())
	if !ok {
		return
	}
	r := x.r.Clone(ctx)
	r.Method = http.MethodGet
	for _, name := range []string{"Range", "If-Range"} {
		delete(r.Header, name)
	}
	req.Method, req.Fields = http.MethodGet, httpfield.Header(r.Header)
	query.Fields = req.Fields
	own := &exchange{w: &recorder{ResponseWriter: nowhere{}}, r: r, plan: x.plan, table: x.table, budget: p.Redis.Budget(p.RedisTimeout)}
	own.out = telemetry.Outcome{Start: time.Now(), Method: r.Method, Route: x.out.Route, Result: telemetry.ResultMiss, Reason: reason.Stale}
	go func() { // ends with the backend's answer or its time-out, or with Close, which waits for it
		defer over()
		defer func() {
			if v := recover(); v != nil && v != http.ErrAbortHandler {
				slog.Error("a refresh panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			}
		}()
		p.fetchStale(own, req, query)
	}()
}

// fetchStale looks once more, for another refresh may have ended since, here or in another process, and fetches what is stale still.
func (p *Proxy) fetchStale(x *exchange, req httpfield.Request, query store.Query) {
	found := p.Store.Lookup(x.r.Context(), x.budget, query)
	if found.Entry == nil || found.Entry.Fresh(time.Now()) > 0 {
		return
	}
	x.earlier = earlierOf(req, found)
	if fill := p.begin(x, req, found.Query, found); fill != nil {
		p.collapsed(x, req, found.Query, fill)
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
