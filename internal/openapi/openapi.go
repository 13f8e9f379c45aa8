package openapi

import (
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/propose"
)

// ttl is the lifetime on live routes. A change that does not come through the sidecar, or that no
// path relates to the read, is unseen for as long.
const ttl = time.Minute

// Propose makes a first policies file from a document that Read returned. name is that of the
// document. base, unless it is empty, replaces the path that its servers have in common with all
// paths.
func Propose(name string, doc *Document, base string) *propose.File {
	d := &proposal{Document: doc}
	if base != "" {
		d.base = strings.TrimSuffix(base, "/")
	} else {
		d.serverPath()
	}
	d.operations()
	f := &propose.File{Head: d.head(name), Credentials: d.credentials()}
	f.Routes = append(d.reads(), d.writes()...)
	f.Tail = d.tail()
	return f
}

// A proposal is made of a document, step by step.
type proposal struct {
	*Document
	base      string // before all paths
	notes     []string
	gets      []operation
	unsafe    []operation
	odd       []string // paths that no pattern can be
	oddWrites []string // those of them that something is written to
	relations *propose.Relations
	unrelated []string // writes that invalidate nothing by their path
}

// An operation is one method of a path.
type operation struct {
	*operationItem
	method string
	path   propose.Path
	item   *pathItem
}

func (o operation) pattern() string { return o.method + " " + o.path.String() }

// serverPath takes the path of the first server.
func (d *proposal) serverPath() {
	for i, path := range d.servers {
		path = strings.TrimSuffix(path, "/")
		switch {
		case strings.ContainsAny(path, "{}"):
		case i == 0:
			d.base = path
		case path != d.base:
			d.notes = append(d.notes, fmt.Sprintf("A server of the document has another base path "+
				"than the first, whose %q stands before all paths here: --base names the right "+
				"one.",
				d.base))
			return
		}
	}
}

// operations reads all paths.
func (d *proposal) operations() {
	for _, key := range slices.Sorted(maps.Keys(d.paths)) {
		item := d.paths[key]
		path, ok := propose.ParsePath(d.base + key)
		if !ok {
			d.odd = append(d.odd, key[:min(len(key), 100)])
			if slices.ContainsFunc(
				methods[1:],
				func(m string) bool { return item.operations[m] != nil },
			) {
				d.oddWrites = append(d.oddWrites, d.base+key)
			}
			continue
		}
		for _, method := range methods {
			if op := item.operations[method]; op != nil {
				o := operation{op, method, path, item}
				if method == http.MethodGet {
					d.gets = append(d.gets, o)
				} else {
					d.unsafe = append(d.unsafe, o)
				}
			}
		}
	}
	d.relations = propose.NewRelations(paths(d.gets), paths(d.unsafe), d.filter())
}

// methods are those that read and that change something. HEAD is a GET to the sidecar.
var methods = []string{
	http.MethodGet,
	http.MethodPost,
	http.MethodPut,
	http.MethodPatch,
	http.MethodDelete,
}

func paths(ops []operation) []propose.Path {
	out := make([]propose.Path, len(ops))
	for i, o := range ops {
		out[i] = o.path
	}
	return out
}

// filter returns the filters of wildcards, by the types of parameters.
func (d *proposal) filter() func(p propose.Path, i int) string {
	known := map[string]string{}
	for _, o := range slices.Concat(d.gets, d.unsafe) {
		for i, s := range o.path {
			if s.Wild {
				known[o.path.String()+":"+strconv.Itoa(i)] = o.typeOf(s.Text)
			}
		}
	}
	return func(p propose.Path, i int) string { return known[p.String()+":"+strconv.Itoa(i)] }
}

// parameters are those of the operation and of its path.
func (o operation) parameters() []parameter {
	return slices.Concat(o.operationItem.parameters, o.item.parameters)
}

// typeOf is the filter for the values of a wildcard.
func (o operation) typeOf(name string) string {
	for _, p := range o.parameters() {
		own, ok := propose.ParsePath("/{" + p.name + "}")
		if p.in != "path" || !ok || own[0].Text != name {
			continue
		}
		switch {
		case p.kind == "integer":
			return "int"
		case p.kind == "string" && p.format == "uuid":
			return "uuid"
		}
	}
	return ""
}

func (d *proposal) head(name string) []string {
	head := []string{
		"Policies proposed from " + name + ", an OpenAPI document. Look at each route before it " +
			"is used: " +
			"a document says what an API takes, and not for whom an answer is or how long it " +
			"holds. " +
			"What is commented out, with no blank behind the '#', is not certain enough; the " +
			"reason stands above it.",
		"Relations come from paths alone: a write invalidates what lies below or above its own " +
			"path, and " +
			"what names the same resource. For each write ask: which answers look different now, " +
			"and whose? " +
			"A relation that is missing makes answers old for up to the ttl. sidecar observe " +
			"sees them in traffic.",
	}
	return append(head, d.notes...)
}

func (d *proposal) tail() (tail []string) {
	if len(d.unrelated) > 0 {
		tail = append(tail, "By their paths these writes change no answer above: "+
			strings.Join(d.unrelated, ", ")+". Where one does, give it a route with invalidate.")
	}
	if len(d.odd) > 0 {
		tail = append(tail, "No pattern can be these paths, where a wildcard is no whole "+
			"segment, or that are too long: "+
			strings.Join(d.odd, ", ")+".")
	}
	return tail
}

// reads are the routes of all GETs.
func (d *proposal) reads() (routes []propose.Route) {
	for _, o := range d.gets {
		r := propose.Route{
			Name: routeName(o.path, d.base), Match: []string{o.pattern()},
			Cache: &propose.Cache{
				Scope: "private",
				TTL:   ttl,
				Tags:  d.relations.Tags(o.path),
				Vary:  o.fields(),
			},
		}
		why := d.unfit(o)
		if r.Live = why == ""; !r.Live {
			r.Comment = []string{o.line() + why}
		} else {
			r.Cache.Scope, why = d.scope(o)
			r.Comment = []string{o.line() + why}
		}
		routes = append(routes, r)
	}
	return routes
}

// line is the place of the operation in the document.
func (o operation) line() string {
	return fmt.Sprintf("Line %d: ", o.operationItem.line)
}

// scope says for whom an answer is, and why. Only the words of the document make it shared: that
// this one operation needs no credentials where others do.
func (d *proposal) scope(o operation) (scope, why string) {
	switch {
	case o.security.none:
		if slices.ContainsFunc(
			o.parameters(),
			func(p parameter) bool { return p.in == "cookie" },
		) {
			return "private", "it needs no credentials (security: []) but takes a cookie, so an " +
				"entry per caller."
		}
		return "shared", "it needs no credentials (security: [])."
	case o.security.optional, !o.security.given && d.security.optional:
		return "private", "credentials are optional, so the answer may depend on them: an entry " +
			"per caller."
	case !o.security.given && (!d.security.given || d.security.none):
		return "private", "the document says nothing about its security, so an entry per caller. " +
			"If it is the same for everybody by design, scope: shared."
	}
	return "private", "it needs credentials: an entry per caller."
}

// unfit says why the answers to a GET had better not be cached unseen; "" if nothing speaks against
// it.
func (d *proposal) unfit(o operation) string {
	if o.requestBody {
		return "a GET with content is never cached."
	}
	if o.item.servers || o.servers {
		return "it has servers of its own: look for the path under which it comes through the " +
			"sidecar."
	}
	if word := propose.Fickle(o.path); word != "" {
		return fmt.Sprintf("%q is often about what changes by itself, or is no resource.", word)
	}
	if path := d.oddWrite(o.path.String()); path != "" {
		return fmt.Sprintf(
			"a write to %.100q may change it, and no pattern can be that path.",
			path,
		)
	}
	if o.responses == nil {
		return "the document shows no answer."
	}
	found := false
	for status, answer := range o.responses {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		for _, kind := range answer.content {
			if media, _, err := mime.ParseMediaType(kind); err != nil ||
				media != "application/json" && !strings.HasSuffix(media, "+json") {
				return "its answer is not JSON alone."
			}
			found = true
		}
		if answer.setCookie {
			return "its answer sets a cookie."
		}
	}
	if !found {
		return "the document shows no answer in JSON."
	}
	return ""
}

// oddWrite is a path that something is written to, that no pattern can be, and that begins as the
// path does, up to the first wildcards; "" if there is none.
func (d *proposal) oddWrite(path string) string {
	literals, _, _ := strings.Cut(path, "{")
	for _, odd := range d.oddWrites {
		begin, _, _ := strings.Cut(odd, "{")
		begin = strings.TrimRight(begin, "(/.:-_")
		if strings.HasPrefix(literals, begin) ||
			strings.HasPrefix(begin, strings.TrimRight(literals, "/")) {
			return odd
		}
	}
	return ""
}

// fields are the request fields that the answer may depend on.
func (o operation) fields() (names []string) {
	for _, p := range o.parameters() {
		name := http.CanonicalHeaderKey(p.name)
		// those of the caller are in the key; OpenAPI has three that are described elsewhere
		if p.in == "header" && isToken(name) && !slices.Contains(names, name) &&
			!slices.Contains(
				[]string{"Accept", "Content-Type", "Authorization", "X-Api-Key"},
				name,
			) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isToken accepts the names of fields that can be in a vary.
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}

// writes are the routes of all unsafe operations that invalidate something.
func (d *proposal) writes() (routes []propose.Route) {
	for _, o := range d.unsafe {
		tags := d.relations.Invalidated(o.method, o.path)
		if len(tags) == 0 {
			d.unrelated = append(d.unrelated, o.pattern())
			continue
		}
		if last := len(routes) - 1; last >= 0 &&
			slices.EqualFunc(routes[last].Invalidate, tags, equal) &&
			strings.HasSuffix(routes[last].Match[0], " "+o.path.String()) {
			routes[last].Match = append(routes[last].Match, o.pattern())
			continue
		}
		routes = append(routes, propose.Route{
			Live: true, Name: routeName(o.path, d.base) + "_write",
			Match: []string{o.pattern()}, Invalidate: tags,
		})
	}
	return routes
}

func equal(a, b propose.Tag) bool { return a.String() == b.String() }

// routeName is a name without the base path.
func routeName(
	p propose.Path,
	base string,
) string {
	return propose.Name(p, strings.Count(base, "/"))
}

// credentials are those of the caller block: the default, and those of the document. The default is
// never narrowed: cookies that no document names may tell callers apart.
func (d *proposal) credentials() []string {
	var extra []string
	for _, s := range d.schemes {
		switch s.in {
		case "header":
			if name := http.CanonicalHeaderKey(s.name); isToken(name) && name != "Authorization" &&
				name != "X-Api-Key" {
				extra = append(extra, "header:"+name)
			}
		case "query":
			if s.name != "" && !strings.ContainsAny(s.name, " ,;=*") {
				extra = append(extra, "query:"+s.name)
			}
		}
	}
	if len(extra) == 0 {
		return nil
	}
	slices.Sort(extra)
	return append(
		[]string{"header:Authorization", "header:X-API-Key", "cookie:*"},
		slices.Compact(extra)...)
}
