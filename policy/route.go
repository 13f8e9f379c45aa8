package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/cachekeys"
	"sidecar/policy/pattern"
	"sidecar/policy/yamldoc"
)

// Bounds of the policies.
const (
	maxSettle    = 10 * time.Minute
	maxName      = 100    // bytes of a name
	maxPatterns  = 10_000 // of all routes
	maxTemplates = 10_000 // tags and invalidations of all routes
	maxHoles     = 16     // placeholders of one template
	maxText      = 2000   // bytes of one pattern or template
)

// A route is one element of routes. Every field is part of the digest of the rules unless its tag
// says otherwise.
type route struct {
	name     string `digest:"-"`
	line     int    `digest:"-"` // in the file
	patterns []*pattern.Pattern
	kind     Kind
	cache    *Cache                // its tags are part of the digest
	job      *JobPlan              `digest:"-"`
	writes   []*cachekeys.Template // the templates of invalidate
	refusal  bool                  // a 4xx invalidates too
	strict   bool
	settle   time.Duration
}

// A draft is a route and the places of its parts in the file.
type draft struct {
	*route
	at       yamldoc.Place
	writesAt []yamldoc.Place
	tagsAt   []yamldoc.Place
	memoryAt yamldoc.Place
	derived  bool // the name is made from the pattern
	static   bool // nobody_writes: no write changes its answers
}

func (l *loader) route(n yamldoc.Node) {
	r := &draft{route: &route{kind: Pass, line: n.At().Line}, at: n.At()}
	before := l.Count()
	var match, cache, invalidate, job, deny, consistency, settle, static yamldoc.Node
	if !l.Mapping(n, "a route",
		field("name", func(n yamldoc.Node) { r.name = l.routeName(n) }),
		field("match", yamldoc.Keep(&match)), field("cache", yamldoc.Keep(&cache)),
		field("invalidate", yamldoc.Keep(&invalidate)),
		field("job", yamldoc.Keep(&job)), field("deny", yamldoc.Keep(&deny)),
		field("invalidate_on_refusal",
			func(n yamldoc.Node) { r.refusal = l.Boolean(n, "invalidate_on_refusal") }),
		field("nobody_writes", func(n yamldoc.Node) {
			static, r.static = n, l.Boolean(n, "nobody_writes")
		}),
		field("consistency", func(n yamldoc.Node) {
			consistency, r.strict = n, l.Choice(n, "consistency", "available", "strict") == "strict"
		}),
		field("settle", func(n yamldoc.Node) {
			settle, r.settle = n, l.Duration(n, "settle")
			if r.settle > maxSettle {
				l.Fault(n, "settle is at most %s: as long as that nothing that is read is stored",
					brief(maxSettle))
			}
		}),
	) {
		return
	}
	defer func() { l.incomplete = l.incomplete || l.FaultySince(before) }()
	if match.Absent() && !l.Meant("match", before, n) {
		l.Fault(n, "a route has a match, like match: GET /api/characters/{id}")
	}
	if !deny.Absent() && l.Boolean(deny, "deny") {
		r.kind = Deny
	}
	// else the faulty field may be the missing one
	if !l.kindOf(r, cache, invalidate, job) && !l.FaultySince(before) {
		l.Fault(n, "the route does nothing: it has cache, invalidate, job, or deny: true")
	}
	if r.kind != Write && r.kind != Job {
		for name, n := range map[string]yamldoc.Node{"consistency": consistency, "settle": settle} {
			if !n.Absent() && !l.Meant("invalidate", before, n) {
				l.Fault(n, "%s is about writes: it belongs to a route with invalidate", name)
			}
		}
	}
	if !static.Absent() && r.kind != Read && !l.Meant("cache", before, n) {
		l.Fault(static, "nobody_writes is about answers: it belongs to a route with cache")
	}
	if !match.Absent() {
		l.patterns(r, match)
	}
	if r.name == "" && len(r.patterns) > 0 {
		r.name, r.derived = nameOf(r.patterns[0]), true
	}
	if i := slices.IndexFunc(l.routes, func(o *draft) bool { return o.name == r.name }); i >= 0 {
		l.sameName(n, r, l.routes[i])
	}
	if !cache.Absent() {
		block := l.cache
		l.cacheFields(cache, &block, false)
		r.cache = l.compileCache(r, block)
	}
	if !invalidate.Absent() {
		l.invalidate(r, invalidate)
	}
	if !job.Absent() {
		block := l.job
		l.jobFields(job, &block, false)
		r.job = &block
	}
	if len(r.patterns) > 0 {
		l.routes = append(l.routes, r)
	}
}

// kindOf decides the kind of the route. It reports whether the route has any.
func (l *loader) kindOf(r *draft, cache, invalidate, job yamldoc.Node) bool {
	switch {
	case r.kind == Deny && (!cache.Absent() || !invalidate.Absent() || !job.Absent()):
		l.Fault(r.at,
			"a denied route never reaches the API: take deny out, or cache, invalidate and job")
	case r.kind == Deny:
	case !cache.Absent() && !job.Absent():
		l.Fault(job, "a route is cached or becomes a job: make two of it")
	case !cache.Absent() && !invalidate.Absent():
		l.Fault(invalidate, "a cached route reads and changes nothing: make two of it")
	case !cache.Absent():
		r.kind = Read
	case !job.Absent():
		r.kind = Job
	case !invalidate.Absent() || r.refusal:
		r.kind = Write
	default:
		return false
	}
	return true
}

func (l *loader) patterns(r *draft, n yamldoc.Node) {
	if n.IsEmptyList() {
		l.Fault(n, "match is empty: name a pattern, like GET /api/characters/{id}")
	}
	for _, s := range l.Texts(n, "match") {
		if len(s.Text) > maxText {
			l.Fault(s, "a pattern has at most %d bytes", maxText)
			continue
		}
		p, err := pattern.Parse(s.Text)
		if err != nil {
			l.Fault(s, "%q is no pattern: %v", s.Text, err)
			continue
		}
		if msg := methodFault(r.kind, p); msg != "" {
			l.Fault(s, "%s", msg)
			continue
		}
		if suspect := p.Suspect(); r.kind == Read && !p.IsCertain() {
			l.Fault(s, "%q never answers from the cache: servers read %q in different ways. "+
				"Write the path as all read it, or use a wildcard like {id}",
				s.Text, suspect)
			continue
		} else if suspect != "" {
			l.Smell(s, "%q matches the segment %q alone, letter by letter: a wildcard is like {id}",
				s.Text, suspect)
		}
		if other, target := l.matcher.Conflict(p); other != nil {
			l.conflict(r, s, p, other, target)
			continue
		}
		if l.patternCount++; l.patternCount > maxPatterns {
			l.Fault(s, "there are more than %d patterns: let fewer match more", maxPatterns)
			return
		}
		l.matcher.Add(p, r)
		r.patterns = append(r.patterns, p)
	}
}

func (l *loader) conflict(r *draft, at yamldoc.Located, p, other *pattern.Pattern, target *draft) {
	remedy := p.Parting(other)
	if remedy == "" {
		remedy = "make one route of them"
	}
	switch {
	case target == r && p.String() == other.String():
		l.Fault(at, "%q stands in match twice: keep one", at.Text)
		return
	case p.String() == other.String():
		l.Fault(at, "%q is the pattern of the route in line %d too: %s", at.Text, target.at.Line,
			remedy)
		return
	}
	l.Fault(at, "%q and %q (the route in line %d) match the same requests, and neither is more specific: %s",
		at.Text, other, target.at.Line, remedy)
}

// methodFault says why a pattern's method does not fit the kind of its route.
func methodFault(kind Kind, p *pattern.Pattern) string {
	switch {
	case kind == Read && p.Method() != http.MethodGet:
		return fmt.Sprintf("%q: a cached route matches GET, which includes HEAD: %s",
			p.String(), withMethod(http.MethodGet, p))
	case kind == Job && p.Method() != http.MethodPost:
		return fmt.Sprintf("%q: a job route matches POST: %s",
			p.String(), withMethod(http.MethodPost, p))
	}
	return ""
}

// withMethod is a pattern with another method, or where the pattern belongs instead.
func withMethod(method string, p *pattern.Pattern) string {
	if p.Method() == "" || p.Method() == http.MethodHead {
		return fmt.Sprintf("write %q", method+" "+strings.TrimPrefix(p.String(), p.Method()+" "))
	}
	return "make another route of this pattern"
}

// sameName tells of two routes with one name, either of which may be made from a pattern.
func (l *loader) sameName(n yamldoc.Node, r, other *draft) {
	which, remedy := "", "give this one another name"
	switch {
	case r.derived:
		which, remedy = ", which is made from this route's pattern,", "give this one a name"
	case other.derived:
		which = ", made from its pattern,"
		l.Fault(n, "the route in line %d has the name %q%s already: %s",
			other.at.Line, r.name, which, remedy)
		return
	}
	l.Fault(n, "the name %q%s is taken by the route in line %d: %s",
		r.name, which, other.at.Line, remedy)
}

// routeName reads a name that can be a metric's label.
func (l *loader) routeName(n yamldoc.Node) string {
	s, ok := l.Text(n, "name")
	valid := s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') &&
			(c < 'A' || c > 'Z')
	})
	switch {
	case !ok || valid:
	case len(s) > maxName:
		l.Fault(n, "a name has at most %d bytes", maxName)
	default:
		l.Fault(n, "%q is no name for metrics: it is made of letters, digits, '_', '-' and '.'", s)
	}
	return s
}

// nameOf makes a name from a pattern: "GET /api/characters/{id}" is get_api_characters_id.
func nameOf(p *pattern.Pattern) string {
	words := strings.FieldsFunc(strings.ToLower(p.String()),
		func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') })
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, "_")
}
