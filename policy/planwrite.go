package policy

import (
	"net/http"
	"slices"

	"sidecar/cachekeys"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/policy/pattern"
)

// planWrite plans a request that may change something. It is matched on every form of every path
// that the backend may take it to be for, and under every method that it may be taken to have.
func (t *Table) planWrite(plan *Plan, req httpfield.Request, query cachekeys.Query, a aims) {
	if i := slices.IndexFunc(a.methods,
		func(m string) bool { return !httpfield.IsSafe(m) }); i >= 0 {
		req.Method = a.methods[i] // it may be done under this one
	} else if req.HasBody {
		req.Method = http.MethodPost
	}
	w := &WritePlan{
		table: t, request: req,
		values: requestValues{query: query, fields: req.Outgoing(), caller: &plan.Caller},
	}
	plan.Kind, plan.Write, plan.Route = Write, w, ""
	list := a.list()
	for _, aim := range list {
		for _, path := range aim.forms.Canonical() {
			w.own = append(w.own, cachekeys.OwnURI(path))
		}
	}
	w.own = distinct(w.own)
	t.each(list, func(m match, method string) {
		if writes(m, method) {
			w.add(m)
		}
	})
	if len(w.matches.list) > 0 {
		plan.Route = w.matches.list[0].Target.name
	}
	for _, c := range t.candidates(req, list, a.methods) {
		w.candidates = append(w.candidates, c)
		w.note(c.match)
	}
	m, ok := t.matcher.Find(a.methods[0], req.Path)
	if ok && m.Target.kind == Job && !a.overridden && len(list) == 1 && w.DeniedBy(nil) == "" {
		plan.Kind, plan.Job = Job, m.Target.job
	}
}

// writes reports whether the match is about requests of this method that change something.
func writes(m match, method string) bool {
	return (m.Target.kind == Write || m.Target.kind == Job) &&
		(!httpfield.IsSafe(method) || namesGET(m.Target))
}

// writesByGET reports whether a GET may be one that a route is about as a write.
func (t *Table) writesByGET(list []aim) (found bool) {
	t.each(list, func(m match, method string) { found = found || writes(m, method) })
	return found
}

func (w *WritePlan) add(m match) {
	w.matches.add(m)
	w.note(m)
}

// A matchSet has different matches in their order. One request may match thousands of routes.
type matchSet struct {
	list     []match
	byTarget map[*route][]match
}

// add adds a match, if it is new, and the match as a lenient backend reads it.
func (s *matchSet) add(m match) {
	if !s.addOne(m) {
		return
	}
	if read, ok := leniently(m); ok {
		s.addOne(read)
	}
}

func (s *matchSet) addOne(m match) (added bool) {
	if slices.ContainsFunc(s.byTarget[m.Target], m.Equal) {
		return false
	}
	if s.byTarget == nil {
		s.byTarget = map[*route][]match{}
	}
	s.byTarget[m.Target] = append(s.byTarget[m.Target], m)
	s.list = append(s.list, m)
	return true
}

// leniently is a match as a backend reads it that takes the number at the beginning of a value for
// all of it: to parseInt and its like /c/5-name is /c/5. ok is false if that changes nothing.
func leniently(m match) (read match, ok bool) {
	read = match{Target: m.Target, Values: slices.Clone(m.Values)}
	for i, value := range m.Values {
		if n, starts := cachekeys.LeadingNumber(value.Text); starts {
			read.Values[i].Text, ok = n, true
		}
	}
	return read, ok
}

// note adds the invalidations of a match.
func (w *WritePlan) note(m match) {
	w.Matched, w.Strict, w.Settle = true, w.Strict ||
		m.Target.strict, max(w.Settle, m.Target.settle)
	for _, t := range m.Target.writes {
		w.NeedsRequestBody = w.NeedsRequestBody || t.Has(cachekeys.FromRequestBody)
		w.NeedsResponseBody = w.NeedsResponseBody || t.Has(cachekeys.FromResponseBody)
	}
}

// Announced are the tags that the request is known to change before it is sent, and the guards of
// the tags that only the answer will name. Where the route is strict the families of those are
// announced instead.
func (w *WritePlan) Announced(sent *Body) (tags, guards []cachekeys.Tag) {
	values := w.values
	values.request, values.inspect = sent, w.table.maxInspect
	matches := w.matchesOf(sent)
	for _, m := range matches {
		values.path = m.Values
		for _, t := range m.Target.writes {
			x := t.Expand(&values, maxTags)
			prefix, _, early := t.Known(&values)
			if !t.Has(cachekeys.FromResponseBody) || !early || w.Strict {
				tags = append(append(append(tags, x.Tags...), x.Unfilled...), x.Odd...)
				continue
			}
			guards = append(guards, cachekeys.Guard(prefix))
		}
	}
	if len(tags) > maxTags {
		tags = expand(matches, values, 1)
	}
	tags = distinct(append(tags, w.own...))
	return tags, distinct(append(guards, w.table.Guards(tags)...))
}

// OutcomeUnknown reports whether a status leaves the outcome of a write open, also for later: the
// server that answers so does not know itself. A plain 500 is a write that is over.
func OutcomeUnknown(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Tags are the tags that the request invalidates, now that the backend has answered with this
// status and these fields. A 4xx with a known outcome means that nothing was changed, unless a
// route says otherwise. After a 5xx and where the outcome is unknown, a tag that the answer would
// have named becomes its family.
func (w *WritePlan) Tags(sent *Body, status int, fields httpfield.Fields,
	answer *Body) []cachekeys.Tag {
	switch {
	case OutcomeUnknown(status), status >= 500:
		return w.Unknown(sent)
	case status >= 400:
		return distinct(w.fill(sent, answer, true))
	}
	tags := w.fill(sent, answer, false)
	for _, path := range httpcache.InvalidatedURIs(w.request, status, fields) {
		tags = append(tags, cachekeys.OwnURI(pattern.Canonical(path)))
	}
	if status < 400 && !httpfield.IsSafe(w.request.Method) {
		groups := givenBy(w.request.Authority, w.request.Outgoing(), fields,
			"Cache-Group-Invalidation", false)
		if slices.Contains(groups, cachekeys.Guard("")) {
			// Too many to name. Only entries with too many names of their own carry the guard.
			groups = append(groups, cachekeys.All)
		}
		tags = append(tags, groups...)
	}
	return distinct(tags)
}

// Unknown are the tags that the request may have changed where no answer tells the outcome: a tag
// that the answer would have named becomes its family.
func (w *WritePlan) Unknown(sent *Body) []cachekeys.Tag {
	return distinct(w.fill(sent, nil, false))
}

// fill fills the templates of the routes, or of those alone that a refusal concerns too, and adds
// the own URI where any is left.
func (w *WritePlan) fill(sent, answer *Body, refused bool) []cachekeys.Tag {
	matches := w.matchesOf(sent)
	if refused {
		matches = slices.DeleteFunc(slices.Clone(matches),
			func(m match) bool { return !m.Target.refusal })
		if len(matches) == 0 {
			return nil
		}
	}
	values := w.values
	values.request, values.response, values.inspect = sent, answer, w.table.maxInspect
	tags := expand(matches, values, maxTags)
	if len(tags) > maxTags {
		tags = expand(matches, values, 1) // lists become their families
	}
	return append(tags, w.own...)
}

// expand fills all templates of matches; where one yields more than limit tags, it yields their
// family.
func expand(matches []match, values requestValues, limit int) (tags []cachekeys.Tag) {
	for _, m := range matches {
		values.path = m.Values
		for _, t := range m.Target.writes {
			x := t.Expand(&values, limit)
			tags = append(append(append(tags, x.Tags...), x.Unfilled...), x.Odd...)
		}
	}
	return tags
}
