package policy

import (
	"net/http"
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/policy/pattern"
)

// Bounds of the tags that one request or answer may name.
const (
	maxTags  = 100 // of a write, or of a GET before it is answered
	maxNames = 64  // that an answer gives its entry; beyond it the entry carries their guard
)

// planRead plans a GET or HEAD without a body.
func (t *Table) planRead(plan *Plan, req httpfield.Request, query cachekeys.Query) {
	m, ok := t.matcher.Find(http.MethodGet, req.Path)
	if !ok {
		t.planOther(plan, req, query, reason.NoRoute)
		return
	}
	plan.Route = m.Target.name
	switch {
	case m.Target.kind == Write && len(m.Target.patterns) > 0 && namesGET(m.Target):
		t.planWrite(plan, req, query, aimsOf(req, query))
		return
	case m.Target.kind != Read:
		plan.Route, plan.Bypass = "", reason.NoRoute
		return
	}
	also, certain := t.matcher.Certain(http.MethodGet, req.Path, m)
	if !certain {
		t.planOther(plan, req, query, reason.BadTarget)
		return
	}
	if why := plan.Caller.Bypass; why != "" {
		plan.Bypass = why
		return
	}
	selected, ok := m.Target.cache.query.apply(query)
	if !ok {
		plan.Bypass = reason.QueryNotListed
		return
	}
	read, unfilled := t.read(plan, req, m, also, queries{query, selected})
	if unfilled != nil {
		plan.Bypass, plan.Unfilled = reason.TemplateUnfilled, unfilled.String()
		return
	}
	plan.Read, plan.Query, plan.Bypass = read, selected.Raw(), read.Demand.Bypass
	switch {
	case plan.Bypass != "":
	case !read.plain:
		plan.Bypass = reason.FieldName
	case !read.few:
		plan.Bypass = reason.FieldCount
	}
	if plan.Bypass == "" {
		plan.Kind = Read
	}
}

// planOther plans a GET that no cached route is certain to be about: in another form its path may
// be that of a GET that changes something.
func (t *Table) planOther(plan *Plan, req httpfield.Request, query cachekeys.Query,
	why reason.Reason) {
	plan.Bypass = why
	if !t.writesOnGET {
		return
	}
	if a := aimsOf(req, query); t.writesByGET(a.list()) {
		plan.Bypass = ""
		t.planWrite(plan, req, query, a)
	}
}

// namesGET reports whether the route's patterns say GET: one for any method is about unsafe ones.
func namesGET(r *route) bool {
	for _, p := range r.patterns {
		if p.Method() == http.MethodGet {
			return true
		}
	}
	return false
}

// queries are the query of a request as sent, and as it is sent on.
type queries struct{ all, selected cachekeys.Query }

// paths yields the values of the path as sent, and of its harmless forms.
func (r *ReadPlan) paths(yield func(pattern.Values) bool) {
	if !yield(r.values.path) {
		return
	}
	for _, path := range r.also {
		if !yield(path) {
			return
		}
	}
}

// IsValue reports whether a text is a value of the request: of a wildcard, a parameter or a claim.
// It is data then, wherever else it stands.
func (r *ReadPlan) IsValue(text string) bool {
	for path := range r.paths {
		for _, value := range path {
			if value.Text == text {
				return true
			}
		}
	}
	for _, value := range r.values.query.All() {
		if value == text {
			return true
		}
	}
	for _, claim := range r.values.caller.Claims {
		if claim == any(text) {
			return true
		}
	}
	return false
}

// read makes the plan of a read. found is the match of the path as sent; also are those of forms
// that show the same resource: the entry carries their tags too. unfilled is the first template
// that cannot be filled; there is no plan then.
func (t *Table) read(plan *Plan, req httpfield.Request, found match, also []match, sent queries) (
	_ *ReadPlan, unfilled *cachekeys.Template) {
	query, all := sent.selected, sent.all
	c, who := found.Target.cache, &plan.Caller
	r := &ReadPlan{
		Cache: c, Rules: c.Rules, table: t, query: query,
		Requester: httpcache.Requester{Credentials: !who.Anonymous, Verified: who.Verified},
		values: requestValues{
			path: found.Values, query: all, fields: req.Outgoing(), caller: who,
		},
	}
	r.Carried = make([]cachekeys.Tag, 0, 8)
	partition, ok := t.partition(r, who.ID, &r.values)
	if !ok {
		return nil, c.partition
	}
	if unfilled := r.tags(t, c, &r.values); unfilled != nil {
		return nil, unfilled
	}
	for _, m := range also {
		r.also = append(r.also, m.Values)
		other := r.values
		other.path = m.Values
		if unfilled := r.tags(t, c, &other); unfilled != nil {
			return nil, unfilled
		}
	}
	r.Guards = distinct(r.Guards)
	r.Carried = append(r.Carried, cachekeys.OwnURI(pattern.Canonical(req.Path)))
	r.Demand = httpcache.Read(r.Rules, req)
	if c.Scope != Shared {
		r.NotAfter = who.Expires
		if !who.Anonymous && !who.Verified {
			r.MaxLife = t.identifier.MaxAge()
		}
	}
	r.Carried = distinct(r.Carried)
	told, plain, few := cachekeys.Target(&req)
	r.plain, r.few = plain, few
	r.Key = cachekeys.Key{
		Block: c.Digest, Scope: r.scope(), Partition: partition, Authority: req.Authority,
		Told: told, Path: req.Path,
		HasQuery: req.HasQuery && query.Raw() != "" || req.HasQuery && req.Query == "",
		Query:    query.Canonical(),
		Vary: append(cachekeys.SelectVary(c.Vary, r.values.fields),
			cachekeys.AsSent(c.tagFields, r.values.fields)...),
	}
	r.Primary = r.Key.Digest(t.secret())
	return r, nil
}

// UncountedCookies are the values of the request's cookies that are in no key, unless the answer
// varies on Cookie. Of an entry that callers share, no cookie is.
func (r *ReadPlan) UncountedCookies() []string {
	sent := r.values.fields
	if sent == nil || len(sent.Values("Cookie")) == 0 || slices.Contains(r.Cache.Vary, "Cookie") {
		return nil
	}
	if r.Cache.Scope == Private {
		return r.table.identifier.Uncounted(r.values.fields)
	}
	jar, _ := httpfield.Cookies(r.values.fields)
	values := make([]string, len(jar))
	for i, c := range jar {
		values[i] = c.Value
	}
	return values
}

// Until is when nothing of an answer that comes now may be used any more: nothing outlives the
// caller's token, or max_age where the credentials cannot be verified. Zero if there is no end.
func (r *ReadPlan) Until(now time.Time) (t time.Time) {
	if r.MaxLife > 0 {
		t = now.Add(r.MaxLife)
	}
	if !r.NotAfter.IsZero() && (t.IsZero() || r.NotAfter.Before(t)) {
		t = r.NotAfter
	}
	return t
}

// HasQuery reports whether the request has parameters.
func (r *ReadPlan) HasQuery() bool { return r.Key.HasQuery }

// Bare is the key under which the path's No-Vary-Search is remembered.
func (r *ReadPlan) Bare() cachekeys.Digest { return r.Key.Bare().Digest(r.table.secret()) }

// Under is the key of the answer under the backend's No-Vary-Search. ok is false where it changes
// nothing, cannot be applied, or takes out a parameter that a tag is made of: two requests that the
// policy tells apart never share an entry.
func (r *ReadPlan) Under(v httpfield.SearchVariance) (primary cachekeys.Digest, ok bool) {
	if !v.All && len(v.Params) == 0 { // the order of names is none of the key's in any case
		return primary, false
	}
	for _, name := range r.Cache.tagParams {
		if !v.Matters(name) {
			return primary, false
		}
	}
	key, ok := r.Key.Under(v, r.query)
	return key.Digest(r.table.secret()), ok
}

func (r *ReadPlan) scope() string {
	switch r.Cache.Scope {
	case Private:
		return "private"
	case Shared:
		return "shared"
	}
	return r.Cache.partition.String()
}

// partition separates entries: the caller, nothing, or a verified value.
func (t *Table) partition(r *ReadPlan, id string, values *requestValues) (string, bool) {
	switch r.Cache.Scope {
	case Private:
		r.Carried = append(r.Carried, cachekeys.CallerTag(id))
		if !r.Requester.Credentials {
			r.Rules.Shared = true // all who bring no credentials share it
		}
		return id, true
	case Shared:
		return "", true
	}
	if !r.Requester.Verified { // the API may not find the token
		return "", false
	}
	return r.Cache.partition.Text(values)
}

// tags fills the templates as far as the request goes: tags and families to carry, and guards of
// the tags that the answer will name. It returns the first template that cannot be filled.
func (r *ReadPlan) tags(t *Table, c *Cache, values *requestValues) *cachekeys.Template {
	var room [4]cachekeys.Tag
	named := room[:0]
	for _, template := range c.Tags {
		if template.Has(cachekeys.FromResponseBody) {
			prefix, families, ok := template.Known(values)
			if !ok {
				return template
			}
			r.Carried = append(r.Carried, families...)
			r.Guards = append(r.Guards, cachekeys.Guard(prefix))
			continue
		}
		x := template.Expand(values, maxTags)
		if x.Unfilled != nil {
			return template
		}
		named = append(named, x.Tags...)
		r.Carried = append(r.Carried, x.Families...)
	}
	r.Carried = append(r.Carried, named...)
	r.Carried = append(r.Carried, t.familiesOf(named)...)
	return nil
}

// Names are the tags that the body of an answer names by the policy, with their families. Why is
// not empty if they cannot be known: then the answer cannot be stored.
func (r *ReadPlan) Names(body *Body) (names []cachekeys.Tag, why reason.Reason) {
	values := r.values
	values.response, values.inspect = body, r.Cache.MaxBody
	for path := range r.paths {
		values.path = path
		more, why := r.named(&values)
		if why != "" {
			return nil, why
		}
		names = append(names, more...)
	}
	names = distinct(append(names, r.table.familiesOf(names)...))
	if len(names) > 2*maxNames {
		return slices.Clip(r.Guards), "" // every write under the guards invalidates the entry
	}
	return names, ""
}

// named fills the templates that look into the answer's body.
func (r *ReadPlan) named(values *requestValues) (names []cachekeys.Tag, why reason.Reason) {
	for _, template := range r.Cache.Tags {
		if !template.Has(cachekeys.FromResponseBody) {
			continue
		}
		x := template.Expand(values, maxNames)
		switch {
		case x.TooMany: // every write under the guard invalidates the entry
			prefix, _, _ := template.Known(values)
			names = append(names, cachekeys.Guard(prefix))
		case x.Unfilled != nil:
			return nil, reason.TagsUnfilled
		default:
			names = append(append(names, x.Tags...), x.Families...)
		}
	}
	return names, ""
}

// NamesFromBody reports whether Names needs the body.
func (r *ReadPlan) NamesFromBody() bool {
	return slices.ContainsFunc(r.Cache.Tags,
		func(t *cachekeys.Template) bool { return t.Has(cachekeys.FromResponseBody) })
}

// Surrogates are the tags from the answer's own fields: Cache-Groups (RFC 9875), Surrogate-Key,
// xkey and Cache-Tag. An answer with too many names carries the guard of all of them.
func (r *ReadPlan) Surrogates(fields httpfield.Fields) []cachekeys.Tag {
	return givenBy(r.Key.Authority, r.values.fields, fields, "Cache-Groups", true)
}

// givenBy are the tags that an answer with these fields gives by groupsField, and if keys is true
// by surrogate keys, to a request for this authority that was sent with the fields in sent.
func givenBy(authority string, sent, fields httpfield.Fields, groupsField string,
	keys bool) (tags []cachekeys.Tag) {
	groups, _, overflow := httpfield.CacheGroups(fields.Values(groupsField))
	if keys {
		more, over := httpfield.SurrogateKeys(fields)
		groups, overflow = append(groups, more...), overflow || over
	}
	if len(groups) == 0 && !overflow {
		return nil
	}
	hosts, tooMany := httpfield.Hosts(authority, sent)
	if overflow || tooMany || len(groups)*len(hosts) > maxNames {
		return []cachekeys.Tag{cachekeys.Guard("")}
	}
	for _, host := range hosts {
		for _, name := range groups {
			tags = append(tags, cachekeys.Surrogate(host, name))
		}
	}
	return distinct(tags)
}
