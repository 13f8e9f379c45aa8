package httpcache

import (
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// BypassByRequest says why a request goes past the cache, before anything is looked up: nothing is served to it and
// nothing is stored of its answer. "" if it does not.
//
// A Connection that names an end-to-end field is among the reasons: the field would be in the key and not in what the
// backend sees, so that one client could fill another's entry with an answer made without it.
func BypassByRequest(r Rules, req httpfield.Request) reason.Reason {
	f := req.Fields
	switch {
	case has(f, "Upgrade"):
		return reason.Upgrade // RFC 9110 §7.8
	case httpfield.HopOf(f).NamesOthers():
		return reason.ConnectionOption // RFC 9110 §7.6.1
	case has(f, "If-Match"), has(f, "If-Unmodified-Since"):
		return reason.Precondition // §4.3.2: the backend's to judge
	}
	switch cc := r.requestDirectives(req); {
	case cc.NoStore:
		return reason.RequestNoStore // §5.2.1.5
	case cc.Broken:
		return reason.BadDirectives
	}
	return ""
}

// WantsRange reports whether the request asks for a part (RFC 9110 §14.2). Where nothing stored can answer it, it goes past the cache: of a part nothing is kept.
func WantsRange(req httpfield.Request) bool { return has(req.Fields, "Range") }

func has(f httpfield.Fields, name string) bool { return len(f.Values(name)) > 0 }
