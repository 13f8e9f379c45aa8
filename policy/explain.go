package policy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/internal/caller"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/policy/pattern"
)

// An Explanation tells the way of a request, and why. It is made of the request's plan and of the
// decisions that serve it, and holds no credential and no digest of one.
type Explanation struct {
	Method string `json:"method"`
	Target string `json:"target"`
	// Does is one of cache, bypass, write, job, deny, refuse.
	Does   string       `json:"does"`
	Route  *RouteMatch  `json:"route,omitempty"`
	Reason *Why         `json:"reason,omitempty"`
	Caller string       `json:"caller"`
	Near   []RouteMatch `json:"near,omitempty"` // other routes, and why they do not apply
	Read   *ReadAnswer  `json:"cache,omitempty"`
	Write  *WriteAnswer `json:"write,omitempty"`
	Job    *JobAnswer   `json:"job,omitempty"`
	Notes  []string     `json:"notes,omitempty"`
}

// redactor takes credentials out of texts.
type redactor = caller.Redactor

// A RouteMatch is a route by one of its patterns.
type RouteMatch struct {
	Name    string `json:"name"`
	Line    int    `json:"line"` // in the policies file
	Pattern string `json:"pattern"`
	Kind    string `json:"kind"`
	// But is why it does not apply; "" if it does.
	But string `json:"but,omitempty"`
}

// A Why is a reason in words.
type Why struct {
	Reason   reason.Reason `json:"reason"`
	Template string        `json:"template,omitempty"` // that could not be filled
	Says     string        `json:"says"`
	Remedy   string        `json:"remedy,omitempty"`
}

// Because is a reason in words.
func Because(why reason.Reason) *Why {
	m, _ := why.Meaning()
	return &Why{Reason: why, Says: m.Says, Remedy: m.Remedy}
}

// A Request is a request to explain.
type Request struct {
	httpfield.Request
	Body []byte
	Now  time.Time
}

// Explain explains a request by the plan that would serve it.
func (t *Table) Explain(r Request) Explanation {
	plan := t.Plan(r.Request, r.Now)
	hide := t.identifier.Redactor(r.Request, plan.Caller)
	e := Explanation{Method: r.Method, Target: r.Path, Caller: callerText(plan.Caller)}
	if r.HasQuery {
		e.Target += "?" + hide.Query(r.Query)
	}
	if plan.Bypass != "" {
		e.Reason = Because(plan.Bypass)
		e.Reason.Template = plan.Unfilled
	}
	switch plan.Kind {
	case Read:
		e.Does = "cache"
	case Write:
		e.Does = "write"
	case Job:
		e.Does, e.Job = "job", jobAnswer(plan.Job)
		if why := plan.NoJob(int64(len(r.Body))); why != "" {
			e.Does, e.Reason = "write", Because(why)
		}
	case Deny:
		e.Does = "deny"
	default:
		e.Does = "bypass"
	}
	if plan.Read != nil {
		e.Read = t.explainRead(r, plan, hide)
	}
	if plan.Write != nil {
		var denied string
		if e.Write, denied = t.explainWrite(r, plan.Write, hide); denied != "" {
			e.Does, e.Write, e.Job, plan.Route = "deny", nil, nil, denied
		}
	}
	e.Route, e.Near = t.explainRoute(r, plan)
	return e
}

// callerText says for whom a request is made.
func callerText(who caller.Caller) string {
	switch {
	case who.Bypass != "":
		return "not known for certain"
	case who.Anonymous:
		return "nobody: the request has no credentials"
	case who.Verified:
		return "{caller}, by a token that verifies"
	}
	return "{caller}, by credentials that the sidecar cannot verify"
}

// kinds are the kinds as the policies file spells them.
var kinds = map[Kind]string{Read: "cache", Write: "invalidate", Job: "job", Deny: "deny"}

// maxNear bounds the routes that an explanation names beside the one that applies.
const maxNear = 5

// explainRoute finds the route that applies, and the others that match the path or nearly do.
func (t *Table) explainRoute(r Request, plan *Plan) (applies *RouteMatch, near []RouteMatch) {
	applied := ""
	if m, ok := t.matcher.Find(r.Method, r.Path); ok && m.Target.name == plan.Route {
		applied = t.patternOf(m.Target, r.Method, r.Path)
	}
	var far []RouteMatch
	for _, route := range t.routes {
		for _, p := range route.patterns {
			m := RouteMatch{
				Name: route.name, Line: route.line, Pattern: p.String(), Kind: kinds[route.kind],
			}
			if route.name == plan.Route &&
				(applied == "" || applied == p.String()) && applies == nil {
				applies = &m
				continue
			}
			if m.But = t.but(p, r, plan.Route); m.But == "" {
				continue
			}
			if isFor(p, r.Method) {
				near = append(near, m)
			} else {
				far = append(far, m)
			}
		}
	}
	near = append(near, far...)
	return applies, near[:min(len(near), maxNear)]
}

// but is why a pattern does not apply that matches the path or nearly does; "" if it is another.
func (t *Table) but(p *pattern.Pattern, r Request, applies string) string {
	switch {
	case !p.MatchesPath(r.Path) && applies != "":
		return ""
	case !p.MatchesPath(r.Path):
		if why, ok := p.Near(r.Path); ok {
			return why
		}
		if p.MatchesPath(pattern.Canonical(r.Path)) {
			return "the path matches it in another form alone, as some servers read it"
		}
		return ""
	case !isFor(p, r.Method):
		return "it is for " + p.Method()
	case applies == "":
		return "the request bypasses the cache"
	}
	return "the route " + applies + " is more specific"
}

// Template is the path of the pattern by which a plan's route matches a request, without values;
// "" if it has none.
func (t *Table) Template(method, path, route string) string {
	m, ok := t.matcher.Find(method, path)
	if !ok || m.Target.name != route {
		return ""
	}
	text := t.patternOf(m.Target, method, path)
	return text[max(0, strings.IndexByte(text, '/')):]
}

// patternOf is the most specific pattern of a route that matches.
func (t *Table) patternOf(r *route, method, path string) string {
	var best *pattern.Pattern
	for _, p := range r.patterns {
		if isFor(p, method) && p.MatchesPath(path) && (best == nil || best.Method() == "") {
			best = p
		}
	}
	if best == nil {
		return ""
	}
	return best.String()
}

func isFor(p *pattern.Pattern, method string) bool {
	return p.Method() == "" || p.Method() == method ||
		p.Method() == http.MethodGet && method == http.MethodHead
}

// A JobAnswer says how a request runs as a job.
type JobAnswer struct {
	Mode      string `json:"mode"`
	Queue     string `json:"queue"`
	MaxRetry  int    `json:"max_retry"`
	Timeout   string `json:"timeout"`
	Retention string `json:"retention"`
	MaxBody   int64  `json:"max_body"`
}

func jobAnswer(j *JobPlan) *JobAnswer {
	return &JobAnswer{
		string(j.Mode), j.Queue, j.MaxRetry, j.Timeout.String(), j.Retention.String(), j.MaxBody,
	}
}

// A WriteAnswer has the invalidations of a successful write.
type WriteAnswer struct {
	Invalidates []Invalidation `json:"invalidates"`
	// Drops are the cached routes whose entries may be dropped.
	Drops  []string `json:"drops,omitempty"`
	Strict bool     `json:"strict"`
	Settle string   `json:"settle,omitempty"`
}

// An Invalidation is the effect of one template, or of the own URI.
type Invalidation struct {
	Route    string   `json:"route,omitempty"`
	Template string   `json:"template,omitempty"` // "": the request's own URI
	Tags     []string `json:"tags"`
	// FromResponse: the response's body says the tags; Tags are dropped where it does not.
	FromResponse bool `json:"from_response,omitempty"`
}

// explainWrite explains the invalidations of a successful request. denied is the route that denies
// it for the method that its body names.
func (t *Table) explainWrite(r Request, w *WritePlan,
	hide redactor) (a *WriteAnswer, denied string) {
	var sent *Body
	if int64(len(r.Body)) <= t.maxInspect {
		sent = NewBody(r.Body, r.Fields)
	}
	if denied = w.DeniedBy(sent); denied != "" {
		return nil, denied
	}
	a = &WriteAnswer{Strict: w.Strict}
	if w.Settle > 0 {
		a.Settle = w.Settle.String()
	}
	for _, x := range w.invalidations(sent) {
		for i, tag := range x.Tags {
			x.Tags[i] = hide.Text(tag)
		}
		a.Invalidates = append(a.Invalidates, x)
	}
	own := Invalidation{}
	for _, tag := range w.own {
		own.Tags = append(own.Tags, hide.Text(tag.String()))
	}
	a.Invalidates = append(a.Invalidates, own)
	a.Drops = t.dropped(r.Path, w.matchesOf(sent))
	return a, ""
}

// invalidations are the tags that each template of the matching routes names.
func (w *WritePlan) invalidations(sent *Body) (out []Invalidation) {
	values := w.values
	values.request, values.inspect = sent, w.table.maxInspect
	for _, m := range w.matchesOf(sent) {
		values.path = m.Values
		for _, template := range m.Target.writes {
			x := template.Expand(&values, maxTags)
			one := Invalidation{Route: m.Target.name, Template: template.String(),
				FromResponse: readsResponse(template), Tags: []string{}}
			for _, tag := range distinct(slices.Concat(x.Tags, x.Unfilled, x.Odd)) {
				one.Tags = append(one.Tags, tag.String())
			}
			out = append(out, one)
		}
	}
	return out
}

// A ReadAnswer says how a GET of a cached route is stored and served.
type ReadAnswer struct {
	Scope     string    `json:"scope"`
	Key       []KeyPart `json:"key"`
	Tags      []string  `json:"tags"`
	Families  []string  `json:"families,omitempty"`
	FromBody  []string  `json:"tags_from_response,omitempty"` // templates
	Memory    string    `json:"memory,omitempty"`
	Verify    string    `json:"verify,omitempty"` // the share of hits that is compared, like 1%
	MaxBody   int64     `json:"max_body"`
	Lifetime  Lifetime  `json:"lifetime"`
	DroppedBy []Dropper `json:"dropped_by"`
}

// A KeyPart is one part of the key under which a response is stored.
type KeyPart struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A Lifetime says how long a response is kept that says nothing of it itself.
type Lifetime struct {
	// Fresh is how long a 200 without Cache-Control is fresh; "" if it is not stored.
	Fresh string `json:"fresh,omitempty"`
	// NotStored is why it is not stored.
	NotStored *Why `json:"not_stored,omitempty"`
	// NotServed is why a fresh stored response is not served to this very request.
	NotServed *Why `json:"not_served,omitempty"`
	// the policy's lifetime wins over the response's
	Override bool   `json:"override,omitempty"`
	Until    string `json:"until,omitempty"` // nothing is used after this
	// how much longer it may be served stale, and when
	Stale []KeyPart `json:"stale,omitempty"`
}

// A Dropper is a route that drops entries.
type Dropper struct {
	Route    string   `json:"route"`
	Patterns []string `json:"patterns"`
	// Templates are those that can name a tag of the entry; none: the route writes to its URI.
	Templates []string `json:"templates,omitempty"`
}

// lifetime asks the rules about a plain 200 that came now.
func (r *ReadPlan) lifetime(now time.Time) (l Lifetime) {
	demand := r.Demand.WithMethod(http.MethodGet)
	none := httpfield.Header{"Date": {now.UTC().Format(http.TimeFormat)}}
	decision := httpcache.Store(r.Rules, demand, r.Requester, httpcache.Response{
		Status: http.StatusOK, Fields: none, RequestTime: now, ResponseTime: now,
	})
	l.Override = r.Rules.Override
	lifetime, until := decision.Lifetime, r.Until(now)
	if !until.IsZero() {
		lifetime = min(lifetime, until.Sub(now))
		l.Until = until.UTC().Format(time.RFC3339)
	}
	if !decision.Store {
		l.NotStored = Because(decision.Why)
		lifetime = time.Hour // of one that states it itself
	} else {
		l.Fresh = lifetime.Round(time.Second).String()
	}
	use := httpcache.Evaluate(r.Rules, &r.Demand, httpcache.Stored{
		Status: http.StatusOK, Fields: none, ResponseTime: now, Lifetime: lifetime, Until: until,
	}, now)
	if !use.Serve {
		l.NotServed = Because(use.Why)
	}
	for _, s := range []struct {
		when string
		long time.Duration
	}{
		{"while it is validated", r.Rules.StaleWhileRevalidate},
		{"where the API answers 5xx", r.Rules.StaleIfError},
		{"where the API does not answer", r.Rules.StaleIfUnreachable},
	} {
		if s.long > 0 {
			l.Stale = append(l.Stale, KeyPart{s.when, s.long.String()})
		}
	}
	return l
}
