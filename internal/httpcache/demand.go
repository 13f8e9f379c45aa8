package httpcache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// A Demand has the instructions of a request to a cache, read once, before anything is looked up.
// It refers to the request's field section, which must not change while it is in use.
type Demand struct {
	// Bypass says why the request goes past the cache: nothing is served to it from the store, and
	// nothing is stored of its answer. "" if it does not.
	Bypass reason.Reason
	// OnlyIfCached: the client wants a stored response or none (§5.2.1.7). Where nothing can be
	// served it is answered 504 with reason.OnlyIfCached, and nothing is sent to the backend.
	OnlyIfCached bool
	// Range: the request asks for a part of the content (RFC 9110 §14.2).
	Range bool

	request    httpfield.Request
	directives httpfield.Directives
	objection  reason.Reason // why no stored response may be served, however fresh; "" if one may
}

// Read reads the request's instructions to the cache, as far as the rules let them count.
func Read(r Rules, req httpfield.Request) Demand {
	d := Demand{request: req, directives: r.requestDirectives(req), Range: has(req.Fields, "Range")}
	d.OnlyIfCached = d.directives.OnlyIfCached
	d.Bypass = d.bypass()
	d.objection = d.objects()
	return d
}

// WithMethod is the demand of the same request with another method.
func (d *Demand) WithMethod(method string) *Demand {
	if d.request.Method == method {
		return d
	}
	other := *d
	other.request.Method = method
	other.Bypass = other.bypass()
	other.objection = other.objects()
	return &other
}

// Joins reports whether the request could be answered by a response of age 0 that another one
// fetches, and that lives for lifetime; 0: it is not known for how long. A request that could not
// has nothing to wait for; nor has one for an event stream, whose head may come with its first
// event.
func (d *Demand) Joins(lifetime time.Duration) bool {
	cc := &d.directives
	switch {
	case d.objection != "", d.Range, cc.MaxAge.Set && cc.MaxAge.Value <= 0:
		return false
	case lifetime > 0 && cc.MinFresh.Set && cc.MinFresh.Value > lifetime:
		return false
	}
	accepted, _ := httpfield.Members(d.request.Fields.Values("Accept"))
	return !slices.ContainsFunc(accepted,
		func(m string) bool { return mediaType(m) == eventStream })
}

// bypass says why the request goes past the cache.
//
// A Connection that names an end-to-end field is among the reasons: the field would be in the key
// and not in the backend's request, so that one client could fill another's entry with an answer
// made without it.
func (d *Demand) bypass() reason.Reason {
	f := d.request.Fields
	switch {
	case has(f, "Upgrade"):
		return reason.Upgrade // RFC 9110 §7.8
	case httpfield.HopOf(f).NamesOthers():
		return reason.ConnectionOption // RFC 9110 §7.6.1
	case has(f, "If-Match"), has(f, "If-Unmodified-Since"):
		return reason.Precondition // §4.3.2: the backend's to judge
	case d.directives.NoStore:
		return reason.RequestNoStore // §5.2.1.5
	case d.directives.Broken:
		return reason.BadDirectives
	case d.Range && d.request.Method == http.MethodHead:
		return reason.Range // only a GET has ranges (RFC 9110 §14.2): the API decides
	}
	return ""
}

// objects is the first rule that forbids to serve any stored response.
func (d *Demand) objects() reason.Reason {
	switch cc := &d.directives; {
	case d.request.Method != http.MethodGet && d.request.Method != http.MethodHead:
		return reason.Method
	case cc.NoStore:
		return reason.RequestNoStore // §5.2.1.5
	case cc.Broken:
		return reason.BadDirectives
	case cc.NoCache, len(cc.NoCacheFields) > 0:
		return reason.RequestNoCache // §5.2.1.4
	case !cc.Present && hasPragmaNoCache(d.request.Fields):
		return reason.RequestNoCache // §5.4
	}
	return ""
}

// requestDirectives are those of the request, as far as they count.
func (r Rules) requestDirectives(req httpfield.Request) httpfield.Directives {
	if r.IgnoreDirectives {
		return httpfield.Directives{Present: true}
	}
	return httpfield.ParseCacheControl(req.Fields.Values("Cache-Control"))
}

// hasPragmaNoCache reports whether Pragma says no-cache, as clients did before Cache-Control
// (§5.4).
func hasPragmaNoCache(f httpfield.Fields) bool {
	values := f.Values("Pragma")
	if len(values) == 0 {
		return false
	}
	members, _ := httpfield.Members(values)
	return slices.ContainsFunc(members,
		func(m string) bool { return strings.EqualFold(m, "no-cache") })
}

func has(f httpfield.Fields, name string) bool { return len(f.Values(name)) > 0 }
