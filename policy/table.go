package policy

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/policy/pattern"
)

// A Table is a policies file in force. It is immutable and safe for concurrent use.
type Table struct {
	version   string
	rules     cachekeys.Tag
	routes    []*route
	schedules []*Schedule
	matcher   pattern.Matcher[*route]
	denies    bool
	// some route is about a GET as a write
	writesOnGET bool
	identifier  *caller.Identifier
	secret      func() []byte
	maxInspect  int64
	families    familyList // that invalidations name or fall back to
	guards      familyList // the text of a tag before its first {response.body…}
}

// table makes the table of a file without faults.
func (l *loader) table(version string) *Table {
	t := &Table{
		version: version, rules: cachekeys.Rules(l.rulesDigest()), routes: l.liveRoutes(),
		secret: l.options.Secret, maxInspect: l.options.MaxInspect, schedules: l.scheduled,
	}
	for _, r := range t.routes {
		for _, p := range r.patterns {
			t.matcher.Add(p, r)
		}
	}
	t.denyDirectories()
	for _, r := range t.routes {
		t.writesOnGET = t.writesOnGET || r.kind == Write && namesGET(r)
		for _, w := range r.writes {
			t.families.addPrefixes(w, func(cachekeys.Placeholder) bool { return true })
			if w.IsFamily() {
				t.families.add(w.String())
			}
		}
		if r.cache == nil {
			continue
		}
		for _, tag := range r.cache.Tags {
			t.families.addPrefixes(tag, func(cachekeys.Placeholder) bool { return true })
			t.guards.addPrefixes(tag, func(p cachekeys.Placeholder) bool {
				return p.Source == cachekeys.FromResponseBody
			})
		}
	}
	return t
}

// denyDirectories denies /internal where /internal/{rest...} is denied, unless another route is
// about it: many servers treat both alike.
func (t *Table) denyDirectories() {
	for _, r := range t.routes {
		if r.kind != Deny {
			continue
		}
		t.denies = true
		for _, p := range r.patterns {
			dir, ok := p.Directory()
			if !ok {
				continue
			}
			if other, _ := t.matcher.Conflict(dir); other == nil {
				t.matcher.Add(dir, r)
			}
		}
	}
}

// liveRoutes are the routes without their places in the file.
func (l *loader) liveRoutes() []*route {
	routes := make([]*route, len(l.routes))
	for i, d := range l.routes {
		routes[i] = d.route
	}
	return routes
}

// Run keeps the keys of tokens fresh until ctx is done.
func (t *Table) Run(ctx context.Context) { t.identifier.Run(ctx) }

// Version is a digest of the file in force.
func (t *Table) Version() string { return t.version }

// Rules is the tag of all entries that are stored while this table is in force. It is a digest of
// everything in the table that decides which tags writes invalidate.
func (t *Table) Rules() cachekeys.Tag { return t.rules }

// Identify says who a request with these fields speaks for.
func (t *Table) Identify(f httpfield.Fields, now time.Time) caller.Caller {
	return t.identifier.Identify(f, now)
}

// A RouteInfo is a route as /admin/policies shows it.
type RouteInfo struct {
	Name       string   `json:"name"`
	Match      []string `json:"match"`
	Kind       string   `json:"kind"` // cache, invalidate, job or deny
	Tags       []string `json:"tags,omitempty"`
	Invalidate []string `json:"invalidate,omitempty"`
	TTL        string   `json:"ttl,omitempty"`
	Verify     string   `json:"verify,omitempty"` // the share of hits, like 1%
	Queue      string   `json:"queue,omitempty"`
}

// Routes are the routes in force, in the order of the file.
func (t *Table) Routes() []RouteInfo {
	out := make([]RouteInfo, len(t.routes))
	for i, r := range t.routes {
		info := RouteInfo{Name: r.name, Match: sources(r), Kind: kinds[r.kind]}
		for _, w := range r.writes {
			info.Invalidate = append(info.Invalidate, w.String())
		}
		if r.cache != nil {
			for _, tag := range r.cache.Tags {
				info.Tags = append(info.Tags, tag.String())
			}
			if r.cache.Rules.HasTTL {
				info.TTL = r.cache.Rules.TTL.String()
			}
			if r.cache.Verify != nil {
				info.Verify = r.cache.Verify.share()
			}
		}
		if r.job != nil {
			info.Queue = r.job.Queue
		}
		out[i] = info
	}
	return out
}

// share is the share as people write it.
func (v *Verify) share() string { return strconv.FormatFloat(100*v.Share, 'g', 6, 64) + "%" }

func sources(r *route) []string {
	out := make([]string, len(r.patterns))
	for i, p := range r.patterns {
		out[i] = p.String()
	}
	return out
}

// Schedules are the recurring requests, in the order of the file.
func (t *Table) Schedules() []*Schedule { return t.schedules }

// HasJobs reports whether some route or schedule makes jobs.
func (t *Table) HasJobs() bool {
	return len(t.schedules) > 0 ||
		slices.ContainsFunc(t.routes, func(r *route) bool { return r.kind == Job })
}

// LimitedJobs are the names of the routes that bound how many of their jobs run at once.
func (t *Table) LimitedJobs() (names []string) {
	for _, r := range t.routes {
		if r.kind == Job && (r.job.MaxRunning > 0 || r.job.MaxRunningPerCaller > 0) {
			names = append(names, r.name)
		}
	}
	return names
}

// JobCORS is the cors of a job route, by its name, or for "" the first that allows the origin; nil:
// none.
func (t *Table) JobCORS(route, origin string) *CORS {
	for _, r := range t.routes {
		if r.kind != Job || r.job.CORS == nil {
			continue
		}
		if r.name == route || route == "" && r.job.CORS.Allows(origin) {
			return r.job.CORS
		}
	}
	return nil
}

// Family reports whether entries carry the family with this prefix: then it can be invalidated.
func (t *Table) Family(prefix string) bool {
	if prefix == "caller:" {
		return true
	}
	return t.families.has(prefix)
}

// familiesOf are the families, of those that invalidations name, to which tags belong.
func (t *Table) familiesOf(tags []cachekeys.Tag) []cachekeys.Tag {
	var out []cachekeys.Tag
	for _, tag := range tags {
		if text, ok := tag.IsNamed(); ok {
			out = t.families.appendOf(out, text)
		}
	}
	return out
}

// Guards are the guards that a write to tags has to delete with them.
func (t *Table) Guards(tags []cachekeys.Tag) []cachekeys.Tag {
	var out []cachekeys.Tag
	for _, tag := range tags {
		var prefixes []string
		if text, ok := tag.IsNamed(); ok {
			for _, family := range t.guards.appendOf(nil, text) {
				prefix, _ := family.IsFamily()
				prefixes = append(prefixes, prefix)
			}
		}
		out = append(out, tag.Guards(prefixes)...)
	}
	return distinct(out)
}

// distinct drops repeated tags and keeps the order.
func distinct(tags []cachekeys.Tag) []cachekeys.Tag {
	if len(tags) <= 16 { // it takes less than a map
		kept := tags[:0]
		for _, t := range tags {
			if !slices.Contains(kept, t) {
				kept = append(kept, t)
			}
		}
		clear(tags[len(kept):])
		return kept
	}
	seen := make(map[cachekeys.Tag]bool, len(tags))
	return slices.DeleteFunc(tags, func(t cachekeys.Tag) bool {
		if seen[t] {
			return true
		}
		seen[t] = true
		return false
	})
}

// Plan makes the plan of a request.
func (t *Table) Plan(req httpfield.Request, now time.Time) *Plan {
	plan := &Plan{Query: req.Query, Caller: t.identifier.IdentifyRequest(req, now)}
	query := cachekeys.Unread(req.Query)
	if !tooManyParams(req) {
		query = cachekeys.ParseQuery(req.Query)
	}
	a := aimsOf(req, query)
	if t.denies {
		if route := t.deniedBy(&a); route != "" {
			plan.Kind, plan.Route = Deny, route
			return plan
		}
	}
	switch {
	case isRead(req.Method) && tooManyParams(req):
		plan.Bypass = reason.BadTarget
	case isRead(req.Method) && !a.overridden && !req.HasBody:
		switch {
		case len(a.others) == 0:
			t.planRead(plan, req, query)
		case t.writesByGET(a.list()):
			t.planWrite(plan, req, query, a)
		default:
			plan.Bypass = reason.OtherTarget
		}
	case a.isRead() && req.HasBody, !a.isSafe():
		t.planWrite(plan, req, query, a)
		plan.Bypass = countsAsWrite(req, a)
	default:
		plan.Bypass = reason.Method
	}
	return plan
}

// An Epoch changes with everything that a plan depends on besides the table, the request and the
// time.
type Epoch = caller.Epoch

// Epoch is the present one.
func (t *Table) Epoch() Epoch { return t.identifier.Epoch() }

// Holds reports whether a plan of this table, made then in this epoch, still is the plan for its
// request.
func (t *Table) Holds(plan *Plan, epoch Epoch, then, now time.Time) bool {
	expires := plan.Caller.Expires
	// without the monotonic clock: nbf and exp go by the wall clock, which may be put back
	return plan.Caller.Bypass != reason.TokenInvalid && // its nbf may come
		t.identifier.Epoch() == epoch && !now.Round(0).Before(then.Round(0)) &&
		(expires.IsZero() || now.Before(expires))
}

// countsAsWrite is why a request with a method that reads counts as a write; "" if its method
// writes.
func countsAsWrite(req httpfield.Request, a aims) reason.Reason {
	switch {
	case !isRead(req.Method):
		return ""
	case a.overridden:
		return reason.MethodOverride
	}
	return reason.RequestBody
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
