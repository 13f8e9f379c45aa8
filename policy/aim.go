package policy

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/policy/pattern"
)

// The aims of a request are all resources that some server may take it to be for, with all methods
// that some server may take it to have.
type aims struct {
	path string
	// methods are the method as sent, in capitals, and those that override it.
	methods      []string
	overridden   bool     // it has a field or a parameter that overrides the method
	others       []string // targets that fields name in the place of the path
	before       []string // paths before a gateway changed them
	destinations []string // of a move or a copy
}

// An aim is one resource and the methods that may be applied to it.
type aim struct {
	forms   *pattern.Forms
	methods []string
}

// Bounds of one request. A request beyond them is taken to be for anything.
const (
	maxMethods  = 4
	maxAims     = 3
	maxReadings = 96 // forms of all aims, times their methods
	maxParams   = 1000
)

// overrideNames are the bare names of fields and parameters by which clients that can send only GET
// and POST name another method.
var overrideNames = []string{
	"xhttpmethodoverride", "xhttpmethod", "xmethodoverride", "httpmethodoverride",
}

// targetNames are the bare names of fields that name another target to some frameworks: IIS with
// URL Rewrite or ISAPI_Rewrite, and the readers of their fields (Zend, Yii, WordPress, older
// Symfony); proxies that ask for authorization (nginx, Traefik, Caddy); gateways.
var targetNames = []string{
	"xoriginalurl", "xoriginaluri", "xoriginalpath", "xoriginalrequesturi", "xrewriteurl",
	"xrewriteuri", "xrewritepath",
	"xoverrideurl", "xoverrideuri", "xhttppathoverride", "xpathoverride", "xhttpdestinationurl",
	"xforwardeduri", "xforwardedurl", "xforwardedpathinfo", "xforwardedrequesturi", "xpathinfo",
	"xrequesturi", "xrequesturl", "xrealurl", "xrealuri", "xproxyurl", "xproxypath",
	"xenvoyoriginalurl",
	"xrequestpath", "xrealpath", "xoriginalpathinfo", "xforwardedoriginaluri",
	"xforwardedoriginalurl",
}

// pathNames are those of fields that gateways set on all requests (Kong, Envoy): the path before
// they took a prefix from it. It is part of the key (cachekeys.Target), so that a GET with one is
// cached.
var pathNames = []string{"xforwardedpath", "xenvoyoriginalpath", "xreplacedpath"}

func aimsOf(req httpfield.Request, query cachekeys.Query) aims {
	a := aims{path: req.Path, methods: methodsOf(req.Method)}
	a.addMethod(strings.ToUpper(req.Method))
	a.addFields(&req)
	if req.Query == "" {
		return a
	}
	if tooManyParams(req) { // some may override the method
		a.override([]string{pattern.AnyMethod})
	}
	if strings.Contains(req.Query, ";") { // some servers split there too
		query = cachekeys.ParseQuery(strings.ReplaceAll(req.Query, ";", "&"))
	}
	for name, value := range query.All() {
		if isOverride(name) {
			a.override([]string{value})
		}
	}
	return a
}

// methodsOf is a list of one method, which may be appended to and not changed.
func methodsOf(method string) []string {
	for i, usual := range usualMethods {
		if method == usual {
			return usualMethods[i : i+1 : i+1]
		}
	}
	return []string{method}
}

var usualMethods = []string{http.MethodGet, http.MethodHead}

// addFields notes the targets in the request's fields.
func (a *aims) addFields(req *httpfield.Request) {
	header, ok := req.Fields.(httpfield.Header)
	if !ok {
		header = maps.Collect(req.Fields.All())
	}
	for name, values := range header { // a closure would cost allocations
		if mayAim(name) {
			a.addField(req, name, values)
		}
	}
}

func (a *aims) addField(req *httpfield.Request, name string, values []string) {
	switch bare := cachekeys.BareName(name); {
	case slices.Contains(overrideNames, bare):
		a.override(values)
	case slices.Contains(targetNames, bare):
		a.others = append(a.others, req.Outgoing().Values(name)...)
	case slices.Contains(pathNames, bare):
		a.before = append(a.before, req.Outgoing().Values(name)...)
	case bare == "destination":
		a.destinations = append(a.destinations, values...)
	}
}

// tooManyParams reports whether the query is too long to be looked at.
func tooManyParams(req httpfield.Request) bool {
	return strings.Count(req.Query, "&")+strings.Count(req.Query, ";") > maxParams
}

// mayAim tells most names of fields from those that matter, quickly.
func mayAim(name string) bool {
	switch name[0] {
	case 'X', 'x', 'D', 'd', 'H', 'h':
		if len(name) < len("X-Real-URL") {
			return false
		}
		rest, forwarded := strings.CutPrefix(name, "X-Forwarded-")
		return !forwarded || rest == "" ||
			rest[0] != 'F' && rest[0] != 'H' && rest != "Proto" && rest != "Port"
	}
	return name[0] < 'A' || name[0] > 'z' || name[0] == '_'
}

// isOverride reports whether a parameter of a query or a form overrides the method: _method, and
// the spellings that some framework takes for it.
func isOverride(name string) bool {
	bare := cachekeys.BareName(name)
	return bare == "method" && len(bare) != len(name) || slices.Contains(overrideNames, bare)
}

// override notes methods that the request names. A value may be a list.
func (a *aims) override(values []string) {
	a.overridden = true
	for _, v := range values {
		if strings.Count(v, ",") > maxMethods {
			v = pattern.AnyMethod
		}
		for m := range strings.SplitSeq(v, ",") {
			a.addMethod(strings.ToUpper(strings.Trim(m, " \t\"'")))
		}
	}
}

func (a *aims) addMethod(m string) {
	switch {
	case m == "", slices.Contains(a.methods, m):
	case len(a.methods) == maxMethods:
		a.methods[maxMethods-1] = pattern.AnyMethod
	default:
		a.methods = append(a.methods, m)
	}
}

// list are the aims; that of the request's own target is the first.
func (a *aims) list() []aim {
	list := []aim{{pattern.FormsOf(a.path), a.methods}}
	readings, seen := 0, []string{}
	add := func(reference string, methods []string) {
		next := aim{&pattern.Forms{Overflow: true}, []string{pattern.AnyMethod}}
		if path := pathOf(reference); slices.Contains(seen, path) {
			return // several fields name the same one
		} else if len(list) < maxAims {
			next, seen = aim{pattern.FormsOf(path), methods}, append(seen, path)
		} else if len(list) > maxAims {
			return
		}
		list = append(list, next)
	}
	for _, reference := range a.others {
		add(reference, a.methods)
	}
	for _, reference := range a.before {
		add(reference, a.methods)
	}
	if !a.isRead() || a.overridden {
		// A thing that is moved or copied to a place is put there (RFC 4918 §9.8, §9.9).
		put := append(slices.Clone(a.methods), http.MethodPut)
		for _, reference := range a.destinations {
			add(reference, put)
		}
	}
	for _, aim := range list {
		if readings += aim.forms.Len() * len(aim.methods); readings > maxReadings {
			aim.forms.Overflow = true
		}
	}
	return list
}

// pathOf is the path of a URI reference.
func pathOf(reference string) string {
	reference = strings.TrimSpace(reference)
	if i := strings.IndexAny(reference, "?#"); i >= 0 {
		reference = reference[:i]
	}
	if strings.HasPrefix(reference, "/") || strings.HasPrefix(reference, `\`) {
		return reference
	}
	if u, err := url.Parse(reference); err == nil && u.Host != "" {
		if u.Path == "" {
			return "/"
		}
		return u.EscapedPath()
	}
	if _, rest, found := strings.Cut(reference, "://"); found {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i:]
		}
		return "/"
	}
	return "/" + reference
}

// isRead reports whether the method, without regard to case, is GET or HEAD.
func (a *aims) isRead() bool { return isRead(strings.ToUpper(a.methods[0])) }

// isSafe reports whether no method of the request changes anything.
func (a *aims) isSafe() bool {
	return !a.overridden && httpfield.IsSafe(strings.ToUpper(a.methods[0]))
}

// each calls f for every match of the aims, under the method with which it matches.
func (t *Table) each(list []aim, f func(m match, method string)) {
	for _, aim := range list {
		for _, method := range aim.methods {
			for _, m := range t.matcher.All(method, aim.forms) {
				f(m, method)
			}
		}
	}
}

// isPlainRead reports whether the request reads the path alone, in the eyes of all servers.
func (t *Table) isPlainRead(a *aims) bool {
	return isRead(a.methods[0]) && !a.overridden && len(a.others) == 0 && len(a.before) == 0 &&
		t.matcher.ReadsAlike(a.path)
}

// deniedBy is the name of a route that denies the request under one of its aims; "" if there is
// none.
func (t *Table) deniedBy(a *aims) (name string) {
	if t.isPlainRead(a) {
		if r, ok := t.matcher.Target(a.methods[0], a.path); ok && r.kind == Deny {
			return r.name
		}
		return ""
	}
	return t.deniedByAny(a.list())
}

// deniedByAny is deniedBy of all aims, however servers read them.
func (t *Table) deniedByAny(list []aim) (name string) {
	denies := func(r *route) bool {
		if r.kind == Deny && name == "" {
			name = r.name
		}
		return r.kind == Deny
	}
	for _, aim := range list {
		for _, method := range aim.methods {
			if t.matcher.Reaches(method, aim.forms, denies) {
				return name
			}
		}
	}
	return ""
}
