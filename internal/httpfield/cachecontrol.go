package httpfield

import (
	"strings"
	"time"
)

// Directives is the content of a Cache-Control field (RFC 9111 §5.2), in a request or a response.
// The zero value is that of an absent field.
type Directives struct {
	Present bool // there is a field line, even if empty
	// Broken: a member is malformed (`max-age =1`, `no-store; max-age=1`, an open quote). The other
	// fields have the members that could be read, perhaps not all; decide on the safe side.
	Broken bool

	NoStore, NoCache, NoTransform    bool // NoCache: without field names, or with unreadable ones
	Public, Private                  bool // Private: like NoCache
	MustRevalidate, ProxyRevalidate  bool
	MustUnderstand, Immutable        bool
	OnlyIfCached, MaxStaleAny        bool     // of requests; MaxStaleAny: max-stale without a limit
	NoCacheFields, PrivateFields     []string // of no-cache="…" and private="…", canonical
	MaxAge, SMaxAge                  Delta
	MinFresh, MaxStale               Delta // of requests
	StaleWhileRevalidate, StaleIfErr Delta // RFC 5861
}

// A Delta is the argument of a directive that may be absent.
//
// Of a repeated directive the stricter value counts: the least, for min-fresh the greatest. So
// nothing is fresh that the first occurrence would not allow (§4.2.1). A value that is no number
// counts as the strictest: 0, for min-fresh MaxDelta; a bad max-stale as absent.
type Delta struct {
	Value time.Duration // whole seconds, 0 to MaxDelta
	Set   bool
}

// ParseCacheControl reads the field lines of Cache-Control. Names are case-insensitive, arguments
// are tokens or quoted-strings (§5.2), unknown directives are ignored (§5.2.3). A directive without
// a defined argument ignores one.
func ParseCacheControl(values []string) Directives {
	var d Directives
	for _, line := range values {
		d.Present = true
		for line != "" {
			member, rest, ok := NextMember(line)
			if !ok {
				// The text before the open quote is still read.
				d.Broken = true
				member, _, _ = strings.Cut(TrimOWS(strings.TrimLeft(line, " \t,")), `"`)
			}
			if member != "" {
				d.member(member)
			}
			line = rest
		}
	}
	return d
}

// member reads one directive: token [ "=" ( token / quoted-string ) ]. A malformed one still
// forbids as its name does.
func (d *Directives) member(s string) {
	n := tokenLen(s)
	name, rest := s[:n], s[n:]
	arg, ok := "", rest == ""
	if after, has := strings.CutPrefix(rest, "="); has {
		if arg, ok = ParseQuoted(after); !ok {
			arg, ok = after, IsToken(after)
		}
	}
	if !ok || name == "" {
		d.Broken = true
		arg = ""
	}
	d.apply(strings.ToLower(name), arg, rest != "")
}

func (d *Directives) apply(name, arg string, hasArg bool) {
	switch name {
	case "no-store":
		d.NoStore = true
	case "no-cache":
		restrict(&d.NoCache, &d.NoCacheFields, arg, hasArg)
	case "private":
		restrict(&d.Private, &d.PrivateFields, arg, hasArg)
	case "no-transform":
		d.NoTransform = true
	case "public":
		d.Public = true
	case "must-revalidate":
		d.MustRevalidate = true
	case "proxy-revalidate":
		d.ProxyRevalidate = true
	case "must-understand":
		d.MustUnderstand = true
	case "immutable":
		d.Immutable = true
	case "only-if-cached":
		d.OnlyIfCached = true
	case "max-age":
		d.MaxAge.lessen(arg)
	case "s-maxage":
		d.SMaxAge.lessen(arg)
	case "min-fresh":
		d.MinFresh.raise(arg)
	case "max-stale":
		d.maxStale(arg, hasArg)
	case "stale-while-revalidate":
		d.StaleWhileRevalidate.lessen(arg)
	case "stale-if-error":
		d.StaleIfErr.lessen(arg)
	}
}

// restrict reads no-cache and private, which hold for the whole response unless they name fields.
func restrict(all *bool, fields *[]string, arg string, hasArg bool) {
	if hasArg {
		if names, ok := FieldNames([]string{arg}); ok && len(names) > 0 {
			*fields = append(*fields, names...)
			return
		}
	}
	*all = true
}

func (d *Directives) maxStale(arg string, hasArg bool) {
	if !hasArg {
		d.MaxStaleAny = true
	} else if _, ok := ParseDelta(arg); ok {
		d.MaxStale.lessen(arg)
	}
}

func (v *Delta) lessen(arg string) {
	n, _ := ParseDelta(arg) // 0 if it is malformed
	if !v.Set || n < v.Value {
		v.Value = n
	}
	v.Set = true
}

func (v *Delta) raise(arg string) {
	n, ok := ParseDelta(arg)
	if !ok {
		n = MaxDelta
	}
	v.Value = max(v.Value, n)
	v.Set = true
}
