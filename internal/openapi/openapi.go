package openapi

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"sidecar/internal/propose"
)

// ttl is the lifetime on live routes. A change that does not come through the sidecar, or that no
// path relates to the read, is unseen for as long.
const ttl = time.Minute

// Propose makes a first policies file from a document that Read returned. name is that of the
// document. base, unless it is empty, replaces the path that its servers have in common with all
// paths.
func Propose(name string, doc *openapi3.T, base string) *propose.File {
	d := &document{T: doc}
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

type document struct {
	*openapi3.T
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
	*openapi3.Operation
	method string
	path   propose.Path
	item   *openapi3.PathItem
}

func (o operation) pattern() string { return o.method + " " + o.path.String() }

// serverPath takes the path of the first server.
func (d *document) serverPath() {
	for i, server := range d.Servers {
		path, err := server.BasePath()
		path = strings.TrimSuffix(path, "/")
		switch {
		case err != nil, strings.ContainsAny(path, "{}"):
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
func (d *document) operations() {
	keys := d.Paths.Keys()
	slices.Sort(keys)
	for _, key := range keys {
		item := d.Paths.Value(key)
		path, ok := propose.ParsePath(d.base + key)
		if item == nil {
			continue
		}
		if !ok {
			d.odd = append(d.odd, key[:min(len(key), 100)])
			if slices.ContainsFunc(
				methods[1:],
				func(m string) bool { return item.GetOperation(m) != nil },
			) {
				d.oddWrites = append(d.oddWrites, d.base+key)
			}
			continue
		}
		for _, method := range methods {
			if op := item.GetOperation(method); op != nil {
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
func (d *document) filter() func(p propose.Path, i int) string {
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
func (o operation) parameters() (out []*openapi3.Parameter) {
	for _, list := range []openapi3.Parameters{o.Parameters, o.item.Parameters} {
		for _, ref := range list {
			if ref != nil && ref.Value != nil {
				out = append(out, ref.Value)
			}
		}
	}
	return out
}

// typeOf is the filter for the values of a wildcard.
func (o operation) typeOf(name string) string {
	for _, p := range o.parameters() {
		own, ok := propose.ParsePath("/{" + p.Name + "}")
		if p.In != openapi3.ParameterInPath || !ok || own[0].Text != name || p.Schema == nil ||
			p.Schema.Value == nil {
			continue
		}
		switch schema := p.Schema.Value; {
		case schema.Type.Is("integer"):
			return "int"
		case schema.Type.Is("string") && schema.Format == "uuid":
			return "uuid"
		}
	}
	return ""
}

func (d *document) head(name string) []string {
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

func (d *document) tail() (tail []string) {
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
func (d *document) reads() (routes []propose.Route) {
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
	if o.Origin == nil || o.Origin.Key == nil || o.Origin.Key.Line == 0 {
		return ""
	}
	return fmt.Sprintf("Line %d: ", o.Origin.Key.Line)
}

// scope says for whom an answer is, and why. Only the words of the document make it shared: that
// this one operation needs no credentials where others do.
func (d *document) scope(o operation) (scope, why string) {
	switch {
	case o.Security != nil && len(*o.Security) == 0:
		if slices.ContainsFunc(
			o.parameters(),
			func(p *openapi3.Parameter) bool { return p.In == openapi3.ParameterInCookie },
		) {
			return "private", "it needs no credentials (security: []) but takes a cookie, so an " +
				"entry per caller."
		}
		return "shared", "it needs no credentials (security: [])."
	case o.Security != nil && optional(*o.Security), o.Security == nil && optional(d.Security):
		return "private", "credentials are optional, so the answer may depend on them: an entry " +
			"per caller."
	case o.Security == nil && len(d.Security) == 0:
		return "private", "the document says nothing about its security, so an entry per caller. " +
			"If it is the same for everybody by design, scope: shared."
	}
	return "private", "it needs credentials: an entry per caller."
}

// optional reports whether no credentials are one of the choices.
func optional(choices openapi3.SecurityRequirements) bool {
	return slices.ContainsFunc(
		choices,
		func(c openapi3.SecurityRequirement) bool { return len(c) == 0 },
	)
}

// unfit says why the answers to a GET had better not be cached unseen; "" if nothing speaks against
// it.
func (d *document) unfit(o operation) string {
	if o.RequestBody != nil {
		return "a GET with content is never cached."
	}
	if len(o.item.Servers) > 0 || o.Servers != nil {
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
	if o.Responses == nil {
		return "the document shows no answer."
	}
	found := false
	for status, ref := range o.Responses.Map() {
		if !strings.HasPrefix(status, "2") || ref == nil || ref.Value == nil {
			continue
		}
		for kind := range ref.Value.Content {
			if media, _, err := mime.ParseMediaType(kind); err != nil ||
				media != "application/json" && !strings.HasSuffix(media, "+json") {
				return "its answer is not JSON alone."
			}
			found = true
		}
		if ref.Value.Headers["Set-Cookie"] != nil {
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
func (d *document) oddWrite(path string) string {
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
		name := http.CanonicalHeaderKey(p.Name)
		// those of the caller are in the key; OpenAPI has three that are described elsewhere
		if p.In == openapi3.ParameterInHeader && isToken(name) && !slices.Contains(names, name) &&
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
func (d *document) writes() (routes []propose.Route) {
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
func (d *document) credentials() []string {
	var extra []string
	if d.Components == nil {
		return nil
	}
	for _, ref := range d.Components.SecuritySchemes {
		if ref == nil || ref.Value == nil || ref.Value.Type != "apiKey" {
			continue
		}
		switch s := ref.Value; s.In {
		case "header":
			if name := http.CanonicalHeaderKey(s.Name); isToken(name) && name != "Authorization" &&
				name != "X-Api-Key" {
				extra = append(extra, "header:"+name)
			}
		case "query":
			if s.Name != "" && !strings.ContainsAny(s.Name, " ,;=*") {
				extra = append(extra, "query:"+s.Name)
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
