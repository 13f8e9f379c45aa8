package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
)

// Options of Load.
type Options struct {
	File string // as findings name it
	// Env looks up a variable of the environment. nil: the file alone is checked, and what it refers to is not looked at.
	Env func(name string) (value string, ok bool)
	// Secret is the HMAC key of callers and keys, nil while it is not known.
	Secret func() []byte
	// Queues are those that workers serve; empty: any name will do.
	Queues []string
	// MaxInspect is how much of a body is decoded to fill templates, in bytes; 0: 1 MiB.
	MaxInspect int64
	// Format is the version of the stored format: entries of two never meet.
	Format string
}

// Load reads a policies file. err is not nil if there is a fault, and is then the findings; they also hold smells.
func Load(content []byte, o Options) (t *Table, found *Findings, err error) {
	if o.Secret == nil {
		o.Secret = func() []byte { return nil }
	}
	if o.MaxInspect == 0 {
		o.MaxInspect = 1 << 20
	}
	found = &Findings{File: o.File, Source: content}
	sum := sha256.Sum256(content)
	l := &loader{
		reader:  reader{findings: found, anchors: map[string]ast.Node{}},
		options: o,
		caller:  caller.Default(),
		cache:   defaultCache(),
		job:     defaultJob(),
	}
	if root := l.document(content); root != nil {
		l.file(root)
	}
	found.sort()
	if found.Faulty() {
		return nil, found, found
	}
	t = l.table(hex.EncodeToString(sum[:8]))
	if t.identifier, err = caller.New(l.caller, o.Secret); err != nil {
		l.fault(l.callerNode, "the keys of tokens cannot be used: %v", err)
		return nil, found, found
	}
	return t, found, nil
}

// A loader reads one file.
type loader struct {
	reader
	options Options

	caller     caller.Config
	callerNode ast.Node
	jwt        bool
	cache      cacheBlock // defaults
	job        JobPlan    // defaults
	routes     []*route
	matcher    matcher
}

// document is the one document of the file.
func (l *loader) document(content []byte) ast.Node {
	root := l.root(content)
	if root == nil {
		return nil
	}
	return l.value(root)
}

// file reads the whole. Callers and defaults come first, wherever they stand, since routes need them.
func (l *loader) file(root ast.Node) {
	var version, callers, defaults, routes, schedules ast.Node
	keep := func(to *ast.Node) func(ast.Node) { return func(n ast.Node) { *to = n } }
	if !l.mapping(root, "the file",
		field{"version", keep(&version)}, field{"caller", keep(&callers)}, field{"defaults", keep(&defaults)},
		field{"routes", keep(&routes)}, field{"schedules", keep(&schedules)}) {
		return
	}
	switch {
	case version == nil:
		l.fault(root, "version is missing: the file begins with version: 1")
	case textOr(version) != "1":
		l.fault(version, "this sidecar reads version 1 and no other: the file begins with version: 1")
	}
	l.callerNode = root
	if callers != nil {
		l.callerNode = callers
		l.callers(callers)
	}
	if defaults != nil {
		l.mapping(defaults, "defaults",
			field{"cache", func(n ast.Node) { l.cacheFields(n, &l.cache, true) }},
			field{"job", func(n ast.Node) { l.jobFields(n, &l.job, true) }})
	}
	if routes != nil {
		for _, n := range l.list(routes, "routes") {
			l.route(n)
		}
	}
	if schedules != nil {
		l.schedules(schedules)
	}
	l.smells()
}

// maxSettle bounds settle.
const maxSettle = 10 * time.Minute

// A route is one element of routes.
type route struct {
	name     string
	at       ast.Node
	patterns []*pattern
	sources  []string // the patterns as written
	kind     Kind
	cache    *Cache
	job      *JobPlan
	writes   []*cachekeys.Template // what its invalidate names
	refusal  bool
	strict   bool
	settle   time.Duration

	writeNodes []ast.Node
	tagNodes   []ast.Node
	memoryNode ast.Node
}

func (l *loader) route(n ast.Node) {
	r := &route{at: n, kind: Pass}
	before := len(l.findings.List)
	var match, cache, invalidate, job, deny, consistency, settle ast.Node
	keep := func(to *ast.Node) func(ast.Node) { return func(n ast.Node) { *to = n } }
	if !l.mapping(n, "a route",
		field{"name", func(n ast.Node) { r.name = l.routeName(n) }},
		field{"match", keep(&match)}, field{"cache", keep(&cache)}, field{"invalidate", keep(&invalidate)},
		field{"job", keep(&job)}, field{"deny", keep(&deny)},
		field{"invalidate_on_refusal", func(n ast.Node) { r.refusal = l.boolean(n, "invalidate_on_refusal") }},
		field{"consistency", func(n ast.Node) {
			consistency, r.strict = n, l.choice(n, "consistency", "available", "strict") == "strict"
		}},
		field{"settle", func(n ast.Node) {
			settle, r.settle = n, l.duration(n, "settle")
			if r.settle > maxSettle {
				l.fault(n, "settle is at most %v: as long as that nothing that is read is stored", maxSettle)
			}
		}},
	) {
		return
	}
	if match == nil {
		l.fault(n, "a route has a match, like match: GET /api/characters/{id}")
		return
	}
	if deny != nil && l.boolean(deny, "deny") {
		r.kind = Deny
	}
	if !l.kindOf(r, cache, invalidate, job) && !l.faultySince(before) { // else it may be what is at fault that says what it does
		l.fault(n, "the route does nothing: it has cache, invalidate, job, or deny: true")
	}
	if r.kind != Write && r.kind != Job {
		for name, n := range map[string]ast.Node{"consistency": consistency, "settle": settle} {
			if n != nil {
				l.fault(n, "%s is about writes: it belongs to a route with invalidate", name)
			}
		}
	}
	l.patterns(r, match)
	if len(r.patterns) == 0 {
		return
	}
	if r.name == "" {
		r.name = nameOf(r.patterns[0])
	}
	if i := slices.IndexFunc(l.routes, func(o *route) bool { return o.name == r.name }); i >= 0 {
		line, _ := position(l.routes[i].at)
		l.fault(n, "the name %q is taken by the route in line %d: give this one another name", r.name, line)
	}
	if cache != nil {
		block := l.cache
		l.cacheFields(cache, &block, false)
		r.cache = l.compileCache(r, block)
	}
	if invalidate != nil {
		l.invalidate(r, invalidate)
	}
	if job != nil {
		block := l.job
		l.jobFields(job, &block, false)
		r.job = &block
	}
	l.routes = append(l.routes, r)
}

// kindOf decides what the route does, of which there is one thing. It reports whether there is any.
func (l *loader) kindOf(r *route, cache, invalidate, job ast.Node) bool {
	switch {
	case r.kind == Deny && (cache != nil || invalidate != nil || job != nil):
		l.fault(r.at, "a denied route never reaches the API: take deny out, or cache, invalidate and job")
	case r.kind == Deny:
	case cache != nil && job != nil:
		l.fault(job, "a route is cached or becomes a job: make two of it")
	case cache != nil && invalidate != nil:
		l.fault(invalidate, "a cached route reads and changes nothing: make two of it")
	case cache != nil:
		r.kind = Read
	case job != nil:
		r.kind = Job
	case invalidate != nil || r.refusal:
		r.kind = Write
	default:
		return false
	}
	return true
}

func (l *loader) patterns(r *route, n ast.Node) {
	if list, ok := n.(*ast.SequenceNode); ok && len(list.Values) == 0 {
		l.fault(n, "match is empty: name a pattern, like GET /api/characters/{id}")
	}
	for _, s := range l.texts(n, "match") {
		p, err := parsePattern(s.text)
		if err != nil {
			l.fault(s.at, "%q is no pattern: %v", s.text, err)
			continue
		}
		if msg := methodFault(r.kind, p); msg != "" {
			l.fault(s.at, "%s", msg)
			continue
		}
		if other, found := l.matcher.conflict(p); found {
			line, _ := position(other.route.at)
			l.fault(s.at, "%q and %q (the route in line %d) match the same requests, and neither is more specific: make one of them so", s.text, other.source, line)
			continue
		}
		l.matcher.add(p, r)
		r.patterns, r.sources = append(r.patterns, p), append(r.sources, s.text)
	}
}

// methodFault says why a pattern's method does not fit what its route does.
func methodFault(kind Kind, p *pattern) string {
	switch {
	case kind == Read && p.method != http.MethodGet:
		return fmt.Sprintf("%q: a cached route matches GET, which includes HEAD", p.source)
	case kind == Job && p.method != http.MethodPost:
		return fmt.Sprintf("%q: a job route matches POST", p.source)
	}
	return ""
}

// routeName reads a name that can be a metric's label.
func (l *loader) routeName(n ast.Node) string {
	s, ok := l.text(n, "name")
	valid := s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(c rune) bool {
		return c != '_' && c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
	if ok && !valid {
		l.fault(n, "%q is no name for metrics: it is made of letters, digits, '_', '-' and '.'", s)
	}
	return s
}

// nameOf makes a name from a pattern: "GET /api/characters/{id}" is get_api_characters_id.
func nameOf(p *pattern) string {
	words := strings.FieldsFunc(strings.ToLower(p.source), func(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'z') })
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, "_")
}

func (l *loader) jobFields(n ast.Node, b *JobPlan, defaults bool) {
	fields := []field{
		{"queue", func(n ast.Node) {
			var ok bool
			b.Queue, ok = l.text(n, "queue")
			if ok && len(l.options.Queues) > 0 && !slices.Contains(l.options.Queues, b.Queue) {
				l.fault(n, "no worker serves the queue %q: JOBS_QUEUES has %s", b.Queue, strings.Join(l.options.Queues, ", "))
			}
		}},
		{"max_retry", func(n ast.Node) { b.MaxRetry = l.integer(n, "max_retry", 0) }},
		{"retention", func(n ast.Node) { b.Retention = l.positive(n, "retention") }},
		{"timeout", func(n ast.Node) { b.Timeout = l.positive(n, "timeout") }},
		{"max_body", func(n ast.Node) { b.MaxBody = l.size(n, "max_body") }},
		{"after", func(n ast.Node) { l.later(n, "after", l.duration(n, "after") < 0) }},
		{"unique_for", func(n ast.Node) { l.later(n, "unique_for", l.duration(n, "unique_for") == 0) }},
		{"max_pending", func(n ast.Node) { l.later(n, "max_pending", l.integer(n, "max_pending", 0) == 0) }},
		{"max_pending_per_caller", func(n ast.Node) {
			l.later(n, "max_pending_per_caller", l.integer(n, "max_pending_per_caller", 0) == 0)
		}},
		{"over_body", func(n ast.Node) {
			l.later(n, "over_body: refuse", l.choice(n, "over_body", "pass", "refuse") != "refuse")
		}},
		{"access", func(n ast.Node) { l.later(n, "access: link", l.choice(n, "access", "caller", "link") != "link") }},
		{"retry_on", func(n ast.Node) {
			statuses := l.list(n, "retry_on")
			for _, s := range statuses {
				l.integer(s, "a status of retry_on", 400)
			}
			l.later(n, "retry_on", len(statuses) == 0)
		}},
		{"cors", func(n ast.Node) {
			l.mapping(n, "cors",
				field{"origins", func(n ast.Node) { l.texts(n, "origins") }},
				field{"credentials", func(n ast.Node) { l.boolean(n, "credentials") }})
			l.later(n, "cors", false)
		}},
	}
	fields = append(fields, field{"mode", func(n ast.Node) {
		b.Mode = l.choice(n, "mode", "always", "prefer", "after")
		l.later(n, "mode: "+b.Mode, b.Mode == "always" || b.Mode == "")
		if b.Mode == "" {
			b.Mode = "?"
		}
	}})
	if l.mapping(n, "job", fields...) && !defaults && b.Mode == "" {
		l.fault(n, "mode must be stated: mode: always")
	}
}

// positive reads a time over 0.
func (l *loader) positive(n ast.Node, what string) time.Duration {
	d := l.duration(n, what)
	if d == 0 && !l.faulty(n) {
		l.fault(n, "%s is over 0", what)
	}
	return d
}

func defaultJob() JobPlan {
	return JobPlan{Queue: "default", MaxRetry: 3, Retention: 24 * time.Hour, Timeout: 2 * time.Minute, MaxBody: 1 << 20}
}

// schedules are checked as far as their types go, and refused: they are not built yet.
func (l *loader) schedules(n ast.Node) {
	if s, ok := n.(*ast.SequenceNode); ok && len(s.Values) == 0 {
		return
	}
	text := func(what string) func(ast.Node) { return func(n ast.Node) { l.text(n, what) } }
	for _, s := range l.list(n, "schedules") {
		l.mapping(s, "a schedule",
			field{"name", text("name")}, field{"cron", text("cron")}, field{"timezone", text("timezone")}, field{"queue", text("queue")},
			field{"request", func(n ast.Node) {
				l.mapping(n, "request",
					field{"method", text("method")}, field{"path", text("path")},
					field{"headers", func(n ast.Node) { l.pairs(n, "headers") }}, field{"body", func(ast.Node) {}})
			}})
	}
	l.fault(n, "schedules are not built yet: take them out")
}
