package proxy

import (
	"context"
	"net/http"
	"time"

	"sidecar/internal/reason"
	"sidecar/policy"
)

// A Live is an explanation by a running sidecar: by its policies and secrets, with the entry that
// it has for the request.
type Live struct {
	policy.Explanation
	Stored *Stored `json:"stored,omitempty"` // nil unless the request reads a cached route
}

// Stored tells of the entry under a request's key.
type Stored struct {
	// State is fresh, stale, invalidated, none, or unknown where the store could not be asked.
	State  string        `json:"state"`
	Why    *policy.Why   `json:"why,omitempty"`
	In     reason.Reason `json:"in,omitempty"` // memory or redis
	Status int           `json:"status,omitempty"`
	Bytes  int64         `json:"bytes,omitempty"` // of the body
	Age    string        `json:"age,omitempty"`
	TTL    string        `json:"ttl,omitempty"` // the rest of the lifetime; negative if it is stale
	Vary   []string      `json:"vary,omitempty"`
}

// Explain explains a request, and asks the store as the request would. ok is false for a request
// that is refused before it is planned. It sends nothing to the backend and stores nothing.
func (p *Proxy) Explain(ctx context.Context, r *http.Request, body []byte) (e Live, ok bool) {
	x := &exchange{
		r: r, ctx: ctx, table: p.Table(), budget: p.Redis.Budget(p.RedisTimeout),
	}
	x.out.Start = time.Now()
	if p.plan(x) != "" {
		return e, false
	}
	e.Explanation = x.table.Explain(policy.Request{Request: x.req, Body: body, Now: x.out.Start})
	if x.plan.Kind == policy.Read {
		e.Stored = p.explainStored(ctx, x)
	}
	return e, true
}

func (p *Proxy) explainStored(ctx context.Context, x *exchange) *Stored {
	found := p.Store.Lookup(ctx, x.budget, x.query())
	e := found.Any()
	if found.Bypass != "" || e == nil {
		s := &Stored{State: "none", Why: policy.Because(found.Why)}
		if found.Bypass != "" {
			s.State, s.Why = "unknown", policy.Because(found.Bypass)
		}
		return s
	}
	decision := x.evaluate(e)
	s := &Stored{
		State: "fresh", In: reason.InRedis, Status: e.Status, Bytes: e.Size(),
		Age: seconds(decision.Age), TTL: seconds(decision.TTL),
		Vary: e.Values("Vary"),
	}
	if found.Memory {
		s.In = reason.InMemory
	}
	switch {
	case found.Entry == nil:
		s.State, s.Why = "invalidated", policy.Because(found.Why)
	case !decision.Serve || decision.Refresh:
		s.State, s.Why = "stale", policy.Because(decision.Why)
	}
	return s
}

func seconds(d time.Duration) string { return d.Truncate(time.Second).String() }
